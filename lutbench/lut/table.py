"""LUT: one device, runtime, dtype, thread setting and batch; rows are operators."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal, overload

from lutbench.errors import LutError, SpaceError
from lutbench.measure.in_net import TERMS, InNet
from lutbench.reading.plain import show
from lutbench.space.find import kept_spaces
from lutbench.space.macro import Space
from lutbench.space.operator import OVERHEAD, Operator, parse_operator

if TYPE_CHECKING:
    import pandas as pd

SCHEMA = 1
Provenance = Literal["measured", "estimated", "imported"]
UNKNOWN = "unknown"  # a device, runtime or dtype that the source of an imported LUT does not state
IMPORTED_SPACE = "imported"  # the space of rows that are not the whole of a space that comes along
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
# the package a LUT's runtime is named by -> the options that ask for it
_RUNTIME_OPTIONS = {
    "executorch": " --runtime executorch",
    "torch": " --runtime torchscript{engine}",
    "coremltools": " --runtime coreml{engine}",
}


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


class _RowsByOperator(Mapping[str, Row]):
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


@dataclass(frozen=True)
class SpaceSection:
    """What the rows cover.

    definition: the TOML text of a user's own space, else empty.
    """

    name: str
    resolutions: tuple[int, ...]
    widths: tuple[float, ...]
    definition: str = ""

    @property
    def spaces(self) -> tuple[Space, ...]:
        """One space per resolution and width; none for imported rows of no space.

        UsageError or SpaceFileError where the space is not known here.
        """
        if self.name == IMPORTED_SPACE and not self.definition:
            return ()
        return kept_spaces(self.name, self.resolutions, self.widths, self.definition)


def space_section(spaces: Sequence[Space], definition: str = "") -> SpaceSection:
    """What rows of these spaces, one in several variants, cover."""
    return SpaceSection(
        spaces[0].name,
        tuple(dict.fromkeys(space.resolution for space in spaces)),
        tuple(dict.fromkeys(space.width for space in spaces)),
        definition,
    )


@dataclass(frozen=True)
class ContextSection:
    """The section that says how operators stood among others while they were timed, and what whole nets said of their
    sum.

    scale, operator_us, terms: what an operator costs inside a net, as `lutbench.measure.in_net` has it; microseconds,
        and microseconds per million elements.
    net_error, net_spread: mean absolute and root mean square error of the nets they were fitted on, each left out in
        turn; a LUT of an earlier version has no spread (0).
    net_noise: mean absolute difference between those nets' halves, by worker process: what no prediction gets below.
    nets: the keys of those, which nothing else may be judged by, and nets_us: their latencies then.
    canaries: the operators that watched the device.
    chains: numbers of copies of whose times the rows are the slopes; rows are then without the overhead of a call.
    """

    depth: int = 0
    scale: float = 1.0
    scale_ci_low: float = 1.0
    scale_ci_high: float = 1.0
    operator_us: float = 0.0
    terms: Mapping[str, float] = field(default_factory=dict)
    net_error: float = 0.0
    net_spread: float = 0.0
    net_noise: float = 0.0
    nets: tuple[str, ...] = ()
    nets_us: tuple[float, ...] = ()
    canaries: tuple[str, ...] = ()
    trials: tuple[Mapping[str, float], ...] = ()
    chains: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        if not 0 < self.scale_ci_low <= self.scale <= self.scale_ci_high < math.inf:
            raise LutError(f"scale {self.scale} is not inside its interval, or not positive")
        if min(self.net_error, self.net_spread, self.net_noise) < 0:
            raise LutError("net_error, net_spread or net_noise is negative")
        if unknown := sorted(set(self.terms) - set(TERMS)):
            raise LutError(f"this version does not know the term {show(unknown[0])} of a net's latency")
        for name, value in self.terms.items():
            if not isinstance(value, (int, float)) or isinstance(value, bool) or not math.isfinite(value):
                raise LutError(f"terms.{name} is {show(value)}, not a number of microseconds")
        if len(self.nets) != len(self.nets_us):
            raise LutError(f"there are {len(self.nets)} nets and {len(self.nets_us)} nets_us")

    @property
    def in_net(self) -> InNet:
        """What an operator costs inside a net."""
        return InNet(self.scale, self.operator_us, self.terms, with_call=not self.chains)


def timestamp() -> str:
    """Now, as measured_at has it: 2026-11-20T15:21:27Z."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


