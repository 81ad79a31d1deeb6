"""`lutbench diff`"""

from __future__ import annotations

from pathlib import Path

import click

from lutbench.cli.help import HelpCommand
from lutbench.cli.options import LUT, RATIO, json_option
from lutbench.cli.out import say


@click.command("diff", cls=HelpCommand)
@click.argument("a", type=LUT)
@click.argument("b", type=LUT)
@click.option(
    "--top", type=click.IntRange(0), default=10, show_default=True, help="List this many operators at either end."
)
@click.option("--all", "show_all", is_flag=True, help="List every operator.")
@click.option("--force", is_flag=True, help="Compare LUTs of different dtype, threads or batch, with a warning.")
@click.option(
    "--fail-over",
    "limit",
    type=RATIO,
    metavar="R",
    help="Exit with 1 where B / A is above R, such as 1.05 or 5%, for the mean of all operators or for any net.",
)
@click.option(
    "--each-operator",
    is_flag=True,
    help="Let --fail-over look at single operators too, where they differ significantly.",
)
@click.option("--csv", "csv_path", type=click.Path(path_type=Path), help="Write every operator's row to a CSV file.")
@click.option("--html", "html_path", type=click.Path(path_type=Path), help="Write an HTML page of both LUTs.")
@json_option
def command(
    a: Path,
    b: Path,
    top: int,
    show_all: bool,
    force: bool,
    limit: float | None,
    each_operator: bool,
    csv_path: Path | None,
    html_path: Path | None,
    as_json: bool,
) -> None:
    """Show what is slower or faster in LUT B than in LUT A.

    Ratios are B / A: 1.25 is a quarter slower in B. A ratio is significant where it is beyond the 95 % intervals of
    both latencies together, and beyond what the device's state explains. Operators that are in one LUT only, or failed,
    are listed and never fail a check.
    """
    from lutbench.cli.diff_text import diff_json, print_diff, write_rows
    from lutbench.cli.luts import open_lut
    from lutbench.cli.render import print_json
    from lutbench.errors import CheckFailedError, UsageError
    from lutbench.lut.diff import diff, worst_over

    if each_operator and limit is None:
        raise UsageError("--each-operator is of --fail-over", remedy="give both, or leave it out")
    for output in (csv_path, html_path):
        if output is not None and output.resolve() in (a.resolve(), b.resolve()):
            raise UsageError("is one of the LUTs to compare", path=output, remedy="write to another file")
    found = diff(open_lut(a), open_lut(b), force)
    for warning in found.warnings:
        say(f"warning: {warning}", err=True)
    if csv_path is not None:
        write_rows(found, csv_path)
    if html_path is not None:
        from lutbench.report.page import write_report

        write_report([found.a, found.b], html_path)
    if as_json:
        print_json(diff_json(found))
    else:
        print_diff(found, len(found.operators) if show_all else top)
    if limit is not None and (worst := worst_over(found, limit, each_operator)):
        raise CheckFailedError(worst)
