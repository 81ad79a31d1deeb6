"""`lutbench import`"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from lutbench.cli.help import HelpCommand
from lutbench.cli.luts import what_it_is
from lutbench.cli.options import json_option, output_option
from lutbench.cli.out import say

if TYPE_CHECKING:
    from lutbench.lut.table import Lut

_SHOWN = 3  # left-out rows that are named; the LUT's origin has them all


@click.command("import", cls=HelpCommand)
@click.argument("format_name", metavar="FORMAT")
@click.argument("file", type=click.Path(path_type=Path))
@output_option("Write the LUT here.", required=True)
@click.option("--select", default="", help="Take this part of the file: a device (hw-nas-bench) or an op_dtype (nni).")
@click.option("--unit", default="", help="Read latencies in this unit: s, ms, us or ns. [default: the format's own]")
@click.option("--device", default="", help="Name the device. [default: what the file says, else unknown]")
@click.option("--runtime", default="unknown", show_default=True, help="Say what ran the operators, with its version.")
@click.option(
    "--dtype", default="", help="Say what type they had: int8, fp32, ... [default: what the file says, else unknown]"
)
@click.option("--threads", type=click.IntRange(1, 256), help="Say how many threads ran them. [default: 1 is assumed]")
@click.option(
    "--batch", type=click.IntRange(1, 1024), help="Say how many images were run at once. [default: 1 is assumed]"
)
@click.option(
    "--space", default="", help="Say which space the rows are of: a name, or a TOML file of your own. fbnet-text asks."
)
@click.option(
    "--resolution",
    type=click.IntRange(1, 4096),
    help="Say at which input size that space is. [default: the space's own]",
)
@click.option(
    "--fixed-us",
    type=click.FloatRange(0),
    help="Say what stem, head, pool and classifier take together where the file has no rows of them.",
)
@json_option
def command(
    format_name: str,
    file: Path,
    output: Path,
    select: str,
    unit: str,
    device: str,
    runtime: str,
    dtype: str,
    threads: int | None,
    batch: int | None,
    space: str,
    resolution: int | None,
    fixed_us: float | None,
    as_json: bool,
) -> None:
    """Make a LUT of a latency table that others published.

    FORMAT is ofa (once-for-all, ProxylessNAS: YAML), hw-nas-bench (pickle), nni (lut.txt, or JSON or YAML) or
    fbnet-text (a row per layer, a column per candidate). Where a file leaves two readings open, such as microseconds or
    milliseconds, the option that decides is asked for. What is not an operator of lutbench is kept under its own name,
    foreign_...; what cannot be kept is listed, here and in the LUT.
    """
    from lutbench.cli.render import print_json
    from lutbench.files import check_writable
    from lutbench.lut.file import check_replaces, write_lut
    from lutbench.lut.importers.build import ImportRequest, import_table
    from lutbench.lut.importers.formats import find_importer

    find_importer(format_name)
    check_writable(output)
    check_replaces(output, "imported", format_name)
    request = ImportRequest(
        file, format_name, select, unit, device, runtime, dtype, threads, batch, space, resolution, fixed_us
    )
    lut = import_table(request)
    write_lut(lut, output)
    if as_json:
        print_json({"lut": str(output), **summary(lut)})
    else:
        _print(lut, output)


def summary(lut: Lut) -> dict[str, Any]:
    """What was imported; left_out: every row that was not, with the reason."""
    meta = lut.metadata
    return {
        **what_it_is(lut),
        "space": meta.space.name,
        "resolutions": list(meta.space.resolutions),
        **meta.origin,
    }


def _print(lut: Lut, output: Path) -> None:
    from lutbench.lut.coverage import lacking_note
    from lutbench.lut.metadata import IMPORTED_SPACE

    meta, origin = lut.metadata, lut.metadata.origin
    space = meta.space
    sizes = ", ".join(str(size) for size in space.resolutions)
    own = origin["rows"] - origin["foreign"]
    lines = {
        "LUT": str(output),
        "source": f"{origin['source']}, latencies in {origin['unit']}",
        "device": f"{meta.device}; runtime {meta.runtime}, dtype {meta.dtype}",
        "space": "not the whole of one" if space.name == IMPORTED_SPACE else f"{space.name} at {sizes}",
        "rows": f"{origin['rows']}: {own} operators of lutbench, {origin['foreign']} kept as foreign",
        "left out": str(len(origin["left_out"])),
    }
    width = max(len(name) for name in lines)
    for name, text in lines.items():
        say(f"{name:{width}}  {text}")
    if lacking := lacking_note(lut):
        say(f"note: {lacking}", err=True)
    for note in origin["notes"]:
        say(f"note: {note}", err=True)
    for text in origin["left_out"][:_SHOWN]:
        say(f"left out: {text}", err=True)
    if len(origin["left_out"]) > _SHOWN:
        say(f"left out: {len(origin['left_out']) - _SHOWN} more, all in [origin] of the LUT", err=True)
