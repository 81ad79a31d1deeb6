"""The rows of a grid of which a part was measured: the others from measured rows that are alike.

Blocks of one family differ in their channels alone; where too few of them were measured, in their maps and strides,
too. Within a family a row is the overhead and a sum of costs times the
work of its layers, not below 0; work counts channels rounded up to the step at which the device grows (1, 8, 16 or 32),
for between steps nothing is assumed of it. What measured rows near it in channels lie off that sum by, it is taken to
lie off as well. The step, and whether neighbours count, are those by which measured rows are met best that were left
out; how well they are is what the LUT says of itself and how wide the rows' intervals are.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lutbench import __version__
from lutbench.errors import LutError
from lutbench.lut.metadata import space_section, timestamp
from lutbench.lut.row import Row, identity_row
from lutbench.lut.table import Lut
from lutbench.measure.statistics import Z_95
from lutbench.space.macro import Space, distinct_operators
from lutbench.space.operator import Operator

_STEPS = (1, 8, 16, 32)
_FOLDS = 5
_NEIGHBOURS = 4
_SPARE = 2  # rows of a family beyond its costs
_NEAR = 0.05  # octaves, squared, within which neighbours hardly differ

_Floats = NDArray[np.float64]
_Kin = tuple[Any, ...]
_Timed = tuple[Operator, float]
_LEVELS = 3


@dataclass(frozen=True)
class Filled:
    """A LUT of a whole space.

    measured: rows that are kept as they were.
    left_out_mean_error, left_out_max_error: fractions, by which measured rows were missed that were left out.
    """

    lut: Lut
    measured: int
    left_out_mean_error: float
    left_out_max_error: float


@dataclass(frozen=True)
class _Way:
    step: int
    near: bool


def fill(lut: Lut, spaces: Sequence[Space], definition: str, path: Path) -> Filled:
    """The space's rows; LutError where some are unlike all that were measured, or too few to learn from.

    lut: of single rows of the space's, whatever space it was measured for.
    """
    operators = distinct_operators(spaces)
    known = {row.operator: row for row in lut.rows if row.is_ok and row.samples}
    missing = [op for op in operators if op.is_measured and op.name not in known]
    if not missing:
        raise LutError("has every row of the space already", path=lut.path, remedy="use it as it is")
    families = _families(lut, missing, [(row.parts, row.latency_us) for row in known.values()])
    ways = [_Way(step, near) for near in (False, True) for step in _STEPS]
    errors = {way: np.concatenate([_left_out(family.rows, way) for family in families]) for way in ways}
    best = min(ways, key=lambda way: float(np.abs(errors[way]).mean()))
    spread = float(np.sqrt((errors[best] ** 2).mean()))
    found: dict[str, float] = {}
    for family in families:
        made = _predicted(family.rows, family.missing, best).tolist()
        found |= dict(zip([operator.name for operator in family.missing], made, strict=True))
    every = tuple(known.get(op.name) or _row(op, found.get(op.name, 0.0), spread) for op in operators)
    kept = sum(op.name in known for op in operators)
    mean, most = float(np.abs(errors[best]).mean()), float(np.abs(errors[best]).max())
    metadata = replace(
        lut.metadata,
        space=space_section(spaces, definition),
        provenance="estimated",
        measured_at=timestamp(),
        lutbench=__version__,
        revision=1,
        previous="",
        quality={},
        origin=_origin(lut, kept, len(found), best, (mean, most)),
    )
    return Filled(Lut(metadata, every, path), kept, mean, most)


def _origin(lut: Lut, kept: int, made: int, way: _Way, errors: tuple[float, float]) -> dict[str, Any]:
    name = lut.path.name if lut.path else lut.metadata.device
    return {
        "source": f"{kept} measured rows of {name}",
        "method": f"{made} rows from measured ones of the same family, channels in steps of {way.step}"
        + (", moved as their neighbours are" if way.near else "")
        + ": docs/explanation/estimate.md",
        "caution": f"a row that was not measured is off by {errors[0]:.1%} on average, as measured ones are that were"
        " left out",
        "left_out_mean_error": round(errors[0], 4),
        "left_out_max_error": round(errors[1], 4),
        "measured_rows": kept,
        "filled_rows": made,
        "step": way.step,
    }


@dataclass(frozen=True)
class _Family:
    """Measured rows that are alike, and operators like them that were not measured."""

    rows: tuple[_Timed, ...]
    missing: tuple[Operator, ...]


def _families(lut: Lut, missing: Sequence[Operator], rows: Sequence[_Timed]) -> list[_Family]:
    """The narrowest families that have rows enough; LutError where an operator has none."""
    by_kin: list[dict[_Kin, list[_Timed]]] = [{} for _ in range(_LEVELS)]
    for operator, latency_us in rows:
        if operator.is_measured and operator.of_kind.draw is not None:
            for level in range(_LEVELS):
                by_kin[level].setdefault(_kin(operator, level), []).append((operator, latency_us))
    found: dict[tuple[int, _Kin], list[Operator]] = {}
    for operator in missing:
        needed = len(_work(operator, 1)) + _SPARE
        alike = [len(by_kin[level].get(_kin(operator, level), ())) for level in range(_LEVELS)]
        wide_enough = [level for level, count in enumerate(alike) if count >= needed]
        if not wide_enough:
            raise LutError(
                f"has {alike[-1]} measured rows like {operator.name}, and {needed} are needed to fill it in",
                path=lut.path,
                remedy="measure more channels and expansions of such blocks",
            )
        level = wide_enough[0]
        found.setdefault((level, _kin(operator, level)), []).append(operator)
    return [_Family(tuple(by_kin[level][kin]), tuple(those)) for (level, kin), those in found.items()]


def _kin(operator: Operator, level: int) -> _Kin:
    """What rows that are alike have in common: all but channels; on further levels not the map, nor the stride."""
    options = tuple(option for option in operator.options if option[0] != "multiple")
    shape = ((operator.h_in, operator.w_in), (operator.stride, operator.keeps_shape))[level:]
    return (operator.kind, operator.kernel, operator.groups, bool(operator.expansion), options, shape)


def _work(operator: Operator, step: int) -> _Floats:
    """What a family's costs are of: 1, and the work of each convolution with its channels in steps."""
    graph = operator.graph
    found = [1.0]
    for node in graph.nodes[1:]:
        if node.kind not in ("conv", "fc", "global_pool", "avg_pool"):
            continue
        given, (channels, height, width) = graph.nodes[node.inputs[0]].shape, node.shape
        if node.kind.endswith("pool"):
            found.append(_up(given[0], step) * given[1] * given[2])
        elif node.groups == given[0]:
            found.append(_up(channels, step) * height * width * node.kernel**2)
        else:
            found.append(_up(given[0], step) * _up(channels, step) * height * width * node.kernel**2 / node.groups)
    return np.array(found)


