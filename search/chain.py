"""A net's cost as a walk over its decisions, which is how nets within a budget are found and drawn.

What a decision costs depends on its option and on where earlier ones have led to: a layer's cost on the resolution, on
the channels it gets and on those it gives. Of all that went before, a state keeps what still matters: resolution and
channels. In a space without such choices there is one state.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Chain:
    """A cost that every net has, and of each decision (states, options): what it costs, and the state it leads to.

    The walk starts in state 0.
    """

    fixed: float
    costs: tuple[Floats, ...]
    states: tuple[Ints, ...]

    @property
    def counts(self) -> tuple[int, ...]:
        """The options of each decision."""
        return tuple(cost.shape[1] for cost in self.costs)

    def totals(self, nets: Ints) -> Floats:
        """The costs (N,) of nets, positions (N, decisions)."""
        found = np.full(len(nets), self.fixed)
        state = np.zeros(len(nets), np.int64)
        for number, (cost, states) in enumerate(zip(self.costs, self.states, strict=True)):
            found += cost[state, nets[:, number]]
            state = states[state, nets[:, number]]
        return found

    def extreme(self, largest: bool) -> tuple[int, ...]:
        """The positions of the net of the least cost, or of the largest; the first of equals."""
        sign = -1.0 if largest else 1.0
        left = bounds([sign * cost[..., None] for cost in self.costs], self.states, largest=False)
        found, state = [], 0
        for number, (cost, states) in enumerate(zip(self.costs, self.states, strict=True)):
            position = int((sign * cost[state] + left[number + 1][states[state], 0]).argmin())
            found.append(position)
            state = int(states[state, position])
        return tuple(found)


def on_common_states(chains: Sequence[Chain]) -> tuple[Chain, ...]:
    """The same costs as walks over one set of states: the tuples of theirs that a walk may come to."""
    first = chains[0].states
    if all(all(map(np.array_equal, chain.states, first)) for chain in chains[1:]):
        return tuple(chains)
    at = np.zeros((1, len(chains)), np.int64)  # each state's counterparts in the chains
    costs: list[list[Floats]] = []
    states: list[Ints] = []
    for number, width in enumerate(chains[0].counts):
        costs.append([chain.costs[number][at[:, n]] for n, chain in enumerate(chains)])
        ends = np.stack([chain.states[number][at[:, n]] for n, chain in enumerate(chains)], -1)
        at, to = np.unique(ends.reshape(-1, len(chains)), axis=0, return_inverse=True)
        states.append(to.reshape(-1, width))
    return tuple(
        Chain(chain.fixed, tuple(of_all[n] for of_all in costs), tuple(states)) for n, chain in enumerate(chains)
    )


def side_by_side(chains: Sequence[Chain]) -> list[Floats]:
    """What each decision costs by every chain, (states, options, chains); the chains share their states."""
    return [np.stack(of_all, -1) for of_all in zip(*(chain.costs for chain in chains), strict=True)]


def bounds(costs: Sequence[Floats], states: Sequence[Ints], largest: bool) -> list[Floats]:
    """The least or largest cost of what is left, before each decision and after the last: (states, devices).

    costs: (states, options, devices) of each decision.
    """
    ends = int(states[-1].max()) + 1 if len(states) else 1
    found = [np.zeros((ends, costs[0].shape[2] if len(costs) else 1))]
    for cost, to in zip(reversed(costs), reversed(states), strict=True):
        left = cost + found[-1][to]
        found.append(left.max(1) if largest else left.min(1))
    return found[::-1]


@dataclass(frozen=True, eq=False)
class GridCosts:
    """A cost of a whole space: of the stem by resolution (R,), of each layer (R, inputs, outputs, candidates), of what
    follows the last stage (R, outputs), and what every net has.

    stages: the stage of each layer.
    has_channels: of each stage, whether its channels are a decision.
    has_resolution: whether the resolution is one.
    """

    fixed: float
    stem: Floats
    layers: tuple[Floats, ...]
    tail: Floats
    stages: tuple[int, ...]
    has_channels: tuple[bool, ...]
    has_resolution: bool

    def chain(self) -> Chain:
        sizes, states = len(self.stem), 1
        costs: list[Floats] = []
        to: list[Ints] = []
        if self.has_resolution:
            costs.append(self.stem[None].copy())
            to.append(np.arange(sizes)[None])
            states = sizes
        fixed = self.fixed if self.has_resolution else self.fixed + float(self.stem[0])
        for number, table in enumerate(self.layers):
            _, inputs, outputs, options = table.shape
            first = number == 0 or self.stages[number] != self.stages[number - 1]
            if first and self.has_channels[self.stages[number]]:
                costs.append(np.zeros((states, outputs)))
                to.append(np.arange(states * outputs).reshape(states, outputs))  # (resolution, input), then output
            states = sizes * outputs
            costs.append(table.reshape(sizes * inputs * outputs, options).copy())
            ends = np.broadcast_to(np.arange(states).reshape(sizes, 1, outputs, 1), table.shape)
            to.append(ends.reshape(-1, options).copy())
        costs[-1] += self.tail.reshape(-1)[to[-1]]
        return Chain(fixed, tuple(costs), tuple(to))

    @property
    def total(self) -> float:
        """The sum of everything: two costs that differ hardly have the same."""
        return float(self.fixed + self.stem.sum() + self.tail.sum() + sum(table.sum() for table in self.layers))
