"""A LUT's row: one operator's latency; and rows kept as columns."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, overload

from lutbench.errors import LutError, SpaceError
from lutbench.space.operator import Operator, parse_operator

OK = "ok"
FAILED_PREFIX = "failed: "
PART_COLUMNS = ("kind", "c_in", "h_in", "w_in", "c_out", "kernel", "stride", "expansion", "groups")
LATENCY_COLUMNS = ("latency_us", "ci_low_us", "ci_high_us", "p10_us", "p90_us", "min_us")
PERCENTILE_COLUMNS = ("p10_us", "p90_us", "min_us")
INTERVAL_COLUMNS = ("ci_low_us", "ci_high_us")
# What an ok row may lack, as NaN and an empty cell: an estimate has no samples, an import has what its source states.
MAY_BE_UNKNOWN: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {"measured": (), "estimated": PERCENTILE_COLUMNS, "imported": (*INTERVAL_COLUMNS, *PERCENTILE_COLUMNS)}
)
COUNT_COLUMNS = ("samples", "rounds")
COLUMNS = ("operator", *PART_COLUMNS, *LATENCY_COLUMNS, *COUNT_COLUMNS, "status")
UNIT = "unit"  # a further column, of LUTs whose rows were measured on a unit of several
UNITS = ("", "cpu", "gpu", "ane", "unreadable")


@dataclass(frozen=True)
class Row:
    """One operator's latency, microseconds: median over rounds, its 95 % interval, percentiles of samples.

    A failed row has NaN figures and says why in status; it is impossible to make an ok row without a latency.
    An identity is 0 by definition, with no samples. What MAY_BE_UNKNOWN lists may be NaN, and a source may say 0;
    Lut checks that its provenance allows it.

    unit: that it ran on (cpu, gpu, ane), `unreadable` where the system does not tell, "" where there is but one.
    """

    operator: str
    latency_us: float
    ci_low_us: float
    ci_high_us: float
    p10_us: float
    p90_us: float
    min_us: float
    samples: int
    rounds: int
    status: str = OK
    unit: str = ""

    def __post_init__(self) -> None:
        if not self.is_ok:
            if not self.status.startswith(FAILED_PREFIX):
                raise LutError(f"status {self.status!r} is neither ok nor 'failed: reason'", operator=self.operator)
            return
        if not math.isfinite(self.latency_us):
            raise LutError(f"latency_us is {self.latency_us}, not a number of microseconds", operator=self.operator)
        if self.latency_us < 0 or (self.is_zero and (self.rounds or self.has_percentiles)):
            raise LutError(f"latency_us {self.latency_us} is not positive", operator=self.operator)
        if not 0 <= self.ci_low_us <= self.latency_us <= self.ci_high_us and self.has_interval:
            raise LutError("latency_us is not inside [ci_low_us, ci_high_us]", operator=self.operator)
        if not 0 <= self.min_us <= self.p10_us <= self.p90_us < math.inf and self.has_percentiles:
            raise LutError("min_us, p10_us and p90_us are not in order", operator=self.operator)
        if self.samples < 0 or self.rounds < 0:
            raise LutError("samples or rounds is negative", operator=self.operator)

    @property
    def is_ok(self) -> bool:
        return self.status == OK

    @property
    def is_zero(self) -> bool:
        """Whether it is a latency of 0 of something that does work, which only a table of somebody else's may have."""
        return self.latency_us == 0 and self.parts.is_measured

    @property
    def has_interval(self) -> bool:
        """False where ci_low_us and ci_high_us are both NaN."""
        return not (math.isnan(self.ci_low_us) and math.isnan(self.ci_high_us))

    @property
    def has_percentiles(self) -> bool:
        """False where min_us, p10_us and p90_us are all NaN."""
        return not all(math.isnan(value) for value in (self.min_us, self.p10_us, self.p90_us))

    @property
    def parts(self) -> Operator:
        return parse_operator(self.operator)

    @property
    def half_width(self) -> float:
        """Half the 95 % interval over the latency; 0 for an identity, infinite for a failed row or no interval."""
        if not self.is_ok or not self.has_interval:
            return math.inf
        if not self.latency_us:
            return math.inf if self.ci_high_us else 0.0
        return (self.ci_high_us - self.ci_low_us) / 2 / self.latency_us


def interval_quality(rows: Sequence[Row], target: float) -> dict[str, Any]:
    """The share of measured operators whose half-width is within the target, those outside it, how many failed."""
    measured = [row for row in rows if row.parts.is_measured]
    good = [row for row in measured if row.is_ok]
    outside = [row.operator for row in good if row.half_width > target]
    return {
        "target": target,
        "within_target": (len(good) - len(outside)) / len(measured) if measured else 0.0,
        "outside_target": outside,
        "failed": len(measured) - len(good),
    }


def failed_row(operator: str, reason: str) -> Row:
    """A row that says why there is no latency. # and line ends would break the file's comments and lines."""
    text = " ".join(reason.replace("#", "no. ").split())[:200]
    return Row(operator, *(math.nan,) * 6, samples=0, rounds=0, status=FAILED_PREFIX + text)


def identity_row(operator: str) -> Row:
    """An identity's row: 0 by definition (FBNet, section 3.1: skip), not measured."""
    return Row(operator, *(0.0,) * 6, samples=0, rounds=0)


class ColumnRows(Sequence[Row]):
    """Rows kept as columns; a Row is made where one is asked for, so that a large LUT is read and compared without.

    columns: for each of COLUMNS its values, all equally long, sorted by operator, and known to make Rows.
    """

    def __init__(self, columns: Mapping[str, Sequence[Any]]) -> None:
        self.columns = columns

    def __len__(self) -> int:
        return len(self.columns["operator"])

    @overload
    def __getitem__(self, index: int) -> Row: ...
    @overload
    def __getitem__(self, index: slice) -> tuple[Row, ...]: ...
    def __getitem__(self, index: int | slice) -> Row | tuple[Row, ...]:
        if isinstance(index, slice):
            return tuple(self[number] for number in range(len(self))[index])
        figures = {name: self.columns[name][index] for name in (*LATENCY_COLUMNS, *COUNT_COLUMNS)}
        return Row(self.columns["operator"][index], status=self.columns["status"][index], **figures)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, (tuple, ColumnRows)) and tuple(self) == tuple(other)

    __hash__ = None  # type: ignore[assignment]


class RowsByOperator(Mapping[str, Row]):
    """Operator's name -> its row, of rows kept as columns."""

    def __init__(self, rows: ColumnRows) -> None:
        self._rows = rows
        self._places = {name: place for place, name in enumerate(rows.columns["operator"])}

    def __getitem__(self, operator: str) -> Row:
        return self._rows[self._places[operator]]

    def __contains__(self, operator: object) -> bool:
        return operator in self._places

    def __iter__(self) -> Iterator[str]:
        return iter(self._places)

    def __len__(self) -> int:
        return len(self._places)


def row_cells(row: Row) -> list[Any]:
    """A row's values in the order of COLUMNS."""
    try:
        parts = row.parts
    except SpaceError as error:
        raise LutError(error.problem, operator=row.operator) from error
    return [
        row.operator,
        *(getattr(parts, column) for column in PART_COLUMNS),
        *(getattr(row, column) for column in (*LATENCY_COLUMNS, *COUNT_COLUMNS)),
        row.status,
    ]
