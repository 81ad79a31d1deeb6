"""Latencies of a space whose nets depend on which operators are neighbours, as a walk over a net's decisions.

What a net takes for two neighbours (`lutbench.measure.neighbours`) hangs on what an operator finds of the one before
it: whether its output is in blocks of channels, for one. So that is one more thing that a state of the walk keeps, as
far as the LUT's terms ask for it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from lutbench.measure.in_net import InNet
from lutbench.measure.neighbours import Before, neighbour_of
from lutbench.search.chain import Chain, Floats, GridCosts, Ints
from lutbench.search.grid_costs import grid_costs
from lutbench.space.macro import Space
from lutbench.space.operator import Operator

if TYPE_CHECKING:
    import torch
    from torch import Tensor

_AS_IT_WAS = 0  # left for the next layer to find; what a timed operator leaves is its position plus 1


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
    rules = _Rules(in_net, share_us)
    sizes = space.resolutions or (space.resolution,)
    first, fixed_us = Before(), overhead_us
    if not space.resolutions:
        first, fixed_us = rules.after(space.stem, first), overhead_us + rules.cost_us(space.stem, first)
    found = rules.all_from(first, [*map(space.stem_at, sizes), *space.searchable_operators])

    positions = {before: number + 1 for number, before in enumerate(found)}  # of none behind the last layer

    def part(before: Before) -> _Part:
        costs = _without_tail(grid_costs(space, lambda operator: rules.cost_us(operator, before)))
        left = grid_costs(space, lambda operator: positions.get(rules.after(operator, before), _AS_IT_WAS))
        leaves = _without_tail(left)
        tails = [rules.sum_us(tail, before) for size in sizes for tail in space.tails(size, space.head_channels)]
        return _Part(costs, tuple(cost.astype(np.int64) for cost in leaves.costs), np.array(tails))

    return WalkCosts(_joined(fixed_us, [part(before) for before in found]))


@dataclass(frozen=True)
class _Rules:
    """What operators take where they stand, and what they leave, as far as the LUT's terms ask for it."""

    in_net: InNet
    share_us: Callable[[Operator], float]

    def cost_us(self, operator: Operator, before: Before) -> float:
        pairs = neighbour_of(operator, self.in_net.block_channels).pairs(before)
        return self.share_us(operator) + self.in_net.pairs_us(pairs)

    def sum_us(self, operators: Sequence[Operator], before: Before) -> float:
        """What several in a row take."""
        sum_us = 0.0
        for operator in operators:
            sum_us += self.cost_us(operator, before)
            before = self.after(operator, before)
        return sum_us

    def after(self, operator: Operator, before: Before) -> Before:
        left = neighbour_of(operator, self.in_net.block_channels).after(before)
        return Before(**{name: getattr(left, name) for name in self.in_net.looks_at})

    def all_from(self, first: Before, operators: Sequence[Operator]) -> list[Before]:
        """All that one of the operators may find, `first` before the others."""
        found, new = [first], [first]
        while new:
            after = dict.fromkeys(self.after(one, before) for before in new for one in operators)
            new = [before for before in after if before not in found]
            found += new
        return found


@dataclass(frozen=True, eq=False)
class _Part:
    """What steps cost where a layer finds one thing of what stands before it.

    leaves: by state and option, the position of what the next layer finds then, plus 1; _AS_IT_WAS of decisions that
        time nothing.
    tail: costs of what follows the last layer, by the state after it.
    """

    chain: Chain
    leaves: tuple[Ints, ...]
    tail: Floats


def _without_tail(grid: GridCosts) -> Chain:
    return replace(grid, tail=np.zeros_like(grid.tail)).chain()


def _joined(fixed_us: float, parts: Sequence[_Part]) -> Chain:
    """One walk of all parts; of each step's states those of the first part come first: there the walk starts."""
    steps, tails = parts[0].chain, np.stack([part.tail for part in parts])
    costs: list[Floats] = []
    states: list[Ints] = []
    for number, to in enumerate(steps.states):
        is_last = number + 1 == len(steps.states)
        count = tails.shape[1] if is_last else len(steps.costs[number + 1])
        found, ends = [], []
        for position, part in enumerate(parts):
            left = part.leaves[number]
            gives = np.where(left == _AS_IT_WAS, position, left - 1)
            found.append(part.chain.costs[number] + (tails[gives, to] if is_last else 0.0))
            ends.append(to + count * gives)
        costs.append(np.concatenate(found))
        states.append(np.concatenate(ends))
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