@dataclass(frozen=True)
class Metadata:
    """Everything above the columns.

    origin: where the rows of an estimated or imported LUT come from.
    """

    device: str
    runtime: str
    dtype: str
    threads: int
    space: SpaceSection
    provenance: Provenance = "measured"
    revision: int = 1
    previous: str = ""
    batch: int = 1
    measured_at: str = ""
    lutbench: str = ""
    context: ContextSection = field(default_factory=ContextSection)
    origin: Mapping[str, Any] = field(default_factory=dict)
    environment: Mapping[str, Any] = field(default_factory=dict)
    quality: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Lut:
    """A latency lookup table: metadata and rows sorted by operator, each operator once.

    rows: a tuple, or ColumnRows where a large LUT was read.
    """

    metadata: Metadata
    rows: Sequence[Row]
    path: Path | None = None

    def __post_init__(self) -> None:
        if isinstance(self.rows, ColumnRows):
            return
        for before, after in zip(self.rows, self.rows[1:], strict=False):
            if before.operator == after.operator:
                raise LutError("the operator is there twice", operator=after.operator, path=self.path)
            if before.operator > after.operator:
                raise LutError("rows are not sorted by operator", operator=after.operator, path=self.path)
        may_lack = MAY_BE_UNKNOWN[self.metadata.provenance]
        no_interval, no_percentiles = "ci_low_us" in may_lack, "p10_us" in may_lack
        for row in self.rows:
            if row.is_ok and not ((row.has_interval or no_interval) and (row.has_percentiles or no_percentiles)):
                raise LutError("the row has no interval or no percentiles", operator=row.operator, path=self.path)
            if row.is_zero and self.metadata.provenance != "imported":
                raise LutError(f"latency_us {row.latency_us} is not positive", operator=row.operator, path=self.path)

    @cached_property
    def by_operator(self) -> Mapping[str, Row]:
        if isinstance(self.rows, ColumnRows):
            return _RowsByOperator(self.rows)
        return {row.operator: row for row in self.rows}

    @cached_property
    def failed(self) -> frozenset[str]:
        """The operators whose rows have no latency."""
        return frozenset(row.operator for row in self.rows if not row.is_ok)

    @cached_property
    def columns(self) -> Mapping[str, Sequence[Any]]:
        """The rows' values by column: for each of COLUMNS one per row."""
        if isinstance(self.rows, ColumnRows):
            return self.rows.columns
        cells = [row_cells(row) for row in self.rows]
        return {name: [row[place] for row in cells] for place, name in enumerate(COLUMNS)}

    def latency_us(self, operator: Operator) -> float:
        """The operator's latency; LutError, with the command that would measure it, where there is none."""
        row = self.by_operator.get(operator.name)
        if row is None:
            raise LutError(
                "the LUT has no row for this operator",
                operator=operator.name,
                path=self.path,
                remedy=f"measure a space that has it: {self.measure_command} --space SPACE -o LUT",
            )
        if not row.is_ok:
            raise LutError(f"the row {row.status}", operator=operator.name, path=self.path)
        return row.latency_us

    @property
    def measure_command(self) -> str:
        """The command that measures as this LUT was measured; the space and its variants are still to be added.

        A device that is not known is left for the reader to name (DEVICE), a dtype that is not known is left out.
        """
        meta = self.metadata
        device = "DEVICE" if meta.device == UNKNOWN else meta.device
        package, _, rest = meta.runtime.partition(" ")
        engine = rest.partition("(")[2].rstrip(")")
        runtime = _RUNTIME_OPTIONS.get(package, "").format(engine=f" --engine {engine}" if engine else "")
        dtype = "" if meta.dtype == UNKNOWN else f" --dtype {meta.dtype}"
        threads = f" --threads {meta.threads}" if meta.threads > 1 else ""
        batch = f" --batch {meta.batch}" if meta.batch > 1 else ""
        choice = str(meta.environment.get("core_choice", ""))
        cores = f" --cores {choice}" if choice else ""
        return f"lutbench profile --device {device}{runtime}{dtype}{threads}{batch}{cores}"

    def covers(self, space: Space) -> bool:
        """Whether the rows are of this space, at its resolution and width, and are all there.

        A merged LUT may have 224x1.0 and 192x0.5 without 224x0.5.
        """
        own = self.metadata.space
        same_variant = own.name == space.name and space.resolution in own.resolutions and space.width in own.widths
        return same_variant and all(operator.name in self.by_operator for operator in space.operators)

    def covered(self, spaces: Sequence[Space]) -> tuple[Space, ...]:
        """Those of spaces that the rows cover; all where they cover none, so that a prediction says what is missing."""
        return tuple(space for space in spaces if self.covers(space)) or tuple(spaces)

    @property
    def overhead_us(self) -> float:
        """What the runtime takes for an empty graph; 0 for an imported LUT whose source timed none.

        Such a source predicts a net by the plain sum of its rows, and so does lutbench from it.
        """
        if self.metadata.provenance == "imported" and OVERHEAD.name not in self.by_operator:
            return 0.0
        return self.latency_us(OVERHEAD)

    @cached_property
    def has_units(self) -> bool:
        """Whether rows say which unit they ran on."""
        return not isinstance(self.rows, ColumnRows) and any(row.unit for row in self.rows)

    def to_frame(self) -> pd.DataFrame:
        """The rows as a pandas DataFrame with the file's columns."""
        import pandas as pd

        units = {UNIT: [row.unit for row in self.rows]} if self.has_units else {}
        return pd.DataFrame({**self.columns, **units})


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
