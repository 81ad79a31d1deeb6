"""Random nets of a space within latency targets, each net that meets them as probable as any other.

To draw nets and to keep those that fit does not work where a target is tight: of FBNet's 10^21 nets one in millions may
fit. So paths are counted instead: how many ways there are to go on from a layer, given what is left of the first
target. A candidate is drawn in proportion to the ways behind it. Costs are rounded to cells for the counting, with a
margin at the window's ends, and what is outside the exact window is drawn again; so the draw is exact.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from lutbench.errors import UsageError
from lutbench.search.budget import WINDOW
from lutbench.search.latency import LatencyModel, net_at
from lutbench.space.net import Net

_CELLS = 2000  # of the first target
_AT_ONCE, _MOST_DRAWS = 2_000, 2_000_000
_BARREN = 20  # times that nothing new came: of a space with few nets that fit, all are found

_Floats = NDArray[np.float64]
_Ints = NDArray[np.int64]
Positions = tuple[int, ...]  # of each layer's candidate


def random_within(
    models: Sequence[LatencyModel], count: int, rng: np.random.Generator, targets_us: Sequence[float] | None
) -> list[Net]:
    """Up to count different random nets; fewer where there are no more, or so few that chance does not meet them.

    targets_us: each net is within all of them, and above WINDOW of one. UsageError where no net is found.
    """
    space = models[0].space
    found: dict[Positions, Net] = {}
    ways = None if targets_us is None else _Ways(models[0], targets_us[0], least_share=0 if models[1:] else WINDOW)
    barren = 0
    for _ in range(_MOST_DRAWS // _AT_ONCE):
        before = len(found)
        drawn = _any(models[0], rng) if ways is None else ways.draw(_AT_ONCE, rng)
        kept = drawn if targets_us is None else drawn[are_within(drawn, models, targets_us)]
        for row in kept:
            positions = tuple(int(position) for position in row)
            if positions not in found:
                found[positions] = net_at(space, positions, f"random_{len(found)}@{space.label}")
            if len(found) == count:
                return list(found.values())
        barren = 0 if len(found) > before or not found else barren + 1
        if barren == _BARREN:
            break
    if not found:
        raise UsageError("of 2 million random nets none meets all targets", remedy="change the targets a little")
    return list(found.values())


def _any(model: LatencyModel, rng: np.random.Generator) -> _Ints:
    """Random nets (N, layers), whatever they take."""
    counts = np.array([len(row) for row in model.cost_us])
    return rng.integers(0, counts, (_AT_ONCE, len(counts)))


class _Ways:
    """How many ways there are to go on: of each layer and each cell that is used up so far.

    least_share: of the target, that a net takes at least.
    """

    def __init__(self, model: LatencyModel, target_us: float, least_share: float) -> None:
        cell_us = target_us / _CELLS
        self._costs = [np.rint(np.array(row) / cell_us).astype(np.int64) for row in model.cost_us]
        margin = len(self._costs) // 2 + 2  # a cost is rounded by half a cell at most
        self._start = round(model.fixed_us / cell_us)
        end = np.zeros(_CELLS + margin + 1)
        end[max(0, int(least_share * _CELLS) - margin) :] = 1
        self._ways = [end]
        for costs in reversed(self._costs):
            after = self._ways[-1]
            self._ways.append(np.sum([_shifted(after, cost) for cost in costs], axis=0))
        self._ways.reverse()

    def draw(self, count: int, rng: np.random.Generator) -> _Ints:
        """Nets (N, layers); none where no net meets the target."""
        used = np.full(count, self._start)
        if self._start >= len(self._ways[0]) or self._ways[0][self._start] == 0:
            return np.empty((0, len(self._costs)), np.int64)
        chosen = np.empty((count, len(self._costs)), np.int64)
        for layer, costs in enumerate(self._costs):
            after = self._ways[layer + 1]
            cells = used[:, None] + costs
            ways = np.where(cells < len(after), after[np.minimum(cells, len(after) - 1)], 0.0)
            shares = ways.cumsum(axis=1)
            at = rng.random((count, 1)) * shares[:, -1:]
            chosen[:, layer] = (at >= shares).sum(axis=1)
            used = used + costs[chosen[:, layer]]
        return chosen


def _shifted(ways: _Floats, cost: int) -> _Floats:
    """The ways behind a candidate, by what is used up before it."""
    found = np.zeros_like(ways)
    if cost < len(ways):
        found[: len(ways) - cost] = ways[cost:]
    return found


def are_within(tried: _Ints, models: Sequence[LatencyModel], targets_us: Sequence[float]) -> NDArray[np.bool_]:
    """Which of the nets (N, layers) keep to every target, and use up WINDOW of at least one."""
    ratios = np.empty((len(models), len(tried)))
    for number, (model, target_us) in enumerate(zip(models, targets_us, strict=True)):
        latency_us = np.full(len(tried), model.fixed_us)
        for layer, costs in enumerate(model.cost_us):
            latency_us += np.array(costs)[tried[:, layer]]
        ratios[number] = latency_us / target_us
    worst: _Floats = ratios.max(axis=0)
    return (worst > WINDOW) & (worst <= 1)
