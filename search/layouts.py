"""Latencies of a space whose nets keep activations in blocks of channels, as a walk over a net's decisions.

What a net saves by its layout goes with which operators are neighbours (`lutbench.measure.layouts`), so that a layer's
cost depends on whether it gets blocks. Whether it does is one more thing that a state of the walk keeps.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from lutbench.measure.in_net import InNet
from lutbench.measure.layouts import ends_of, kept_between
from lutbench.search.chain import Chain, Floats, GridCosts, Ints
from lutbench.search.grid_costs import grid_costs
from lutbench.space.macro import Space
from lutbench.space.operator import Operator

if TYPE_CHECKING:
    import torch
    from torch import Tensor

# what an option leaves for the next layer to read
_AS_IT_WAS, _PLAIN, _BLOCKS, _BLOCKS_OF_BLOCKS = range(4)


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
    """The space's latencies where nets keep activations in blocks, microseconds.

    share_us: what an operator adds to a net wherever it stands.
    """
    block_channels = in_net.block_channels

    def cost_us(operator: Operator, gets_blocks: bool) -> float:
        return share_us(operator) + in_net.kept_us(ends_of(operator, block_channels).kept(gets_blocks))

    def tail_us(operators: Sequence[Operator], gets_blocks: bool) -> float:
        kept = kept_between([operator.name for operator in operators], block_channels, gets_blocks)
        return sum(map(share_us, operators)) + in_net.kept_us(kept)

    def half(gets_blocks: bool) -> _Half:
        grid = grid_costs(space, lambda operator: cost_us(operator, gets_blocks), overhead_us)
        sizes = space.resolutions or (space.resolution,)
        tails = [tail_us(tail, gets_blocks) for size in sizes for tail in space.tails(size, space.head_channels)]
        return _Half(_without_tail(grid), np.array(tails))

    leaves = _without_tail(grid_costs(space, lambda operator: _leaves(operator, block_channels)))
    starts_blocked = not space.resolutions and ends_of(space.stem, block_channels).after(False)
    return WalkCosts(_with_layouts((half(False), half(True)), leaves.costs, starts_blocked))


def _without_tail(grid: GridCosts) -> Chain:
    return replace(grid, tail=np.zeros_like(grid.tail)).chain()


def _leaves(operator: Operator, block_channels: int) -> int:
    ends = ends_of(operator, block_channels)
    if ends.passes:
        return _AS_IT_WAS
    if not ends.writes:
        return _PLAIN
    return _BLOCKS_OF_BLOCKS if ends.adds else _BLOCKS


@dataclass(frozen=True, eq=False)
class _Half:
    """What steps cost where layers get blocks, or where they do not.

    tail: of what follows the last layer, by the state after it.
    """

    chain: Chain
    tail: Floats


def _with_layouts(halves: tuple[_Half, _Half], leaves: Sequence[Floats], starts_blocked: bool) -> Chain:
    """One walk of both, plain and blocked: the first half of each step's states is as the walk starts."""
    plain = halves[False].chain
    order = (starts_blocked, not starts_blocked)
    costs: list[Floats] = []
    states: list[Ints] = []
    for number, left in enumerate(leaves):
        to = plain.states[number]
        is_last = number + 1 == len(leaves)
        count = len(halves[False].tail) if is_last else len(plain.costs[number + 1])
        found, ends = [], []
        for given in order:
            gives = np.select([left == _AS_IT_WAS, left == _PLAIN, left == _BLOCKS], [given, False, True], given)
            cost = halves[given].chain.costs[number]
            if is_last:
                cost = cost + np.where(gives, halves[True].tail[to], halves[False].tail[to])
            found.append(cost)
            ends.append(to + count * (gives != starts_blocked))
        costs.append(np.concatenate(found))
        states.append(np.concatenate(ends))
    return Chain(plain.fixed, tuple(costs), tuple(states))


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
