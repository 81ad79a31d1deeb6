"""Random nets of a space within latency targets, each net that meets them as probable as any other.

To draw nets and to keep those that fit does not work where a target is tight: of FBNet's 10^21 nets one in millions may
fit. So paths are counted instead: how many ways there are to go on from a decision, given what is left of the first
target. An option is drawn in proportion to the ways behind it. Costs are rounded to cells for the counting, with a
margin at the window's ends, and what is outside the exact window is drawn again; so the draw is exact.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from lutbench.errors import UsageError
from lutbench.search.budget import WINDOW
from lutbench.search.chain import Floats, Ints
from lutbench.search.grid_costs import CostModel, SumModel, option_counts, parts_with_targets
from lutbench.space.decisions import net_at
from lutbench.space.net import Net

_CELLS = 2000  # of the first target
_AT_ONCE, _MOST_DRAWS = 2_000, 2_000_000
_BARREN = 20  # times that nothing new came: of a space with few nets that fit, all are found

Positions = tuple[int, ...]  # of the option in each decision


def random_within(
    models: Sequence[CostModel], count: int, rng: np.random.Generator, targets_us: Sequence[float] | None
) -> list[Net]:
    """Up to count different random nets; fewer where there are no more, or so few that chance does not meet them.

    targets_us: each net is within all of them, and above WINDOW of one. UsageError where no net is found or asked for.
    """
    if count < 1:
        raise UsageError(f"{count} nets cannot be drawn", remedy="1 or more")
    space = models[0].space
    found: dict[Positions, Net] = {}
    ways = None if targets_us is None else _Draws(models[0], targets_us[0], is_alone=not models[1:])
    barren = 0
    for _ in range(_MOST_DRAWS // _AT_ONCE):
        before = len(found)
        drawn = _any(models[0], rng) if ways is None else ways.draw(_AT_ONCE, rng)
        kept = drawn if targets_us is None else drawn[are_within(drawn, models, targets_us)]
        for row in kept:
            positions = tuple(int(position) for position in row)
            if positions not in found:
                found[positions] = net_at(space, positions, f"random_{len(found)}@{{label}}")
            if len(found) == count:
                return list(found.values())
        barren = 0 if len(found) > before or not found else barren + 1
        if barren == _BARREN:
            break
    if not found:
        raise UsageError("of 2 million random nets none meets all targets", remedy="change the targets a little")
    return list(found.values())


def _any(model: CostModel, rng: np.random.Generator) -> Ints:
    """Random nets (N, decisions), whatever they take."""
    counts = np.array(option_counts(model))
    return rng.integers(0, counts, (_AT_ONCE, len(counts)))


class _Draws:
    """Random nets within a target, of a cost that may be the largest of several sums.

    The sums are chosen between in proportion to the nets that each lets in, and a net counts where its largest sum is
    the one that it was drawn by: so each has one way to come.
    """

    def __init__(self, model: CostModel, target_us: float, is_alone: bool) -> None:
        self._parts = model.parts
        self._ways = [_Ways(part, target_us, is_alone) for part in model.parts]

    def draw(self, count: int, rng: np.random.Generator) -> Ints:
        """Up to count nets (N, decisions); none where no net meets the target."""
        numbers = np.array([ways.number for ways in self._ways])
        if not self._parts[1:] or not numbers.any():
            return self._ways[0].draw(count, rng)
        counts = rng.multinomial(count, numbers / numbers.sum())
        drawn = [
            nets[self._largest(nets) == number]
            for number, (ways, share) in enumerate(zip(self._ways, counts, strict=True))
            for nets in [ways.draw(int(share), rng)]
        ]
        found: Ints = rng.permutation(np.concatenate(drawn))
        return found

    def _largest(self, nets: Ints) -> Ints:
        """The number of each net's largest sum; the first of equals."""
        found: Ints = np.array([part.chain.totals(nets) for part in self._parts]).argmax(axis=0)
        return found


class _Ways:
    """How many ways there are to go on: of each decision, each state and each cell that is used up so far.

    is_alone: whether the target is the only one, so that each net takes WINDOW of it.
    """

    def __init__(self, model: SumModel, target_us: float, is_alone: bool) -> None:
        target, chain = model.warm.total(target_us), model.chain
        least_share = model.warm.total(WINDOW * target_us) / target if is_alone else 0
        cell = target / _CELLS
        rounded = [np.rint(cost / cell).astype(np.int64) for cost in chain.costs]
        # neighbours may save more than an operator takes: what each decision saves at most is counted in advance
        saved = [min(0, int(costs.min())) for costs in rounded]
        self._costs = [costs - most for costs, most in zip(rounded, saved, strict=True)]
        self._states = chain.states
        margin = len(self._costs) // 2 + 2  # a cost is rounded by half a cell at most
        fixed = round(chain.fixed / cell)
        self._start, advance = max(0, fixed), max(0, -fixed) - sum(saved)
        end = np.zeros((int(self._states[-1].max()) + 1, advance + _CELLS + margin + 1))
        end[:, max(0, advance + int(least_share * _CELLS) - margin) :] = 1
        self._ways = [end]
        for costs, to in zip(reversed(self._costs), reversed(self._states), strict=True):
            after = self._ways[-1]
            self._ways.append(
                np.array(
                    [
                        np.sum([_shifted(after[s], c) for c, s in zip(row, ends, strict=True)], axis=0)
                        for row, ends in zip(costs, to, strict=True)
                    ]
                )
            )
        self._ways.reverse()

    @property
    def number(self) -> float:
        """The nets that meet the target, but for rounding."""
        return float(self._ways[0][0, self._start]) if self._start < self._ways[0].shape[1] else 0.0

    def draw(self, count: int, rng: np.random.Generator) -> Ints:
        """Nets (N, decisions); none where no net meets the target."""
        used, state = np.full(count, self._start), np.zeros(count, np.int64)
        if self.number == 0:
            return np.empty((0, len(self._costs)), np.int64)
        chosen = np.empty((count, len(self._costs)), np.int64)
        for number, (costs, to) in enumerate(zip(self._costs, self._states, strict=True)):
            after, ends = self._ways[number + 1], to[state]
            cells = used[:, None] + costs[state]
            last = after.shape[1] - 1
            ways = np.where(cells <= last, after[ends, np.minimum(cells, last)], 0.0)
            shares = ways.cumsum(axis=1)
            at = rng.random((count, 1)) * shares[:, -1:]
            chosen[:, number] = (at >= shares).sum(axis=1)
            rows = np.arange(count)
            used, state = cells[rows, chosen[:, number]], ends[rows, chosen[:, number]]
        return chosen


def _shifted(ways: Floats, cost: int) -> Floats:
    """The ways behind an option, by what is used up before it."""
    found = np.zeros_like(ways)
    if cost < len(ways):
        found[: len(ways) - cost] = ways[cost:]
    return found


def are_within(tried: Ints, models: Sequence[CostModel], targets_us: Sequence[float]) -> NDArray[np.bool_]:
    """Which of the nets (N, decisions) keep to every target, and use up WINDOW of at least one."""
    parts = parts_with_targets(models, targets_us)
    ratios = np.array([part.warm.costs(part.chain.totals(tried)) / target for part, target in parts])
    worst: Floats = ratios.max(axis=0)
    return (worst > WINDOW) & (worst <= 1)
