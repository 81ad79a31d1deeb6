"""`lutbench estimate`"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from lutbench.cli.help import HelpCommand
from lutbench.cli.options import INTEGERS, LUT, NUMBERS, json_option, output_option
from lutbench.cli.out import say

if TYPE_CHECKING:
    from lutbench.lut.estimate import Estimate


MOST_NETS_SHOWN = 20


@click.command("estimate", cls=HelpCommand)
@click.argument("table")
@click.option("--device", required=True, help="Name the device that the LUT is of, as `lutbench devices` lists it.")
@click.option("--source-device", help="Use the table's rows of this device. [default: the name given to --device]")
@output_option("Write the LUT here.", required=True)
@click.option("--prior", type=LUT, help="Start from this device's estimated LUT and scale it.")
@click.option("--rows", default="", help="Also fit operators that were timed alone: a CSV, or `published` (the S8's).")
@click.option(
    "--space",
    default="fbnet",
    show_default=True,
    help="Fill rows for this search space: a name that `lutbench space --help` lists, or a file.",
)
@click.option(
    "--resolution",
    type=INTEGERS,
    default=(),
    help="Fill rows at these input sizes, such as 224,192. [default: the space's own]",
)
@click.option(
    "--width",
    type=NUMBERS,
    default=(1.0,),
    help="Multiply all widths by each of these, such as 1.0,0.5. [default: 1.0]",
)
@click.option("--runtime", default="", help="Say what ran the nets. [default: as the table says]")
@click.option(
    "--dtype", default="", help="Say what type the nets had: int8 or fp32. [default: as the table says, else int8]"
)
@click.option(
    "--threads",
    type=click.IntRange(1, 256),
    help="Say how many threads ran the nets. [default: as the table says, else 1]",
)
@json_option
def command(
    table: str,
    device: str,
    source_device: str | None,
    output: Path,
    prior: Path | None,
    rows: str,
    space: str,
    resolution: tuple[int, ...],
    width: tuple[float, ...],
    runtime: str,
    dtype: str,
    threads: int | None,
    as_json: bool,
) -> None:
    """Make a LUT for a device of which only whole nets' latencies are known, or a part of the operators.

    TABLE is a CSV with the columns net and latency_ms or latency_us, as `lutbench bench -o` writes it, or `published`
    for the paper's own. Costs of each kind of work are fitted to the nets; the rows made of them have wide intervals,
    and the LUT says everywhere that it is an estimate.

    TABLE may be a measured LUT that has a part of the space's rows, such as fewer channels and expansions: they are
    kept, and the others are made of rows that are alike. How far off measured rows are that were left out is printed
    and kept in the LUT.
    """
    from lutbench.cli.luts import open_lut
    from lutbench.cli.render import Progress, print_json
    from lutbench.files import check_writable
    from lutbench.lut.estimate import EstimateRequest, estimate
    from lutbench.lut.file import check_replaces, is_lut, write_lut

    check_writable(output)
    check_replaces(output, "estimated")
    if is_lut(Path(table)):
        _fill(Path(table), device, (space, resolution, width), output, as_json)
        return
    request = EstimateRequest(
        source=table,
        device=device,
        source_device=source_device or device,
        space=space,
        resolutions=resolution,
        widths=width,
        prior=open_lut(prior) if prior else None,
        rows=rows,
        runtime=runtime,
        dtype=dtype,
        threads=threads,
    )
    with Progress(first="fitting the costs of each kind of work to the nets"):
        found = estimate(request, output)
    write_lut(found.lut, output)
    if as_json:
        print_json({"lut": str(output), "rows": len(found.lut.rows), **found.lut.metadata.origin})
    else:
        _print(found)
    left_out = found.table.left_out
    for text in left_out[:MOST_NETS_SHOWN]:
        say(f"left out: {text}", err=True)
    if len(left_out) > MOST_NETS_SHOWN:
        say(f"left out: {len(left_out) - MOST_NETS_SHOWN} more, listed in the LUT", err=True)


def _fill(
    part: Path, device: str, wanted: tuple[str, tuple[int, ...], tuple[float, ...]], output: Path, as_json: bool
) -> None:
    """A LUT of the whole space from one that has a part of its rows."""
    from lutbench.cli.luts import open_lut
    from lutbench.cli.render import Progress, print_json
    from lutbench.errors import UsageError
    from lutbench.lut.file import write_lut
    from lutbench.lut.fill import fill
    from lutbench.space.find import find_spaces
    from lutbench.units import format_percent

    lut = open_lut(part)
    if lut.metadata.device != device or lut.metadata.provenance != "measured":
        raise UsageError(
            f"{part} is a {lut.metadata.provenance} LUT of {lut.metadata.device}",
            remedy=f"only measured rows are filled up; --device {lut.metadata.device}",
        )
    spaces, definition = find_spaces(*wanted)
    with Progress(first="filling in the rows that were not measured"):
        found = fill(lut, spaces, definition, output)
    write_lut(found.lut, output)
    if as_json:
        print_json({"lut": str(output), "rows": len(found.lut.rows), **found.lut.metadata.origin})
        return
    origin = found.lut.metadata.origin
    say(
        f"{output}: {len(found.lut.rows):,} rows, {found.measured:,} of them as measured and {origin['filled_rows']:,}"
        f" filled in; rows that were left out are met to {format_percent(found.left_out_mean_error)} on average"
        f" (largest {format_percent(found.left_out_max_error)})"
    )


def _print(found: Estimate) -> None:
    from lutbench.cli.render import print_table
    from lutbench.units import format_latency, format_percent

    fit = found.fit
    shown = fit.nets
    if len(shown) > MOST_NETS_SHOWN:
        shown = tuple(sorted(shown, key=lambda net: -abs(net.left_out_error))[:MOST_NETS_SHOWN])
    print_table(
        "",
        {"net": False, "latency": True, "fitted": True, "error": True, "left out": True, "its error": True},
        [
            [
                net.net,
                format_latency(net.latency_us),
                format_latency(net.fitted_us),
                format_percent(net.error),
                format_latency(net.left_out_us),
                format_percent(net.left_out_error),
            ]
            for net in shown
        ],
        caption="left out: predicted by a fit without this net"
        + (f"; the {len(shown)} of {len(fit.nets)} nets that are missed most" if len(shown) < len(fit.nets) else ""),
    )
    units = found.lut.metadata.origin["cost_units"]
    print_table(
        "",
        {"kind of work": False, "cost": True, "95 % interval": True, "unit": False},
        [
            [kind, f"{cost:.1f}", " .. ".join(f"{end:.1f}" for end in fit.cost_interval(kind)), units[kind]]
            for kind, cost in fit.costs.items()
        ],
    )
    metadata = found.lut.metadata
    say(
        f"taken as: {metadata.dtype}, {metadata.threads} thread{'s' * (metadata.threads > 1)}, runtime"
        f" {metadata.runtime}; space {metadata.space.name} at {', '.join(map(str, metadata.space.resolutions))} x"
        f" {', '.join(f'{width:g}' for width in metadata.space.widths)}"
    )
    say(
        f"{found.lut.path}: {len(found.lut.rows)} rows estimated from {len(fit.nets)} nets; mean error"
        f" {format_percent(fit.mean_error)}, of nets left out {format_percent(fit.left_out_mean_error)}"
        f" (largest {format_percent(fit.left_out_max_error)})"
    )
