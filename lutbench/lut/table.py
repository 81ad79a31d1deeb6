"""LUT: one device, runtime, dtype, thread setting and batch; rows are operators."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lutbench.errors import LutError
from lutbench.lut.metadata import UNKNOWN, Metadata, profile_options
from lutbench.lut.row import COLUMNS, MAY_BE_UNKNOWN, UNIT, ColumnRows, Row, RowsByOperator, row_cells
from lutbench.lut.runtime_name import RuntimeName
from lutbench.space.macro import Space
from lutbench.space.operator import OVERHEAD, Operator

if TYPE_CHECKING:
    import pandas as pd

# the package a LUT's runtime is named by -> the options that ask for it
_RUNTIME_OPTIONS = {
    "executorch": " --runtime executorch",
    "torch": " --runtime torchscript{engine}",
    "coremltools": " --runtime coreml{engine}",
}


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
            return RowsByOperator(self.rows)
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
        name = RuntimeName.parse(meta.runtime)
        engine = f" --engine {name.inside}" if name.inside else ""
        runtime = _RUNTIME_OPTIONS.get(name.package, "").format(engine=engine)
        dtype = "" if meta.dtype == UNKNOWN else f" --dtype {meta.dtype}"
        threads = f" --threads {meta.threads}" if meta.threads > 1 else ""
        batch = f" --batch {meta.batch}" if meta.batch > 1 else ""
        choice = str(meta.environment.get("core_choice", ""))
        cores = f" --cores {choice}" if choice else ""
        return f"lutbench profile --device {device}{runtime}{dtype}{threads}{batch}{cores}"

    @property
    def replacing_command(self) -> str:
        """The command that measures what this LUT covers."""
        return f"{self.measure_command}{profile_options(self.metadata.space)}"

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
