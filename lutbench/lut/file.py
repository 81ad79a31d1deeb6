"""The LUT file: commented TOML above a CSV that pandas.read_csv(path, comment="#") and a spreadsheet open.

Written to a temporary file in the same folder, fsynced and renamed: a reader sees the old file or the new one.
"""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from typing import Any

import tomli_w

from lutbench.errors import LutError, OutputError, SpaceError
from lutbench.files import write_atomically
from lutbench.lut.header import metadata_from_toml, metadata_to_toml
from lutbench.lut.large import LARGE, read_columns
from lutbench.lut.metadata import SCHEMA, Provenance
from lutbench.lut.row import (
    COLUMNS,
    COUNT_COLUMNS,
    LATENCY_COLUMNS,
    MAY_BE_UNKNOWN,
    OK,
    PART_COLUMNS,
    UNIT,
    UNITS,
    Row,
    row_cells,
)
from lutbench.lut.table import Lut
from lutbench.reading import kinds
from lutbench.reading.plain import show
from lutbench.reading.sheet import Columns, is_rewritten, read_sheet, restored_comments
from lutbench.reading.text import read_text
from lutbench.reading.toml_text import parse_toml
from lutbench.space.operator import parse_operator

_SHEET = Columns(
    "operator",
    numbers=(*PART_COLUMNS[1:], *LATENCY_COLUMNS, *COUNT_COLUMNS),
    decimals=("latency_us",),
    large=True,
)


def format_lut(lut: Lut) -> str:
    """The file's text; latencies with 3 decimals (1 ns), so that measuring again changes only what changed."""
    header = tomli_w.dumps({"lutbench_lut": SCHEMA, "rows": len(lut.rows), **metadata_to_toml(lut.metadata)})
    text = io.StringIO()
    text.writelines(f"# {line}".rstrip() + "\n" for line in header.rstrip("\n").split("\n"))
    writer = csv.writer(text, lineterminator="\n")
    *most, status = COLUMNS
    writer.writerow([*most, UNIT, status] if lut.has_units else COLUMNS)
    writer.writerows(_cells(row, lut.has_units) for row in lut.rows)
    return text.getvalue()


def _cells(row: Row, has_units: bool) -> list[str]:
    values, name_and_parts = row_cells(row), 1 + len(PART_COLUMNS)
    parts = [f"{value:g}" if isinstance(value, float) else str(value) for value in values[:name_and_parts]]
    *figures, status = map(_cell, values[name_and_parts:])
    return [*parts, *figures, *([row.unit] if has_units else []), status]  # parts as in the name, however many decimals


def _cell(value: Any) -> str:
    if isinstance(value, float):
        if math.isnan(value):
            return ""
        return f"{value:.3f}" if math.isfinite(value) and value % 1 else f"{value:g}" if value < 1e6 else f"{value:.3f}"
    return str(value)


def write_lut(lut: Lut, path: Path) -> None:
    """Writes the LUT in one step; OutputError, with the old file whole, where that fails."""
    write_atomically(path, format_lut(lut).encode())


def is_lut(path: Path) -> bool:
    """Whether there is a file that begins as a LUT does."""
    return path.is_file() and read_text(path, kinds.LUT).startswith("# lutbench_lut")


def check_replaces(path: Path, provenance: Provenance, source_format: str = "") -> None:
    """OutputError where path holds anything but a LUT made this way, for an estimate must not replace a measurement.

    source_format: of an import; another format's is not replaced either.
    """
    if not path.exists():
        return
    try:
        old = read_lut(path).metadata
    except LutError as error:
        raise OutputError(
            "a file that is not a LUT is there and is not replaced", path=path, remedy="give another -o"
        ) from error
    old_format = str(old.origin.get("format", "")) if old.provenance == "imported" else ""
    if (old.provenance, old_format) != (provenance, source_format):
        kind = f"{old.provenance} ({old_format})" if old_format else old.provenance
        mine = f"{provenance} ({source_format})" if source_format else provenance
        raise OutputError(
            f"the LUT there is {kind}, which one {mine} does not replace", path=path, remedy="give another -o"
        )


def read_lut(path: Path) -> Lut:
    """The LUT in a file; LutError, with the line, for anything that is not a whole and sane LUT."""
    return parse_lut(read_text(path, kinds.LUT), path)


def parse_lut(text: str, path: Path) -> Lut:
    """The LUT in a file's text; path is named in errors and kept in the LUT."""
    sheet = read_sheet(text, _SHEET, path, kinds.LUT)
    count = len(sheet.comments)
    if not sheet.lines and text.startswith("# lutbench_lut"):
        raise LutError("the file is cut off within its header", path=path, line=count, remedy="measure again")
    comments = sheet.comments
    if is_rewritten(comments):
        comments = tuple(restored_comments(comments, sheet.separator, path, kinds.LUT))
    header = _header([line[2:] if line.startswith("# ") else line[1:] for line in comments], path)
    lines = [*comments, *_whole(sheet.lines, count, path)]
    rows: Sequence[Row] | None = read_columns(lines[count:-1]) if len(lines) - count > LARGE else None
    if rows is None:
        may_lack = MAY_BE_UNKNOWN.get(str(header.get("provenance")), ())
        rows = tuple(_rows(lines[count:], count, path, may_lack))
    expected = header.pop("rows", None)
    if expected != len(rows):
        raise LutError(
            f"the file has {len(rows)} rows where its header says {expected}: it is cut off or was edited", path=path
        )
    metadata = metadata_from_toml(header, list(comments), path)
    if isinstance(rows, tuple):
        _check_order(rows, count, path)
    return Lut(metadata, rows, path)


