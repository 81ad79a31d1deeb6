"""`lutbench report`"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import click

from lutbench.cli.help import HelpCommand
from lutbench.cli.options import LUT, output_option
from lutbench.cli.out import say


@click.command("report", cls=HelpCommand)
@click.argument("lut_paths", nargs=-1, required=True, type=LUT, metavar="LUT [LUT2]")
@output_option("Write the page here, such as page.html.")
@click.option(
    "--plot",
    "plots",
    type=click.Path(path_type=Path),
    multiple=True,
    help="Write the charts as files: host.png makes host-heatmap.png, host-nets.png and so on; .svg likewise.",
)
def command(lut_paths: tuple[Path, ...], output: Path | None, plots: tuple[Path, ...]) -> None:
    """Write one HTML page about a LUT, or about two and how they differ; or its charts as files.

    The page opens without a network: send it to whoever you like.
    """
    from lutbench.cli.luts import open_lut
    from lutbench.errors import UsageError
    from lutbench.files import check_writable
    from lutbench.report.charts.style import check_format
    from lutbench.report.page import write_report
    from lutbench.report.plots import write_plots

    if len(lut_paths) > 2:
        raise UsageError(f"a report is about one LUT or two, not {len(lut_paths)}")
    if output is None and not plots:
        raise UsageError("nothing to write", remedy="give -o page.html, --plot charts.png or both")
    for path in plots:
        check_format(path)
    outputs = [*([output] if output else []), *plots]
    _check_not_inputs(outputs, lut_paths)
    luts = [open_lut(path) for path in lut_paths]
    for path in outputs:
        check_writable(path)
    if output is not None:
        write_report(luts, output)
        say(str(output))
    for path in plots:
        for written in write_plots(luts, path):
            say(str(written))


def _check_not_inputs(outputs: Iterable[Path], lut_paths: Iterable[Path]) -> None:
    """UsageError where a result would replace a LUT."""
    from lutbench.errors import UsageError

    inputs = {path.resolve() for path in lut_paths}
    for path in outputs:
        if path.resolve() in inputs:
            raise UsageError("is one of the LUTs, which the report would replace", path=path, remedy="give another -o")
