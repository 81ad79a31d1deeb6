"""Tables of whole nets' latencies, to fit costs to: CSV with a net and a latency per row, of one device or several.

Columns: net, and latency_ms or latency_us; where they are there also device, resolution, width, runtime, dtype,
threads, batch, key (which net it is, whatever it is called) and left_out (why a row must not be used). Others are
passed over; lines that start with # are comments. `lutbench bench -o` writes such a table, and the paper's comes along.
"""

from __future__ import annotations

import csv
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median

from lutbench.errors import LatencyTableError, UsageError
from lutbench.lut.importers.plausible import FASTEST_PER_S, SLOWEST_PER_S
from lutbench.reading.cells import unguarded
from lutbench.reading.kinds import NETS_TABLE
from lutbench.reading.sheet import Columns, read_sheet
from lutbench.reading.text import read_text
from lutbench.space.architecture import SUFFIX
from lutbench.space.graph import Model
from lutbench.space.macro import Space
from lutbench.space.net import Net
from lutbench.space.published import PUBLISHED_FILE, published_text
from lutbench.space.scale import format_width
from lutbench.space.zoo import find_whole_net
from lutbench.units import US_PER_MS, us_from_s

PUBLISHED = "published"  # the name of the table that comes along
_LARGEST_BATCH = 1024
_SAME = 0.05  # two columns of one latency differ by their rounding: 4.3 ms and 4,261 us
_MODEL_FILES = (".onnx", ".ort", ".pte")
_UNITS = {"latency_ms": US_PER_MS, "latency_us": 1.0}
# `bench -o` writes three decimals; a table by hand, which has no intervals, may have whole numbers
_SHEET = Columns(
    "net",
    numbers=("latency_ms", "latency_us", "ci_low_us", "ci_high_us", "resolution", "width", "mmacs", "params_m"),
    decimals=("latency_us", "ci_low_us", "ci_high_us"),
)


@dataclass(frozen=True)
class TimedNet:
    """A net and its latency, microseconds.

    line: of the table.
    """

    name: str
    net: Net | Model
    latency_us: float
    line: int


@dataclass(frozen=True)
class LatencyTable:
    """nets of one device.

    left_out: a line on every row of the device that is not used.
    settings: runtime, dtype and threads, where the rows agree on them.
    """

    nets: tuple[TimedNet, ...]
    left_out: tuple[str, ...]
    settings: dict[str, str]


Cells = dict[str, str]  # of a row, by column


def read_latencies(source: str, device: str, spaces: Sequence[Space]) -> LatencyTable:
    """The nets of a device in a table.

    source: a file, or `published`.
    spaces: for nets written as candidates.

    LatencyTableError, with the line, for what is no such table. Rows of nets whose architecture is not known are left
    out and listed.
    """
    path = Path(PUBLISHED_FILE if source == PUBLISHED else source)
    rows = read_rows(published_text() if source == PUBLISHED else None, path, "net")
    if not rows:
        raise LatencyTableError("has columns and no row", path=path)
    own = [(line, cells) for line, cells in rows if cells.get("device", device) == device]
    if not own:
        known = ", ".join(sorted({cells["device"] for _, cells in rows if cells.get("device")}))
        raise LatencyTableError(
            f"no row is of device {device!r}", path=path, remedy=f"it has {known}: --source-device" if known else ""
        )
    nets: dict[str, TimedNet] = {}
    left_out = []
    for line, cells in own:
        name = _name(cells)
        batch = _batch(cells, path, line)
        if batch > 1:
            left_out.append(f"{name}: of a batch of {batch} images, and costs are of single ones")
            continue
        if cells.get("left_out"):
            left_out.append(f"{name}: {cells['left_out']}")
            continue
        try:
            net = _find(cells, name, spaces)
        except UsageError as error:
            left_out.append(f"{name}: {error.problem}")
            continue
        timed = TimedNet(name, net, latency_us(cells, path, line), line)
        if net.key in nets:
            raise LatencyTableError(f"{name} is there twice, first in line {nets[net.key].line}", path=path, line=line)
        nets[net.key] = timed
    _check_unit(list(nets.values()), path)
    return LatencyTable(tuple(nets.values()), tuple(left_out), _settings([cells for _, cells in own]))


def _batch(cells: Cells, path: Path, line: int) -> int:
    text = cells.get("batch") or "1"
    if not (text.isascii() and text.isdecimal() and 1 <= int(text[:6]) <= _LARGEST_BATCH):
        raise LatencyTableError(f"batch {text!r} is not a number of images", path=path, line=line)
    return int(text)


def read_rows(text: str | None, path: Path, first: str) -> list[tuple[int, Cells]]:
    """Line number and cells of every row of a table with the column `first` and latencies.

    text: None for path's.
    """
    return list(_rows(read_text(path, NETS_TABLE) if text is None else text, path, first))


