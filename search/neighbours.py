"""Latencies of a space whose nets depend on which operators are neighbours, as a walk over a net's decisions.

What a net takes for two neighbours (`lutbench.measure.neighbours`) hangs on what an operator finds of the one before
it: whether its output is in blocks of channels, for one. So that is one more thing that a state of the walk keeps, as
far as the LUT's terms ask for it. What the operator moves itself and its weights are no part of a state: what it takes
for what it finds is a price for each of them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from lutbench.measure.in_net import InNet
from lutbench.measure.neighbours import NOTHING, Before, Neighbour, neighbour_of, pairs_of
from lutbench.search.chain import Chain, Floats, GridCosts, Ints
from lutbench.search.grid_costs import grid_costs
from lutbench.space.macro import Space
from lutbench.space.operator import Operator

if TYPE_CHECKING:
    import torch
    from torch import Tensor


# what prices are of: an operator of no size, and a million elements that it moves, and of its weights
_SIZES = ((0.0, 0.0), (1.0, 0.0), (0.0, 1.0))


@dataclass(frozen=True, eq=False)
class WalkCosts:
    """What nets of a space cost, as a walk."""

    walk: Chain

    def chain(self) -> Chain:
        return self.walk

    @property
    def total(self) -> float:
        """The sum of everything that a step may cost."""
        return float(self.walk.fixed + sum(cost.sum() for cost in self.walk.costs))


def walk_costs(space: Space, in_net: InNet, share_us: Callable[[Operator], float], overhead_us: float) -> WalkCosts:
    """The space's latencies where they depend on neighbours, microseconds.

    share_us: what an operator adds to a net wherever it stands.
    """
    sizes = space.resolutions or (space.resolution,)
    tails = [tail for size in sizes for tail in space.tails(size, space.head_channels)]
    tail_us, tail_names = [sum(map(share_us, tail)) for tail in tails], [[op.name for op in tail] for tail in tails]
    rules = _Rules(in_net, [*map(space.stem_at, sizes), *space.searchable_operators])
    first, fixed_us = NOTHING, overhead_us
    if not space.resolutions:
        stem = neighbour_of(space.stem, in_net.block_channels)
        first, fixed_us = rules.after(stem, first), fixed_us + share_us(space.stem) + rules.cost_us(stem, first)
    found = rules.all_from(first)
    positions = {before: number for number, before in enumerate(found)}

    def part(position: int, before: Before) -> _Part:
        pairs = [pairs_of(names, in_net.block_channels, before) for names in tail_names]
        return _Part(
            np.array([[0.0] * len(_SIZES), *(rules.prices_us(one, before) for one in rules.neighbours)]),
            np.array([position, *(positions[rules.after(one, before)] for one in rules.neighbours)]),
            np.array([us + in_net.pairs_us(pair) for us, pair in zip(tail_us, pairs, strict=True)]),
        )

    shares = _without_tail(grid_costs(space, share_us))
    which = _without_tail(grid_costs(space, rules.position))
    return WalkCosts(_joined(fixed_us, shares, which.costs, rules, [part(*one) for one in enumerate(found)]))


@dataclass(frozen=True)
class _Rules:
    """What a space's operators take for what they find before them, and what they leave.

    Many operators are alike in that but for their sizes, and what holds for one is worked out once: neighbours are the
    different ones, of no size.
    """

    in_net: InNet
    operators: Sequence[Operator]

    @cached_property
    def _positions(self) -> dict[Operator, int]:
        return {operator: number for number, operator in enumerate(dict.fromkeys(self.operators), start=1)}

    @cached_property
    def _found(self) -> list[Neighbour]:
        return [neighbour_of(operator, self.in_net.block_channels) for operator in self._positions]

    @cached_property
    def neighbours(self) -> list[Neighbour]:
        return list(dict.fromkeys(map(self._of_no_size, self._found)))

    @cached_property
    def numbers(self) -> Ints:
        """The place among neighbours, from 1, of each operator by its position."""
        numbers = {neighbour: number for number, neighbour in enumerate(self.neighbours, start=1)}
        return np.array([0, *(numbers[self._of_no_size(one)] for one in self._found)])

    @cached_property
    def sizes(self) -> Floats:
        """Holds by an operator's position (operators, 3): one, million elements it moves, and of its weights."""
        return np.array([[0.0] * len(_SIZES), *([1.0, one.moved, one.weights] for one in self._found)])

    def _of_no_size(self, neighbour: Neighbour) -> Neighbour:
        widest = neighbour.widest if "widest" in self.in_net.looks_at else 0.0
        return replace(neighbour, moved=0.0, weights=0.0, widest=widest)

    def position(self, operator: Operator) -> int:
        """An operator's position, from 1; 0 of what stands behind the last layer, which nothing finds."""
        return self._positions.get(operator, 0)

    def prices_us(self, neighbour: Neighbour, before: Before) -> list[float]:
        """What it takes whatever its size, and for each of its sizes."""
        plain, *more = (
            self.cost_us(replace(neighbour, moved=moved, weights=weights), before) for moved, weights in _SIZES
        )
        return [plain, *(us - plain for us in more)]

    def cost_us(self, neighbour: Neighbour, before: Before) -> float:
        return self.in_net.pairs_us(neighbour.pairs(before))

    def after(self, neighbour: Neighbour, before: Before) -> Before:
        left = neighbour.after(before)
        return Before(**{name: getattr(left, name) for name in self.in_net.looks_at})

    def all_from(self, first: Before) -> list[Before]:
        """All that one of them may find, `first` before the others."""
        found, new = [first], [first]
        while new:
            after = dict.fromkeys(self.after(one, before) for before in new for one in self.neighbours)
            new = [before for before in after if before not in found]
            found += new
        return found


