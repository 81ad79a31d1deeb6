"""`lutbench profile`"""

from __future__ import annotations

from pathlib import Path

import click

from lutbench.cli.help import HelpCommand
from lutbench.cli.next_steps import say_next
from lutbench.cli.options import (
    INTEGERS,
    NUMBERS,
    batch_option,
    cores_option,
    fixed_performance_option,
    force_option,
    json_option,
    no_heat_wait_option,
)
from lutbench.export.exporters import EXPORTERS, TORCH_ENGINES_HELP


@click.command("profile", cls=HelpCommand)
@click.option(
    "--device",
    "device_name",
    default="host",
    show_default=True,
    help="Measure on this device; `lutbench devices` lists them.",
)
@click.option(
    "--runtime", default="onnx", show_default=True, help=f"Run the operators with this runtime: {', '.join(EXPORTERS)}."
)
@click.option("--engine", default="", help=TORCH_ENGINES_HELP)
@click.option("--dtype", default="int8", show_default=True, help="Measure operators of this type: int8 or fp32.")
@click.option(
    "--space", default="fbnet", show_default=True, help="Measure this search space: fbnet, or a TOML file of your own."
)
@click.option(
    "--resolution",
    type=INTEGERS,
    default=(),
    help="Measure at these input sizes, such as 224,192. [default: the space's own]",
)
@click.option(
    "--width",
    type=NUMBERS,
    default=(1.0,),
    help="Multiply all widths by each of these, such as 1.0,0.5. [default: 1.0]",
)
@click.option(
    "--threads",
    type=click.IntRange(1, 256),
    help="Let the runtime use this many threads. [default: the device's entry, usually 1]",
)
@batch_option
@cores_option
@force_option
@fixed_performance_option
@no_heat_wait_option
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    help="Write the LUT here. [default: the device's, such as luts/host.csv]",
)
@click.option("--fresh", is_flag=True, help="Start anew. The journal of an unfinished run is put aside, not deleted.")
@click.option(
    "--seed", type=int, default=0, show_default=True, help="Seed the order within rounds and the choice of tuning nets."
)
@click.option(
    "--target",
    type=float,
    default=0.01,
    show_default=True,
    help="Measure until the 95 % interval is this narrow: half its width, as a fraction.",
)
@click.option(
    "--max-rounds",
    type=click.IntRange(12),
    default=150,
    show_default=True,
    help="Stop after this many rounds, whatever the intervals are.",
)
@json_option
def command(
    device_name: str,
    runtime: str,
    engine: str,
    dtype: str,
    space: str,
    resolution: tuple[int, ...],
    width: tuple[float, ...],
    threads: int | None,
    batch: int,
    cores: str,
    force: bool,
    fixed_performance: bool,
    no_heat_wait: bool,
    output: Path | None,
    fresh: bool,
    seed: int,
    target: float,
    max_rounds: int,
    as_json: bool,
) -> None:
    """Time every operator of a space on a device and write the LUT.

    Run the same command again to go on after an interruption; nothing that was measured is measured twice. Once the
    LUT is written, the next run measures its next revision.
    """
    from lutbench.cli.render import Progress, print_json
    from lutbench.cli.show import print_summary, summary
    from lutbench.device_agents.registry import find_device
    from lutbench.jobs.measure_request import check_target
    from lutbench.jobs.profile import ProfileRequest, profile
    from lutbench.measure.protocol import Protocol

    device = find_device(device_name)
    check_target(target)
    request = ProfileRequest(
        device=device,
        runtime=runtime,
        engine=engine,
        dtype=dtype,
        space=space,
        resolutions=resolution,
        widths=width,
        threads=threads or device.threads,
        batch=batch,
        cores=cores,
        force=force,
        fixed_performance=fixed_performance,
        heat_wait=not no_heat_wait,
        output=output,
        fresh=fresh,
        seed=seed,
        protocol=Protocol(target=target, max_rounds=max_rounds),
    )
    with Progress() as progress:
        lut = profile(request, progress)
    assert lut.path is not None  # it was just written
    if as_json:
        print_json({**summary(lut), "path": str(lut.path)})
        return
    print_summary(lut, slowest=0)
    say_next([lut.path], ["verify", "--lut", lut.path], ["search", "--lut", lut.path])
