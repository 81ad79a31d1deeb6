"""LUTs of FBNet's space whose numbers a test can compute itself."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from lutbench.lut.metadata import ContextSection, Metadata, SpaceSection
from lutbench.lut.row import Row, identity_row
from lutbench.lut.table import Lut
from lutbench.space.fbnet import fbnet
from lutbench.space.macro import Space
from lutbench.space.operator import Operator

METADATA = Metadata("host", "onnxruntime 1.31.1", "int8", 1, SpaceSection("fbnet", (224,), (1.0,)))
CANARIES = ("ir_k3_e1_g1_64x14x14_64_s1", "fc_1504_1000")


def made_row(operator: str, latency_us: float, half_width: float = 0.005) -> Row:
    low_us, high_us = latency_us * (1 - half_width), latency_us * (1 + half_width)
    return Row(operator, latency_us, low_us, high_us, latency_us, latency_us, latency_us, 36, 12)


def usual_us(operator: Operator) -> float:
    """An overhead of 2 us, and 10 us of work for whatever is not the empty graph."""
    return 2.0 if operator.kind == "overhead" else 12.0


def made_lut(
    slower: Callable[[Operator], float] = lambda _operator: 1.0,
    space: Space | None = None,
    half_width: float = 0.005,
    path: str = "a.csv",
    **metadata: Any,
) -> Lut:
    """Every operator of the space; slower: the factor over usual_us."""
    space = space or fbnet(224, 1.0)
    rows = [
        made_row(op.name, usual_us(op) * slower(op), half_width) if op.is_measured else identity_row(op.name)
        for op in space.operators
    ]
    section = SpaceSection(space.name, (space.resolution,), (space.width,))
    return Lut(replace(METADATA, **{"space": section, **metadata}), tuple(rows), Path(path))


def with_row(lut: Lut, row: Row) -> Lut:
    """The LUT with this row in place of the operator's own."""
    return replace(lut, rows=tuple(row if old.operator == row.operator else old for old in lut.rows))


def without(lut: Lut, *operators: str) -> Lut:
    return replace(lut, rows=tuple(row for row in lut.rows if row.operator not in operators))


def clocked(lut: Lut, canary_us: float, **others_us: float) -> Lut:
    """The LUT with the time that its run's small canary took, and those of others by their names."""
    context = replace(lut.metadata.context, canaries=CANARIES)
    quality = {**lut.metadata.quality, "canary_us": {"small": canary_us, **others_us}}
    return replace(lut, metadata=replace(lut.metadata, context=context, quality=quality))


def fitted(lut: Lut, **context: Any) -> Lut:
    return replace(lut, metadata=replace(lut.metadata, context=ContextSection(**context)))
