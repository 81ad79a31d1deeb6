"""From a reader's entries to a LUT of provenance "imported"; the same for every format."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

from lutbench import __version__
from lutbench.errors import LutError, UsageError
from lutbench.lut.importers.entry import Entry, LeftOut, Reading, printable
from lutbench.lut.importers.formats import Importer, find_importer
from lutbench.lut.importers.plausible import check_plausible
from lutbench.lut.importers.whole import missing_of, whole_space
from lutbench.lut.metadata import IMPORTED_SPACE, UNKNOWN, Metadata, SpaceSection, space_section
from lutbench.lut.row import Row, identity_row
from lutbench.lut.table import Lut
from lutbench.measure.statistics import Z_95
from lutbench.reading.files import read_bytes
from lutbench.reading.kinds import PUBLISHED_TABLE
from lutbench.space.fbnet import FBNET
from lutbench.space.find import find_spaces
from lutbench.space.macro import Space
from lutbench.units import TO_US


@dataclass(frozen=True)
class ImportRequest:
    """What to import and what the file does not say.

    unit: "" for the format's own.
    select: which part of the file.
    space, resolution: of a table whose rows do not say what they are; "" and None: FBNet's, where its columns are
        named so.
    batch: images that were run at once; None: one is assumed.
    fixed_us: what stem, head, pool and classifier take together where the file has no rows of them; None: not known.
    """

    path: Path
    format: str
    select: str = ""
    unit: str = ""
    device: str = ""
    runtime: str = UNKNOWN
    dtype: str = ""
    threads: int | None = None
    batch: int | None = None
    space: str = ""
    resolution: int | None = None
    fixed_us: float | None = None

    def __post_init__(self) -> None:
        if self.unit and self.unit not in TO_US:
            raise UsageError(f"no unit is called {self.unit!r}", remedy=f"there is {', '.join(TO_US)}")
        if not self.runtime.strip():
            raise UsageError("--runtime is empty", remedy="leave it out where it is not known")
        for name, value in (("device", self.device), ("runtime", self.runtime), ("dtype", self.dtype)):
            if not value.isprintable():
                raise UsageError(f"--{name} {value!r} holds characters that cannot be printed")


def import_table(request: ImportRequest) -> Lut:
    """The file's table as a LUT whose origin says where each thing comes from.

    LutError where the file is none of its format, UsageError where an option does not fit it.
    """
    importer = find_importer(request.format)
    if request.fixed_us is not None and not 0 <= request.fixed_us < math.inf:
        raise UsageError(f"--fixed-us {request.fixed_us:g} is not a number of microseconds")
    if request.select and not importer.selects:
        raise UsageError(f"{request.format} has nothing to select: such a file is of one device")
    data = read_bytes(request.path, PUBLISHED_TABLE)
    section, spaces = _wanted_space(request, importer)
    reading = importer.read(data, request.path, request.select, *(spaces if importer.of_space else ()))
    if not reading.names_columns and not request.space:
        raise UsageError(
            "the file says neither the space nor the image's size that its rows are of",
            path=request.path,
            remedy="--space fbnet --resolution 224, or --space FILE and its resolution",
        )
    unit = request.unit or importer.unit
    if not request.unit:
        check_plausible(reading.entries, unit, request.path, importer.unit_is, request.batch or 1)
    rows, too_short = _rows(reading.entries, unit)
    left_out = (*reading.left_out, *too_short)
    if not rows:
        first = f" (the first: {left_out[0]})" if left_out else ""
        raise LutError(f"holds no latency that a LUT can keep{first}", path=request.path)
    metadata = Metadata(
        device=request.device or printable(reading.device),
        runtime=request.runtime,
        dtype=request.dtype or reading.dtype,
        threads=request.threads or 1,
        batch=request.batch or 1,
        space=_space(request, importer, rows, section, spaces),
        provenance="imported",
        lutbench=__version__,
        origin=_origin(request, importer, spaces, reading, rows, left_out)
        | {"sha256": hashlib.sha256(data).hexdigest()},
    )
    return Lut(metadata, rows)


def _wanted_space(request: ImportRequest, importer: Importer) -> tuple[SpaceSection | None, tuple[Space, ...]]:
    """The space that was asked for, or whose rows a table without names is to hold; else none."""
    if not importer.of_space and not request.space:
        if request.resolution:
            raise UsageError(f"a file of {request.format} names its operators' shapes", remedy="leave --resolution out")
        return None, ()
    resolutions = (request.resolution,) if request.resolution else ()
    spaces, definition = find_spaces(request.space or FBNET.name, resolutions, (1.0,))
    return space_section(spaces, definition), spaces


def _space(
    request: ImportRequest,
    importer: Importer,
    rows: Sequence[Row],
    section: SpaceSection | None,
    spaces: Sequence[Space],
) -> SpaceSection:
    """A space where every operator to be searched is there: the one asked for, or any that comes along.

    UsageError where a file that names its operators lacks some of the space asked for.
    """
    there = {row.operator for row in rows}
    if section is None:
        return whole_space(there)
    missing = missing_of(there, spaces)
    if not missing:
        return section
    if not importer.of_space:
        raise UsageError(
            f"a file of {request.format} names its operators' shapes, and {len(missing)} of space {spaces[0].name} at"
            f" {spaces[0].label} are not among them (the first: {missing[0]})",
            path=request.path,
            remedy="leave --space out, or name the space and resolution that its rows are of",
        )
    return SpaceSection(IMPORTED_SPACE, (), ())


def _rows(entries: Sequence[Entry], unit: str) -> tuple[tuple[Row, ...], list[LeftOut]]:
    groups: dict[str, list[Entry]] = {}
    for entry in entries:
        groups.setdefault(entry.operator.name, []).append(entry)
    rows, left_out = [], []
    for name, group in sorted(groups.items()):
        if not group[0].operator.is_measured:
            rows.append(identity_row(name))
            continue
        row = _row(name, group, unit)
        if row is None:
            left_out += [
                LeftOut(entry.key, f"{entry.latency:g} {unit} is below 1 ns or beyond measure") for entry in group
            ]
        else:
            rows.append(row)
    return tuple(rows), left_out


def _row(name: str, group: Sequence[Entry], unit: str) -> Row | None:
    """One row for all of an operator's entries: their median, and an interval that covers all of theirs.

    One entry has the interval of its mean, or none (NaN) where the source states no spread. None: not a time.
    """
    to_us = TO_US[unit]
    values_us = [to_us(entry.latency) for entry in group]
    halves_us = [to_us(_half_width(entry)) for entry in group]
    latency_us = round(median(values_us), 3)
    is_rounded_away = latency_us == 0 < median(values_us)
    if is_rounded_away or not latency_us < math.inf or not all(value < math.inf for value in values_us):
        return None
    low_us = high_us = math.nan
    if len(group) > 1 or not math.isnan(halves_us[0]):
        wide_us = [0.0 if math.isnan(half) else half for half in halves_us]
        low_us = max(0.0, round(min(v - w for v, w in zip(values_us, wide_us, strict=True)), 3))
        high_us = round(max(v + w for v, w in zip(values_us, wide_us, strict=True)), 3)
    samples = sum(entry.count for entry in group)
    return Row(name, latency_us, low_us, high_us, math.nan, math.nan, math.nan, samples=samples, rounds=0)


def _half_width(entry: Entry) -> float:
    """Z_95 standard errors of the mean; NaN where the spread or the count is not stated."""
    return Z_95 * entry.std / math.sqrt(entry.count) if entry.count > 1 else math.nan


def _origin(
    request: ImportRequest,
    importer: Importer,
    spaces: Sequence[Space],
    reading: Reading,
    rows: Sequence[Row],
    left_out: Sequence[LeftOut],
) -> dict[str, Any]:
    part = f", {reading.select}" if importer.selects and reading.select else ""
    return {
        "source": printable(f"{request.path.name} ({request.format}{part})"),
        "format": request.format,
        "select": printable(reading.select),
        "unit": request.unit or importer.unit,
        **({} if request.fixed_us is None else {"fixed_us": request.fixed_us}),
        "rows": len(rows),
        "foreign": sum(row.parts.kind == "foreign" for row in rows),
        "left_out": [str(row) for row in left_out],
        "notes": list(_notes(request, importer, spaces, reading, rows)),
    }


def _notes(
    request: ImportRequest, importer: Importer, spaces: Sequence[Space], reading: Reading, rows: Sequence[Row]
) -> list[str]:
    """What of the rows is lutbench's doing and not the source's word, in sentences."""
    notes = list(reading.notes)
    groups: dict[str, list[float]] = {}
    for entry in reading.entries:
        groups.setdefault(entry.operator.name, []).append(entry.latency)
    measured = [row for row in rows if row.parts.is_measured]
    shared = {row.operator: groups[row.operator] for row in measured if len(groups[row.operator]) > 1}
    single = [row for row in measured if row.operator not in shared]
    if shared:
        notes.append(_shared_note(shared))
    if any(row.has_interval for row in single):
        notes.append("ci_low_us and ci_high_us: the mean -+ 1.96 std / sqrt(count)")
    zeros = [row.operator for row in measured if row.is_zero]
    if zeros:
        notes.append(
            f"rows of latency 0: {len(zeros)} (the first: {zeros[0]}); the source says so, and they cost a net nothing"
        )
    unknown = sum(not row.has_interval for row in single)
    if unknown:
        notes.append(f"rows without an interval: {unknown}; the source states no spread")
    unit = request.unit or importer.unit
    free_us = [TO_US[unit](entry.latency) for entry in reading.entries if not entry.operator.is_measured]
    if any(free_us):
        notes.append(f"an identity is 0 by definition; the source has up to {max(free_us):.3f} us for one")
    if importer.of_space:
        size = f"{spaces[0].label} of space {spaces[0].name}"
        said = "as asked for" if request.space and request.resolution else "--space and --resolution say otherwise"
        notes.append(f"the source does not state its space: its rows are taken as {size}; {said}")
    if request.threads is None:
        notes.append("the source does not state its threads: 1 is assumed")
    return notes


def _shared_note(shared: Mapping[str, Sequence[float]]) -> str:
    widest = max((max(values) / min(values) for values in shared.values() if min(values)), default=math.nan)
    apart = "" if math.isnan(widest) else f" (up to {widest:.2f} times apart)"
    return (
        f"operators with several values in the source: {len(shared)}{apart}; latency_us is"
        " their median, ci_low_us and ci_high_us cover them all"
    )
