"""LUT: one device, runtime, dtype, thread setting and batch; rows are operators."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from lutbench.errors import LutError, SpaceError
from lutbench.space.macro import Space
from lutbench.space.operator import OVERHEAD, Operator, parse_operator

if TYPE_CHECKING:
    import pandas as pd

SCHEMA = 1
Provenance = Literal["measured", "estimated", "imported"]
OK = "ok"
FAILED_PREFIX = "failed: "

PART_COLUMNS = ("kind", "c_in", "h_in", "w_in", "c_out", "kernel", "stride", "expansion", "groups")
LATENCY_COLUMNS = ("latency_us", "ci_low_us", "ci_high_us", "p10_us", "p90_us", "min_us")
PERCENTILE_COLUMNS = ("p10_us", "p90_us", "min_us")
COUNT_COLUMNS = ("samples", "rounds")
COLUMNS = ("operator", *PART_COLUMNS, *LATENCY_COLUMNS, *COUNT_COLUMNS, "status")
# the package a LUT's runtime is named by -> the options that ask for it
_RUNTIME_OPTIONS = {"executorch": " --runtime executorch", "torch": " --runtime torchscript{engine}"}


@dataclass(frozen=True)
class Row:
    """One operator's latency, microseconds: median over rounds, its 95 % interval, percentiles of samples.

    A failed row has NaN figures and says why in status; it is impossible to make an ok row without a latency.
    An identity is 0 by definition, with no samples. A row without samples has no percentiles: they are NaN.
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

    def __post_init__(self) -> None:
        if not self.is_ok:
            if not self.status.startswith(FAILED_PREFIX):
                raise LutError(f"status {self.status!r} is neither ok nor 'failed: reason'", operator=self.operator)
            return
        if not math.isfinite(self.latency_us):
            raise LutError(f"latency_us is {self.latency_us}, not a number of microseconds", operator=self.operator)
        if self.latency_us < 0 or (self.latency_us == 0 and self.parts.is_measured):
            raise LutError(f"latency_us {self.latency_us} is not positive", operator=self.operator)
        if not 0 <= self.ci_low_us <= self.latency_us <= self.ci_high_us:
            raise LutError("latency_us is not inside [ci_low_us, ci_high_us]", operator=self.operator)
        if self.samples < 0 or self.rounds < 0:
            raise LutError("samples or rounds is negative", operator=self.operator)
        percentiles = self.min_us, self.p10_us, self.p90_us
        if not self.samples and all(map(math.isnan, percentiles)):
            return
        if not 0 <= self.min_us <= self.p10_us <= self.p90_us < math.inf:
            raise LutError("min_us, p10_us and p90_us are not in order", operator=self.operator)

    @property
    def is_ok(self) -> bool:
        return self.status == OK

    @property
    def parts(self) -> Operator:
        return parse_operator(self.operator)

    @property
    def half_width(self) -> float:
        """Half the 95 % interval over the latency; 0 for an identity, infinite for a failed row."""
        if not self.is_ok:
            return math.inf
        return (self.ci_high_us - self.ci_low_us) / 2 / self.latency_us if self.latency_us else 0.0


def failed_row(operator: str, reason: str) -> Row:
    """A row that says why there is no latency. # and line ends would break the file's comments and lines."""
    text = " ".join(reason.replace("#", "no. ").split())[:200]
    return Row(operator, *(math.nan,) * 6, samples=0, rounds=0, status=FAILED_PREFIX + text)


def identity_row(operator: str) -> Row:
    """An identity's row: 0 by definition (FBNet, section 3.1: skip), not measured."""
    return Row(operator, *(0.0,) * 6, samples=0, rounds=0)


@dataclass(frozen=True)
class SpaceSection:
    """What the rows cover. definition: the TOML text of a user's own space, else empty."""

    name: str
    resolutions: tuple[int, ...]
    widths: tuple[float, ...]
    definition: str = ""


@dataclass(frozen=True)
class ContextSection:
    """How operators stood among others while they were timed, and what whole nets said of their sum.

    scale, operator_us: of prediction = overhead + sum of (operator_us + scale * (row - overhead)); net_error: mean
    absolute error of the nets they were fitted on, each left out in turn. nets: the keys of those, which nothing else
    may be judged by, and nets_us: their latencies then. canaries: the operators that watched the device.
    """

    depth: int = 0
    scale: float = 1.0
    scale_ci_low: float = 1.0
    scale_ci_high: float = 1.0
    operator_us: float = 0.0
    net_error: float = 0.0
    nets: tuple[str, ...] = ()
    nets_us: tuple[float, ...] = ()
    canaries: tuple[str, ...] = ()
    trials: tuple[Mapping[str, float], ...] = ()

    def __post_init__(self) -> None:
        if not 0 < self.scale_ci_low <= self.scale <= self.scale_ci_high < math.inf:
            raise LutError(f"scale {self.scale} is not inside its interval, or not positive")
        if self.operator_us < 0 or self.net_error < 0:
            raise LutError(f"operator_us {self.operator_us} or net_error {self.net_error} is negative")
        if len(self.nets) != len(self.nets_us):
            raise LutError(f"there are {len(self.nets)} nets and {len(self.nets_us)} nets_us")


@dataclass(frozen=True)
class Metadata:
    """Everything above the columns. origin: where the rows of an estimated or imported LUT come from."""

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
    """A latency lookup table: metadata and rows sorted by operator, each operator once."""

    metadata: Metadata
    rows: tuple[Row, ...]
    path: Path | None = None

    def __post_init__(self) -> None:
        for before, after in zip(self.rows, self.rows[1:], strict=False):
            if before.operator == after.operator:
                raise LutError("the operator is there twice", operator=after.operator, path=self.path)
            if before.operator > after.operator:
                raise LutError("rows are not sorted by operator", operator=after.operator, path=self.path)

    @cached_property
    def by_operator(self) -> dict[str, Row]:
        return {row.operator: row for row in self.rows}

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
        """The command that measures as this LUT was measured; the space and its scale are still to be added."""
        meta = self.metadata
        package, _, rest = meta.runtime.partition(" ")
        engine = rest.partition("(")[2].rstrip(")")
        runtime = _RUNTIME_OPTIONS.get(package, "").format(engine=f" --engine {engine}" if engine else "")
        threads = f" --threads {meta.threads}" if meta.threads > 1 else ""
        return f"lutbench profile --device {meta.device}{runtime} --dtype {meta.dtype}{threads}"

    def covers(self, space: Space) -> bool:
        """Whether the rows are of this space, at its resolution and width."""
        own = self.metadata.space
        return own.name == space.name and space.resolution in own.resolutions and space.width in own.widths

    @property
    def overhead_us(self) -> float:
        """What the runtime takes for an empty graph."""
        return self.latency_us(OVERHEAD)

    def to_frame(self) -> pd.DataFrame:
        """The rows as a pandas DataFrame with the file's columns."""
        import pandas as pd

        return pd.DataFrame([row_cells(row) for row in self.rows], columns=list(COLUMNS))


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
