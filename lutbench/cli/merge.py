"""`lutbench merge`"""

from __future__ import annotations

from pathlib import Path

import click

from lutbench.cli.help import HelpCommand
from lutbench.cli.options import LUT, json_option, output_option
from lutbench.cli.out import say


@click.command("merge", cls=HelpCommand)
@click.argument("paths", nargs=-1, required=True, type=LUT, metavar="A B...")
@output_option("Write the merged LUT here; not over one of A B....", required=True)
@click.option(
    "--conflict",
    type=click.Choice(["narrower", "refuse"]),
    default="narrower",
    show_default=True,
    help="Keep the row with the narrower 95 % interval where LUTs differ on an operator, or refuse to merge.",
)
@json_option
def command(paths: tuple[Path, ...], output: Path, conflict: str, as_json: bool) -> None:
    """Put LUTs of one device, runtime, dtype, thread setting, batch and space together into one.

    Resolutions and widths may differ. What else differs is refused.
    """
    from lutbench.cli.luts import open_lut
    from lutbench.cli.render import print_json
    from lutbench.errors import UsageError
    from lutbench.files import check_writable
    from lutbench.lut.file import write_lut
    from lutbench.lut.merge import ON_CONFLICT, merge

    if len(paths) < 2:
        raise UsageError("one LUT is nothing to merge", remedy="name two or more")
    if output.resolve() in {path.resolve() for path in paths}:
        raise UsageError("is one of the LUTs to merge", path=output, remedy="give another -o")
    for number, path in enumerate(paths):
        if path.resolve() in {other.resolve() for other in paths[:number]}:
            raise UsageError("is named twice, and a LUT merged with itself is itself", path=path)
    luts = [open_lut(path) for path in paths]
    check_writable(output)
    found = merge(luts, next(way for way in ON_CONFLICT if way == conflict))
    for warning in found.warnings:
        say(f"warning: {warning}", err=True)
    write_lut(found.lut, output)
    failed = sum(not row.is_ok for row in found.lut.rows)
    if as_json:
        print_json(
            {
                "output": str(output),
                "rows": len(found.lut.rows),
                "failed": failed,
                "conflicts": list(found.conflicts),
                "sources": [{"path": str(p), "rows": n} for p, n in zip(paths, found.rows_from, strict=True)],
                "resolutions": list(found.lut.metadata.space.resolutions),
                "widths": list(found.lut.metadata.space.widths),
                "scale": found.lut.metadata.context.scale,
                "operator_us": found.lut.metadata.context.operator_us,
                "net_error": found.lut.metadata.context.net_error,
                "warnings": list(found.warnings),
            }
        )
        return
    shares = ", ".join(f"{number} from {path}" for path, number in zip(paths, found.rows_from, strict=True))
    say(f"{output}: {len(found.lut.rows)} rows ({failed} failed): {shares}")
    if found.conflicts:
        say(f"different latencies of {len(found.conflicts)} of them, the narrower interval kept")