def _up(channels: int, step: int) -> float:
    return math.ceil(channels / step) * step


def _predicted(rows: Sequence[_Timed], wanted: Sequence[Operator], way: _Way) -> _Floats:
    """Latencies of operators of one family from rows of it, microseconds."""
    from scipy.optimize import nnls

    latency_us = np.array([us for _, us in rows])
    work = np.array([_work(operator, way.step) for operator, _ in rows])
    scale = work.max(0)
    costs, _ = nnls(work / scale / latency_us[:, None], np.ones(len(rows)))
    fitted_us = work / scale @ costs
    made: _Floats = np.array([_work(operator, way.step) for operator in wanted]) / scale @ costs
    if not way.near:
        return made
    offs = np.log(latency_us / fitted_us)
    places, own = _places([operator for operator, _ in rows]), _places(wanted)
    apart = ((own[:, None] - places[None]) ** 2).sum(-1)
    nearest = np.argsort(apart, axis=1)[:, :_NEIGHBOURS]
    weights = 1 / (np.take_along_axis(apart, nearest, 1) + _NEAR)
    moved = (weights * offs[nearest]).sum(1) / (weights.sum(1) + 1)  # one more that lies off by nothing
    return np.asarray(made * np.exp(moved))


def _places(operators: Sequence[Operator]) -> _Floats:
    """Where operators of a family lie among each other: octaves of channels."""
    return np.log2([[operator.c_in, operator.mid_channels, operator.c_out] for operator in operators])


def _left_out(rows: Sequence[_Timed], way: _Way) -> _Floats:
    """The relative error of each row of a family when it, with a fifth of all, is left out."""
    order = np.random.default_rng(0).permutation(len(rows))
    found = np.zeros(len(rows))
    for fold in range(_FOLDS):
        out = [int(place) for place in order[fold::_FOLDS]]
        kept = [rows[int(place)] for place in order if place not in out]
        if out and kept:
            made = _predicted(kept, [rows[place][0] for place in out], way)
            found[out] = made / np.array([rows[place][1] for place in out]) - 1
    return found


def _row(operator: Operator, latency_us: float, spread: float) -> Row:
    if not operator.is_measured:
        return identity_row(operator.name)
    half_us = min(Z_95 * spread, 0.95) * latency_us
    low_us, middle_us, high_us = (round(us, 3) for us in (latency_us - half_us, latency_us, latency_us + half_us))
    return Row(operator.name, middle_us, low_us, high_us, math.nan, math.nan, math.nan, samples=0, rounds=0)