def _whole(lines: Sequence[str], count: int, path: Path) -> Sequence[str]:
    """The lines below the comments, the last of them empty; LutError where the file breaks off within a row."""
    if lines and lines[-1] == "":
        return lines
    if not lines or not lines[-1].endswith(f",{OK}"):  # else only the last line's end is missing
        raise LutError("the file is cut off in this line", path=path, line=count + len(lines), remedy="measure again")
    return [*lines, ""]


def _header(lines: list[str], path: Path) -> dict[str, Any]:
    try:
        header = parse_toml("\n".join(lines), path, kinds.LUT_HEADER, finite=False)
    except LutError as error:
        error.problem = f"is not a LUT: its header is {error.problem}"
        raise
    schema = header.pop("lutbench_lut", None)
    if not isinstance(schema, int) or isinstance(schema, bool):
        raise LutError("is not a LUT: the line '# lutbench_lut = 1' is missing", path=path)
    if schema > SCHEMA:
        writer = header.get("lutbench", "a newer version")
        raise LutError(
            f"schema {schema} is newer than this lutbench reads ({SCHEMA})",
            path=path,
            remedy=f"it was written by lutbench {writer}: upgrade to that or later",
        )
    if schema < 1:
        raise LutError(f"schema {schema} does not exist", path=path)
    return header


def _rows(lines: list[str], offset: int, path: Path, optional: Collection[str]) -> Iterator[Row]:
    reader = csv.reader(lines, strict=True)
    try:
        columns = next(reader, [])
        positions = _positions(columns, offset + 1, path)
        for cells in reader:
            line = offset + reader.line_num
            if not any(cells):
                continue
            if len(cells) != len(columns):
                raise LutError(f"{len(cells)} cells where there are {len(columns)} columns", path=path, line=line)
            yield _row({name: cells[position] for name, position in positions.items()}, line, path, optional)
    except csv.Error as error:
        raise LutError(f"not CSV: {error}", path=path, line=offset + reader.line_num) from error


def _positions(columns: list[str], line: int, path: Path) -> dict[str, int]:
    missing = [name for name in COLUMNS if name not in columns]
    if missing:
        raise LutError(f"column {', '.join(missing)} is missing", path=path, line=line)
    return {name: columns.index(name) for name in (*COLUMNS, UNIT) if name in columns}


def _row(cells: dict[str, str], line: int, path: Path, optional: Collection[str]) -> Row:
    try:
        operator = parse_operator(cells["operator"])
        for column in PART_COLUMNS:
            stated, actual = cells[column], getattr(operator, column)
            if stated != str(actual) and (column == "kind" or float(stated) != actual):
                raise LutError(f"column {column} says {stated}, the operator's name {actual}", operator=operator.name)
        failed = cells["status"] != "ok"
        latencies = {column: _number(cells, column, failed or column in optional) for column in LATENCY_COLUMNS}
        counts = {column: int(cells[column]) for column in COUNT_COLUMNS}
        figures: dict[str, Any] = {**latencies, **counts}
        return Row(operator.name, status=cells["status"], unit=_unit(cells), **figures)
    except LutError as error:
        error.path, error.line = path, line
        raise
    except SpaceError as error:
        raise LutError(error.problem, path=path, line=line) from error
    except ValueError as error:
        raise LutError(f"a cell is not a number ({error})", operator=cells["operator"], path=path, line=line) from error


def _unit(cells: dict[str, str]) -> str:
    unit = cells.get(UNIT, "")
    if unit not in UNITS:
        raise LutError(f"unit {show(unit)} is none of {', '.join(UNITS[1:])}", operator=cells["operator"])
    return unit


def _number(cells: dict[str, str], column: str, optional: bool) -> float:
    text = cells[column]
    if optional and text == "":
        return math.nan
    if text == "" or math.isnan(float(text)):
        raise LutError(f"{column} is {text or 'empty'}, not a number", operator=cells["operator"])
    return float(text)


def _check_order(rows: Sequence[Row], offset: int, path: Path) -> None:
    lines: dict[str, int] = {}
    for number, row in enumerate(rows):
        line = offset + 2 + number
        if row.operator in lines:
            raise LutError(
                f"the operator is there twice, first in line {lines[row.operator]}",
                operator=row.operator,
                path=path,
                line=line,
            )
        if number and row.operator < rows[number - 1].operator:
            raise LutError("rows are not sorted by operator", operator=row.operator, path=path, line=line)
        lines[row.operator] = line
