"""Tables of text as spreadsheets leave them: other separators, decimal commas, quoted and padded lines.

A spreadsheet that opens a table and saves it again separates cells by semicolons or tabs where its language has decimal
commas, quotes what holds a quote, fills every line up to the longest, and splits comments like any other line. Where
one reading is certain, the lines come back as they were before; else the error says what happened to the file.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from lutbench.reading.kinds import Kind
from lutbench.reading.text import split_lines

SEPARATORS = (",", ";", "\t")
_NAMES = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "vertical bars", " ": "blanks", ":": "colons"}
_HINT = re.compile(r'"?sep=(.)"?[,;\t]*', re.IGNORECASE)  # what Excel takes for a hint in the first line
_COMMENT = re.compile(r'[\s"]*#')
_DECIMAL_COMMA = re.compile(r"[+-]?\d*,\d+(?:[eE][+-]?\d+)?", re.ASCII)
_DECIMAL_POINT = re.compile(r"[+-]?\d*\.\d+(?:[eE][+-]?\d+)?", re.ASCII)
_ONLY_DIGITS = re.compile(r"[+-]?\d+", re.ASCII)
_NUMBER_LIKE = re.compile(r"[\s\d.,:/%+-]*\d[\s\d.,:/%+-]*", re.ASCII)
_MOST_WHOLE = 0.25  # share of whole numbers among figures that are written with three decimals: by chance 0.001
REMEDY = "save the table anew from its source; a spreadsheet may show it, and need not save it"


@dataclass(frozen=True)
class Columns:
    """What is known of a table's columns.

    key: one that every such table has.
    numbers: those that hold numbers.
    decimals: those whose numbers are written with decimals, where a table has all of them.
    large: a table that is as it was written is handed over as it is, for it may be long.
    """

    key: str
    numbers: Collection[str]
    decimals: Collection[str] = ()
    large: bool = False


@dataclass(frozen=True)
class Sheet:
    """A table that may have been saved by a spreadsheet.

    comments: the lines above the columns as they are.
    lines: the columns and all below, separated by commas.

    Together they are as many lines as the file has.

    separator: of the file.
    """

    comments: tuple[str, ...]
    lines: tuple[str, ...]
    separator: str


def read_sheet(text: str, columns: Columns, path: Path, kind: Kind) -> Sheet:
    """The table in a file's text; the kind's error, with the line, where a spreadsheet has left it open to doubt.

    What is no table at all comes back as it is.
    """
    lines = split_lines(text, path, kind)
    hint = _HINT.fullmatch(lines[0])
    start = 1 if hint else 0
    count = next((n for n in range(start, len(lines)) if not _is_aside(lines[n])), len(lines))
    comments = ("#" if n < start or _is_blank(line) else line for n, line in enumerate(lines[:count]))
    above = tuple(comments) if count < len(lines) else tuple(lines)
    if count == len(lines):
        return Sheet(above, (), ",")
    separator = _separator(lines[count], columns.key, hint[1] if hint else "")
    if separator is None:
        _check_other_separators(lines[count], columns.key, count + 1, path, kind)
        return Sheet(above, tuple(lines[count:]), ",")
    if columns.large and separator == "," and _is_bare(lines[count]) and not is_rewritten(above):
        return Sheet(above, tuple(lines[count:]), ",")
    return Sheet(above, tuple(_Converter(columns, separator, path, kind).lines(lines, count)), separator)


def is_rewritten(comments: Sequence[str]) -> bool:
    """Whether a spreadsheet has quoted comments, which it does where they hold quotes."""
    return any(line.lstrip().startswith('"') for line in comments)


def _is_aside(line: str) -> bool:
    return _is_blank(line) or _COMMENT.match(line) is not None


def _is_blank(line: str) -> bool:
    return not line.strip(' ,;\t"')


def _is_bare(line: str) -> bool:
    """Whether a line of columns is as it was written: names between commas, and nothing else."""
    return '"' not in line and not line.endswith(",") and not re.search(r"\s", line)


def _cells(line: str, separator: str) -> list[str]:
    """A line's cells, stripped, without empty ones at the end; a line that is one quoted cell is looked into."""
    for _ in range(2):
        cells = [cell.strip() for cell in next(csv.reader([line], delimiter=separator), [])]
        while cells and not cells[-1]:
            cells.pop()
        if len(cells) != 1 or cells[0] == line.strip():
            break
        line = cells[0]
    return cells


def _separator(line: str, key: str, hinted: str) -> str | None:
    """What parts the cells of the line of columns; None where the key is not among them."""
    order = (hinted, *SEPARATORS) if hinted in SEPARATORS else SEPARATORS
    try:
        found = [separator for separator in order if key in _cells(line, separator)]
    except csv.Error:
        return None
    return max(found, key=lambda separator: len(_cells(line, separator)), default=None)


def _check_other_separators(line: str, key: str, number: int, path: Path, kind: Kind) -> None:
    for separator in ("|", " ", ":"):
        cells = [cell.strip(' "') for cell in line.split(separator)]
        if key in cells and len(cells) > 1:
            raise kind.error(
                f"its columns are separated by {_NAMES[separator]}",
                path=path,
                line=number,
                remedy=f"separate them by {', '.join(_NAMES[s] for s in SEPARATORS[:-1])} or tabs",
            )


