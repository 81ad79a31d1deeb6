"""What `verify` measured, net by net: a CSV file beside the LUT's journals, one per revision of the LUT.

The LUT itself holds only the summary; the file is for pictures and for whoever wants to look closer.
"""

from __future__ import annotations

import csv
import dataclasses
import io
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from lutbench.errors import LutError
from lutbench.files import write_atomically
from lutbench.lut.journal_place import journal_folder
from lutbench.reading.cells import guarded, unguarded
from lutbench.reading.kinds import VERIFIED
from lutbench.reading.sheet import Columns, read_sheet
from lutbench.reading.text import read_text


@dataclass(frozen=True)
class NetResult:
    """One net, microseconds.

    predicted_us: by the LUT's rows and what the tuning nets ask for now.
    uncorrected_us: by the LUT alone.
    half_a_us, half_b_us: of alternate rounds.
    """

    net: str
    predicted_us: float
    uncorrected_us: float
    measured_us: float
    half_a_us: float
    half_b_us: float

    @property
    def error(self) -> float:
        return self.predicted_us / self.measured_us - 1

    @property
    def noise(self) -> float:
        return abs(self.half_a_us / self.half_b_us - 1)


COLUMNS = tuple(field.name for field in dataclasses.fields(NetResult))


def results_path(lut_path: Path, revision: int) -> Path:
    """The file that keeps the results for this revision of a LUT: host.csv -> host.journal/verify-r3.csv."""
    return journal_folder(lut_path) / f"verify-r{revision}.csv"


def write_results(results: Sequence[NetResult], path: Path) -> None:
    """Writes the nets' results in one step, microseconds with 3 decimals."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    for result in results:
        net, *figures = dataclasses.astuple(result)
        writer.writerow([guarded(net), *(f"{figure:.3f}" for figure in figures)])
    write_atomically(path, text.getvalue().encode())


def read_results(path: Path) -> tuple[NetResult, ...]:
    """The nets' results in a file; LutError, with the line, where it is not one that `verify` wrote."""
    remedy = "`lutbench verify` writes it anew; without it a report goes by the LUT alone"
    try:
        text = read_text(path, VERIFIED)
    except LutError as error:
        raise LutError(error.problem, path=path, line=error.line, remedy=remedy) from error
    sheet = read_sheet(text, Columns("net", COLUMNS[1:], decimals=COLUMNS[1:], large=True), path, VERIFIED)
    reader = csv.reader([*sheet.comments, *sheet.lines], strict=True)
    try:
        if tuple(next(reader, ())) != COLUMNS:
            raise LutError(f"is not verify's results: its columns are not {','.join(COLUMNS)}", path=path, line=1)
        return tuple(_result(cells) for cells in reader if any(cells))
    except (csv.Error, ValueError) as error:
        raise LutError(f"is not verify's results ({error})", path=path, line=reader.line_num, remedy=remedy) from error


def _result(cells: Sequence[str]) -> NetResult:
    """ValueError where the cells are not a net and five positive numbers."""
    if len(cells) != len(COLUMNS):
        raise ValueError(f"{len(cells)} cells where there are {len(COLUMNS)} columns")
    net, *figures = cells
    numbers = [float(figure) for figure in figures]
    for figure, number in zip(figures, numbers, strict=True):
        if not (math.isfinite(number) and number > 0):
            raise ValueError(f"{figure} is not a positive number of microseconds")
    return NetResult(unguarded(net), *numbers)
