"""Maps of layers x candidates: what stands in each cell, for one LUT and for two. The page and the charts draw them."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from lutbench.report.colours import ColourRange, latency_colours
from lutbench.report.compare import Pair, compare_rows, typical_ratio
from lutbench.report.side import Side
from lutbench.report.text import three_digits, times
from lutbench.space.candidate import Candidate
from lutbench.space.macro import Layer, Space
from lutbench.units import ms_from_us

_TWO_DECIMALS_FROM_MS = 0.095
_LONGEST_IN_US = 9999.5  # from here on a cell has no room for microseconds
State = Literal["ok", "identity", "failed", "missing", "none", "unsure"]


@dataclass(frozen=True)
class Cell:
    """One layer with one candidate.

    value: microseconds or a ratio; NaN where there is none.
    state: ok; identity (0, by definition or by an imported table's word); failed; missing from the LUT; none: the layer
        does not have the candidate; unsure: a ratio whose intervals overlap.
    note: all there is to say, in lines.
    """

    layer: int
    candidate: str
    state: State
    value: float
    text: str
    note: str


@dataclass(frozen=True)
class LayerMap:
    """A map of layers and candidates, a cell each.

    rows: one per layer of the space, each with a cell per candidate.
    """

    space: Space
    candidates: tuple[Candidate, ...]
    rows: tuple[tuple[Cell, ...], ...]

    @property
    def cells(self) -> tuple[Cell, ...]:
        return tuple(cell for row in self.rows for cell in row)

    @property
    def values(self) -> tuple[float, ...]:
        """The values of the cells that have a colour."""
        return tuple(cell.value for cell in self.cells if cell.state in ("ok", "unsure"))


def latency_map(side: Side, space: Space) -> LayerMap:
    """The side's latencies, microseconds."""
    return _map(space, lambda layer, candidate: _latency_cell(side, layer, candidate))


@dataclass(frozen=True)
class LatencyMaps:
    """The sides' maps of one space in common colours, microseconds.

    unit: of the cells' text, µs or ms.
    """

    maps: tuple[tuple[Side, LayerMap], ...]
    colours: ColourRange
    unit: str

    def in_unit(self, latency_us: float) -> str:
        return _milliseconds(latency_us) if self.unit == "ms" else three_digits(latency_us)


def latency_maps(sides: Sequence[Side], space: Space) -> LatencyMaps:
    """Maps of the sides that have a row of the space."""
    maps = [(side, latency_map(side, space)) for side in sides]
    shown = tuple((side, drawn) for side, drawn in maps if drawn.values)
    colours = latency_colours(*spread(drawn for _, drawn in shown))
    if colours.high < _LONGEST_IN_US:
        return LatencyMaps(shown, colours, "µs")
    return LatencyMaps(tuple((side, in_milliseconds(drawn)) for side, drawn in shown), colours, "ms")


def ratio_map(sides: Sequence[Side], space: Space) -> LayerMap:
    """A map of B's latencies over A's."""
    compared = compare_rows(sides[0].lut, sides[1].lut)
    pairs = {pair.operator: pair for pair in compared}
    typical = typical_ratio(compared)
    return _map(space, lambda layer, candidate: _ratio_cell(pairs, typical, layer, candidate))


def _map(space: Space, cell: Callable[[Layer, Candidate], Cell]) -> LayerMap:
    candidates = candidates_of(space)
    rows = tuple(
        tuple(cell(layer, c) if c in layer.candidates else _cell(layer, c, "none") for c in candidates)
        for layer in space.layers
    )
    return LayerMap(space, candidates, rows)


def candidates_of(space: Space) -> tuple[Candidate, ...]:
    """Every candidate that some layer has, in the space's order."""
    used = {candidate for layer in space.layers for candidate in layer.candidates}
    own = (candidate for layer in space.layers for candidate in layer.candidates)
    return tuple(dict.fromkeys(c for c in (*space.candidates, *own) if c in used))


def _cell(
    layer: Layer, candidate: Candidate, state: State, value: float = math.nan, text: str = "", note: str = ""
) -> Cell:
    where = f"Layer {layer.index + 1}, {candidate_label(candidate)}"
    return Cell(layer.index, candidate.name, state, value, text, f"{where}\n{note}" if note else where)


def _latency_cell(side: Side, layer: Layer, candidate: Candidate) -> Cell:
    operator = layer.operator(candidate)
    row = side.lut.by_operator.get(operator.name)
    if row is None:
        return _cell(layer, candidate, "missing", note=f"{operator.name}\nnot in the LUT")
    if not row.is_ok:
        return _cell(layer, candidate, "failed", text="✕", note=side.note(row))
    if row.latency_us == 0:  # an identity, or what the source of an imported table calls 0
        return _cell(layer, candidate, "identity", 0.0, "0", side.note(row))
    return _cell(layer, candidate, "ok", row.latency_us, three_digits(row.latency_us), side.note(row))


def _ratio_cell(pairs: Mapping[str, Pair], typical: float, layer: Layer, candidate: Candidate) -> Cell:
    operator = layer.operator(candidate)
    pair = pairs.get(operator.name)
    if pair is None or pair.a is None or pair.b is None:
        return _cell(layer, candidate, "missing", note=f"{operator.name}\n{pair.verdict if pair else 'in neither LUT'}")
    if pair.is_zero:
        return _cell(layer, candidate, "identity", text="0", note="\n".join([operator.name, *pair.notes]))
    if not math.isfinite(pair.ratio):
        return _cell(layer, candidate, "failed", text="✕", note="\n".join([operator.name, *pair.notes]))
    state: State = "ok" if pair.is_significant else "unsure"
    head = (
        f"B / A {times(pair.ratio)}: {pair.verdict}\n{times(pair.ratio / typical)} times the typical {times(typical)}"
    )
    return _cell(layer, candidate, state, pair.ratio, times(pair.ratio), "\n".join([operator.name, head, *pair.notes]))


def _milliseconds(latency_us: float) -> str:
    """Two decimals; three where two would leave a digit or none."""
    latency_ms = ms_from_us(latency_us)
    return times(latency_ms) if latency_ms >= _TWO_DECIMALS_FROM_MS else three_digits(latency_ms)


def in_milliseconds(drawn: LayerMap) -> LayerMap:
    """A map of latencies whose cells say milliseconds; the values stay microseconds."""
    rows = tuple(
        tuple(replace(cell, text=_milliseconds(cell.value)) if cell.state == "ok" else cell for cell in row)
        for row in drawn.rows
    )
    return replace(drawn, rows=rows)


def candidate_label(candidate: Candidate) -> str:
    """k5 e6, k3 e1 g2 or skip."""
    return candidate.name.replace("_", " ")


def spread(maps: Iterable[LayerMap]) -> tuple[float, float]:
    """Smallest and largest value of the maps, which common colours span; (1, 1) where there is none."""
    values = [value for one in maps for value in one.values]
    return (min(values), max(values)) if values else (1.0, 1.0)