def _rows(text: str, path: Path, key: str) -> Iterator[tuple[int, Cells]]:
    """Line number and cells by column of every row."""
    sheet = read_sheet(text, replace(_SHEET, key=key), path, NETS_TABLE)
    rows = enumerate(sheet.lines, start=len(sheet.comments) + 1)
    lines = [(number, line) for number, line in rows if not line.startswith("#")]
    reader = csv.reader((line for _, line in lines), strict=True)
    try:
        columns = [column.strip() for column in next(reader, [])]
        latencies = [column for column in _UNITS if column in columns]
        twice = [column for column in dict.fromkeys(columns) if column and columns.count(column) > 1]
        if twice:
            problem = f"{' and '.join(twice)} {'are' if len(twice) > 1 else 'is'} there twice"
            raise LatencyTableError(problem, path=path, line=lines[0][0])
        if key not in columns or not latencies:
            first = lines[0][0] if lines else 1
            raise LatencyTableError(f"the columns {key} and {' or '.join(_UNITS)} are not there", path=path, line=first)
        for cells in reader:
            line = lines[reader.line_num - 1][0]
            if not any(cells):
                continue
            if len(cells) != len(columns):
                raise LatencyTableError(
                    f"{len(cells)} cells where there are {len(columns)} columns", path=path, line=line
                )
            yield line, dict(zip(columns, (unguarded(cell.strip()) for cell in cells), strict=True))
    except csv.Error as error:
        raise LatencyTableError(f"not CSV: {error}", path=path, line=lines[reader.line_num - 1][0]) from error


def _name(cells: Cells) -> str:
    """The net as its row names it, with its resolution and width where the row has them apart."""
    net, resolution = cells["net"], cells.get("resolution", "")
    if "@" in net or not resolution:
        return net
    try:
        return f"{net}@{resolution}x{format_width(float(cells.get('width') or 1))}"
    except ValueError:
        return net


def _find(cells: Cells, name: str, spaces: Sequence[Space]) -> Net | Model:
    """The net at the row's variant; a name that has its variant in itself, such as fbnet_96_035_1, as it is."""
    if key := cells.get("key"):
        return find_whole_net(_not_followed(key), tuple(spaces))
    _not_followed(cells["net"])
    try:
        plain = find_whole_net(cells["net"], tuple(spaces))
    except UsageError:
        return find_whole_net(name, tuple(spaces))
    own = plain if isinstance(plain, Model) else plain.space
    at = f"@{own.resolution}x{format_width(own.width)}"
    return plain if name == cells["net"] or name.endswith(at) else find_whole_net(name, tuple(spaces))


def _not_followed(text: str) -> str:
    """The text of a net; UsageError where it names a file, which a table cannot have opened."""
    suffix = Path(text.strip()).suffix.lower()
    if suffix == SUFFIX:
        raise UsageError("a file's name in a table is not followed: `lutbench bench -o` writes the net's key beside it")
    if suffix in _MODEL_FILES:
        raise UsageError("a model's file, of which costs of single operators cannot be told")
    return text


def latency_us(cells: Cells, path: Path, line: int) -> float:
    """The row's latency; LatencyTableError where it is not a positive number."""
    found = {column: _figure(cells, column, path, line) for column in _UNITS if cells.get(column)}
    if not found:
        raise LatencyTableError(f"{' and '.join(c for c in _UNITS if c in cells)}: empty", path=path, line=line)
    if max(found.values()) > (1 + _SAME) * min(found.values()):
        both = ", ".join(f"{column} {cells[column]}" for column in found)
        raise LatencyTableError(
            f"{both}: these are two latencies", path=path, line=line, remedy="mend one of the columns, or remove it"
        )
    return found.get("latency_us") or found["latency_ms"]  # of two, the one with more digits


def _figure(cells: Cells, column: str, path: Path, line: int) -> float:
    try:
        found_us = float(cells[column]) * _UNITS[column]
    except ValueError:
        raise LatencyTableError(f"{column} {cells[column]!r} is not a number", path=path, line=line) from None
    if not 0 < found_us < math.inf:
        raise LatencyTableError(f"{column} {cells[column]} is not a positive number", path=path, line=line)
    return found_us


def _check_unit(nets: Sequence[TimedNet], path: Path) -> None:
    """LatencyTableError where the nets would be far slower or faster than any device: another unit was written."""
    if not nets:
        return
    rate = median(timed.net.macs / timed.latency_us for timed in nets) * us_from_s(1.0)
    if not SLOWEST_PER_S <= rate <= FASTEST_PER_S:
        raise LatencyTableError(
            f"its nets would do {rate:.1e} multiply-accumulates a second (median), not between {SLOWEST_PER_S:.0e} and"
            f" {FASTEST_PER_S:.0e}",
            path=path,
            remedy="is the column in another unit? latency_ms holds milliseconds, latency_us microseconds",
        )


def _settings(rows: Sequence[Cells]) -> dict[str, str]:
    values = {column: {cells.get(column, "") for cells in rows} for column in ("runtime", "dtype", "threads")}
    return {column: found.pop() for column, found in values.items() if len(found) == 1 and "" not in found}