@dataclass(frozen=True, eq=False)
class _Part:
    """What layers take and leave that find one thing of what stands before them, by the number of the neighbour.

    Number 0 is a decision that times nothing: it takes nothing, and leaves what it found.

    prices: (neighbours, sizes).
    leaves: the position of what the next layer finds.
    tail: costs of what follows the last layer, by the state after it.
    """

    prices: Floats
    leaves: Ints
    tail: Floats


def _without_tail(grid: GridCosts) -> Chain:
    return replace(grid, tail=np.zeros_like(grid.tail)).chain()


def _joined(fixed_us: float, shares: Chain, which: Sequence[Floats], rules: _Rules, parts: Sequence[_Part]) -> Chain:
    """One walk of all parts; of each step's states those of the first part come first: there the walk starts.

    which: by step, state and option, the position of the operator.
    """
    tails = np.stack([part.tail for part in parts])
    costs: list[Floats] = []
    states: list[Ints] = []
    for number, (share, to) in enumerate(zip(shares.costs, shares.states, strict=True)):
        operator = which[number].astype(np.int64)
        neighbour, sizes = rules.numbers[operator], rules.sizes[operator]
        is_last = number + 1 == len(shares.states)
        count = tails.shape[1] if is_last else len(shares.costs[number + 1])
        gives = np.stack([part.leaves[neighbour] for part in parts])
        takes = [share + (part.prices[neighbour] * sizes).sum(-1) for part in parts]
        found = np.stack(takes) + (tails[gives, to] if is_last else 0.0)
        costs.append(found.reshape(-1, share.shape[1]))
        states.append((to + count * gives).reshape(-1, share.shape[1]))
    return Chain(fixed_us, tuple(costs), tuple(states))


def expected_of_walk(chain: Chain, device: torch.device | str = "cpu") -> Callable[[Tensor], Tensor]:
    """What makes the expected cost () of gates (decisions, options), each decision by itself, in float64."""
    import torch

    costs = [torch.from_numpy(cost).to(device) for cost in chain.costs]
    states = [torch.from_numpy(to).to(device) for to in chain.states]

    def expected(gates: Tensor) -> Tensor:
        shares = gates.double()
        at = shares.new_zeros(len(costs[0]))
        at[0] = 1.0
        total = shares.new_tensor(chain.fixed)
        for number, (cost, to) in enumerate(zip(costs, states, strict=True)):
            chosen = shares[number, : cost.shape[1]]
            total = total + at @ (cost @ chosen)
            if number + 1 < len(costs):
                flows = (at[:, None] * chosen).reshape(-1)
                at = shares.new_zeros(len(costs[number + 1])).index_add(0, to.reshape(-1), flows)
        return total

    return expected