class _Converter:
    """Turns the lines of one file, cells parted by its separator, into those that were written."""

    def __init__(self, columns: Columns, separator: str, path: Path, kind: Kind) -> None:
        self._columns, self._separator, self._path, self._kind = columns, separator, path, kind
        self._names: list[str] = []
        self._with_decimals = False
        self._last = 0  # line of the file, which may be cut off
        self._comma_line = self._point_line = 0  # where the first decimal comma and the first decimal point stand
        self._written, self._whole = 0, 0  # figures that are to have decimals, and those of them that are whole

    def lines(self, lines: Sequence[str], count: int) -> Iterator[str]:
        """The line of columns and all below it, as many as there are."""
        self._names = _cells(lines[count], self._separator)
        self._with_decimals = set(self._columns.decimals) <= set(self._names)
        yield _joined(self._names)
        self._last = len(lines)
        reader = csv.reader(lines[count + 1 :], delimiter=self._separator, strict=True)
        done = 0
        try:
            for cells in reader:
                yield self._line(cells, count + 1 + reader.line_num)
                yield from [""] * (reader.line_num - done - 1)  # of a cell that goes over several lines
                done = reader.line_num
        except csv.Error as error:
            line = count + 1 + reader.line_num
            raise self._kind.error(f"not CSV: {error}", path=self._path, line=line) from error
        if self._written and self._whole > _MOST_WHOLE * self._written:
            raise self._kind.error(
                f"{self._whole} of its {self._written} figures are whole numbers, and they are written with three"
                " decimals: a spreadsheet took decimal points for separators of thousands",
                path=self._path,
                remedy=REMEDY,
            )

    def _line(self, cells: list[str], line: int) -> str:
        while len(cells) > len(self._names) and not cells[-1].strip():
            cells.pop()
        if not any(cell.strip() for cell in cells):
            return ""
        if _COMMENT.match(cells[0]):
            return "#"
        if not any(cell.strip() for cell in cells[1:]) and "," in cells[0] and len(self._names) > 1:
            cells = next(csv.reader([cells[0]], strict=True))  # the whole line was taken for one cell
        missing = self._names[len(cells) :]
        if line < self._last and not set(missing) & set(self._columns.numbers):
            cells += [""] * len(missing)  # Excel leaves empty cells at the end out, but for the first lines
        pairs = enumerate(cells)
        return _joined([self._cell(cell, self._name(place), line) for place, cell in pairs])

    def _name(self, place: int) -> str:
        return self._names[place] if place < len(self._names) else ""

    def _cell(self, cell: str, name: str, line: int) -> str:
        if name not in self._columns.numbers:
            return " ".join(cell.split("\n"))
        text = cell.strip()
        if "," in text:
            text = self._with_point(text, name, line)
        elif _DECIMAL_POINT.fullmatch(text):
            self._point_line = self._point_line or line
        if self._comma_line and self._point_line:
            raise self._kind.error(
                f"has decimal commas (line {self._comma_line}) and decimal points (line {self._point_line})",
                path=self._path,
                line=line,
                remedy=REMEDY,
            )
        if self._with_decimals and name in self._columns.decimals and text.strip("0"):
            self._written += 1
            self._whole += _ONLY_DIGITS.fullmatch(text) is not None
        return text

    def _with_point(self, text: str, name: str, line: int) -> str:
        if self._separator == "," or not _DECIMAL_COMMA.fullmatch(text):
            known = _DECIMAL_COMMA.fullmatch(text)
            doubt = f"may be {text.replace(',', '')} or {text.replace(',', '.')}" if known else "is not a number"
            raise self._kind.error(f"{name} {text} {doubt}", path=self._path, line=line, remedy=REMEDY)
        self._comma_line = self._comma_line or line
        return text.replace(",", ".")


def _joined(cells: Sequence[str]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="").writerow(cells)
    return text.getvalue()


def restored_comments(lines: Sequence[str], separator: str, path: Path, kind: Kind) -> list[str]:
    """Lines of TOML behind # as they were before a spreadsheet quoted, split at commas and padded them.

    The kind's error where a piece is a number or a date: spreadsheets write those in a way of their own.
    """
    found: list[str] = []
    in_list = False
    for number, line in enumerate(lines, start=1):
        text = _unsplit(line, separator, number, path, kind)
        bare = text.lstrip("# \t").rstrip()
        if in_list and bare and not bare.startswith("]") and not bare.endswith(","):
            text = f"{text.rstrip()},"  # the comma went with the empty cell behind it
        in_list = bare.endswith("= [") or (in_list and not bare.startswith("]"))
        found.append(text)
    return found


def _unsplit(line: str, separator: str, number: int, path: Path, kind: Kind) -> str:
    try:
        cells = next(csv.reader([line], delimiter=separator), [])
    except csv.Error as error:
        raise kind.error(f"not CSV: {error}", path=path, line=number) from error
    while cells and not cells[-1].strip():
        cells.pop()
    for cell in cells[1:]:
        if _NUMBER_LIKE.fullmatch(cell):
            raise kind.error(
                f"a spreadsheet split this line and took {cell.strip()} for a number: it may have stood otherwise",
                path=path,
                line=number,
                remedy=REMEDY,
            )
    return ",".join(cells) if cells else "#"
