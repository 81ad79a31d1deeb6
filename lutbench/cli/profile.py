"""`lutbench profile`"""

from __future__ import annotations

from typing import Any

import click

from lutbench.cli.help import HelpCommand
from lutbench.cli.next_steps import say_next
from lutbench.cli.options import (
    INTEGERS,
    NUMBERS,
    device_option,
    device_options,
    device_use_options,
    json_option,
    output_option,
    round_options,
)
from lutbench.export.exporters import ENGINES_HELP, EXPORTERS
from lutbench.measure.protocol import Protocol


@click.command("profile", cls=HelpCommand)
@device_option
@click.option(
    "--runtime", default="onnx", show_default=True, help=f"Run the operators with this runtime: {', '.join(EXPORTERS)}."
)
@click.option("--engine", default="", help=ENGINES_HELP)
@click.option(
    "--dtype", default="int8", show_default=True, help="Measure operators of this type: int8, fp32, or fp16 (coreml)."
)
@click.option(
    "--space",
    default="fbnet",
    show_default=True,
    help="Measure this search space: a name that `lutbench space --help` lists, or a file.",
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
@device_use_options
@output_option("Write the LUT here. [default: the device's, such as luts/host.csv]")
@click.option(
    "--seed", type=int, default=0, show_default=True, help="Seed the order within rounds and the choice of tuning nets."
)
@round_options(Protocol.max_rounds)
@json_option
def command(
    device_name: str,
    threads: int | None,
    no_heat_wait: bool,
    resolution: tuple[int, ...],
    width: tuple[float, ...],
    target: float,
    max_rounds: int,
    as_json: bool,
    **options: Any,
) -> None:
    """Time every operator of a space on a device and write the LUT.

    Run the same command again to go on after an interruption; nothing that was measured is measured twice. Once the
    LUT is written, the next run measures its next revision.
    """
    from lutbench.cli.render import Progress, print_json
    from lutbench.cli.show import print_summary, summary
    from lutbench.jobs.measure_request import check_target
    from lutbench.jobs.profile import ProfileRequest, profile

    check_target(target)
    request = ProfileRequest(
        resolutions=resolution,
        widths=width,
        protocol=Protocol(target=target, max_rounds=max_rounds),
        **device_options(device_name, threads, no_heat_wait),
        **options,  # named as the request's fields are
    )
    with Progress() as progress:
        lut = profile(request, progress)
    assert lut.path is not None  # it was just written
    if as_json:
        print_json({**summary(lut), "path": str(lut.path)})
        return
    print_summary(lut, slowest=0)
    say_next([lut.path], ["verify", "--lut", lut.path], ["search", "--lut", lut.path])
