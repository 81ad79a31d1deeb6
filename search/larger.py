"""Costs that are the larger of two sums, as those of nets are whose weights a cache may not keep.

What a LUT says that large nets pay (`lutbench.measure.spill`) is no decision's share. But a net takes the larger of two
sums over its decisions: the one without what it pays, and the one in which all of its weights are paid for, less a
constant. So it keeps to a budget where both sums do.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from lutbench.search.chain import Chain, Floats, Ints, bounds, on_common_states, side_by_side
from lutbench.search.grid_costs import LATENCY, CostModel, SumModel
from lutbench.space.decisions import net_at
from lutbench.space.macro import Space
from lutbench.space.net import Net
from lutbench.units import format_latency


@dataclass(frozen=True)
class LargerModel:
    """Latencies that are the larger of those of two models of one device and space, microseconds.

    models: each of one sum.
    """

    models: tuple[CostModel, CostModel]

    @property
    def device(self) -> str:
        return self.models[0].device

    @property
    def space(self) -> Space:
        return self.models[0].space

    @property
    def kind(self) -> str:
        return LATENCY

    @property
    def parts(self) -> tuple[SumModel, ...]:
        return tuple(part for model in self.models for part in model.parts)

    @property
    def total(self) -> float:
        """What a checkpoint knows it by: from which weights on nets pay is in what every net has."""
        return sum(model.total for model in self.models) + sum(part.chain.fixed for part in self.parts)

    def net_us(self, net: Net) -> float:
        """The net's latency, equal to `lutbench predict`'s but for rounding."""
        return max(model.net_us(net) for model in self.models)

    @property
    def fastest(self) -> Net:
        one, other = (part.chain for part in self.parts)
        positions = least_of_larger(one, other)
        return net_at(self.space, positions, "fastest@{label}")

    @property
    def slowest(self) -> Net:
        return max((model.slowest for model in self.models), key=self.net_us)

    def text(self, cost: float) -> str:
        """A latency for people."""
        return format_latency(cost)


def least_of_larger(one: Chain, other: Chain) -> tuple[int, ...]:
    """The positions of the net whose larger sum is least, of two sums over the same decisions.

    Partial nets are built decision by decision. Those that cannot end below a net that is known, and those that another
    of their state is below in both sums, are left out.
    """
    chains = on_common_states([one, other])
    known = [chain.extreme(largest=False) for chain in [*chains, _mean(chains)]]
    best = min(known, key=lambda net: _larger(chains, net))
    most = _larger(chains, best)
    states, costs = chains[0].states, side_by_side(chains)
    least = bounds(costs, states, largest=False)
    spent, state = np.array([[chain.fixed for chain in chains]]), np.zeros(1, np.int64)
    path = np.zeros((1, 0), np.int64)
    for number, (cost, to) in enumerate(zip(costs, states, strict=True)):
        options = cost.shape[1]
        spent = (spent[:, None] + cost[state]).reshape(-1, len(chains))
        state = to[state].reshape(-1)
        below = np.flatnonzero((spent + least[number + 1][state]).max(1) < most)
        if not len(below):
            return best
        kept = below[_lowest(spent[below], state[below])]
        path = np.column_stack([path[kept // options], kept % options])
        spent, state = spent[kept], state[kept]
    return tuple(int(position) for position in path[spent.max(1).argmin()])


def _mean(chains: Sequence[Chain]) -> Chain:
    costs = tuple(np.mean(each, axis=0) for each in zip(*(chain.costs for chain in chains), strict=True))
    return replace(chains[0], costs=costs)


def _larger(chains: Sequence[Chain], net: tuple[int, ...]) -> float:
    return max(float(chain.totals(np.array([net]))[0]) for chain in chains)


def _lowest(spent: Floats, state: Ints) -> Ints:
    """Positions of those that no other of their state is below in both sums."""
    order = np.lexsort((spent[:, -1], spent[:, 0], state))
    last = spent[order, -1]
    # each state's are far below those of the state before, so that one pass is a pass of each by itself
    last = last - state[order] * (np.ptp(last) + 1)
    lowest = np.minimum.accumulate(last)
    found: Ints = order[np.append(True, last[1:] < lowest[:-1])]
    return found
