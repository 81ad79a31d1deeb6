"""The blocks of a layer with their gates as one differentiable function, for training on a CPU.

Plain calls would make some 30 nodes of autograd per block, most of them too small to be worth one. Here the gate is a
factor of the last batch norm's gain and shift, so weighting costs nothing; candidates add their gradients to their
block's in place; each convolution takes the kernels that are fast at its size (`pointwise`, `depthwise`); and
activations of large maps are made again in the backward pass rather than kept.

What candidates have in common is computed once. A batch norm counts each channel by itself, so that those of one number
of groups expand alike as far as their channels go, and those of one kernel as well have their depthwise convolution in
common: of FBNet's eight blocks two expansions and four depthwise convolutions are left (`Plan`). What flows back to
them is the sum of what comes from each.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from itertools import count
from typing import Any, cast

import torch
from torch import Tensor
from torch.autograd import Function

from lutbench.search import depthwise, pointwise
from lutbench.search.block import Share, SharedBlock
from lutbench.search.running import Running

_REMADE_FROM = 1 << 21  # elements of an activation above which it is made again rather than kept: the first, large maps

_Saved = list[Any]  # what a batch norm read, its mean, its inverse deviation, and the activation behind it or None


@dataclass(frozen=True)
class Branch:
    """Candidates that have a depthwise convolution in common: of one kernel.

    lot: its number among all branches.
    share: the widest one's.
    members: their places in what is asked for, with their shares, the widest first.
    """

    lot: int
    share: Share
    members: tuple[tuple[int, Share], ...]


@dataclass(frozen=True)
class Family:
    """Candidates that have an expansion in common: of one number of groups.

    lot: its number among all families.
    share: the widest one's.
    """

    lot: int
    share: Share
    branches: tuple[Branch, ...]


@dataclass(frozen=True)
class Plan:
    """What some candidates have in common.

    updates: of each of the three batch norms, which lot's statistics a candidate shares and how many channels it has.
    """

    families: tuple[Family, ...]
    updates: tuple[tuple[tuple[int, int], ...], ...]


@cache
def planned(shares: tuple[Share, ...], c_out: int) -> Plan:
    """The candidates by what they have in common; of each lot the widest come first."""
    found: dict[int, dict[int, list[tuple[int, Share]]]] = {}
    for place, share in sorted(enumerate(shares), key=lambda one: -one[1].channels):
        found.setdefault(share.groups, {}).setdefault(share.kernel, []).append((place, share))
    numbers = count()
    families = tuple(
        Family(lot, lots[0].share, lots)
        for lot, by_kernel in enumerate(found.values())
        for lots in [tuple(Branch(next(numbers), some[0][1], tuple(some)) for some in by_kernel.values())]
    )
    of_family = {place: f.lot for f in families for b in f.branches for place, _ in b.members}
    of_branch = {place: b.lot for f in families for b in f.branches for place, _ in b.members}
    first, second = (
        tuple((lots[place], share.channels) for place, share in enumerate(shares)) for lots in (of_family, of_branch)
    )
    return Plan(families, (first, second, tuple((place, c_out) for place in range(len(shares)))))


def running_of(block: SharedBlock, plan: Plan) -> list[Running]:
    """What candidates find of each of a block's three batch norms."""
    lots = len(plan.families), sum(len(family.branches) for family in plan.families), len(plan.updates[2])
    return [
        Running(statistics, updates, size, block.momentum)
        for statistics, updates, size in zip(block.running(), plan.updates, lots, strict=True)
    ]


def branches(block: SharedBlock, x: Tensor, gates: Tensor, positions: Sequence[int]) -> Tensor:
    """sum of gate * body(x) over some of a block's candidates, without the residual, channels_last.

    x (N, C, H, W), gates (len(positions),) -> (N, C_out, H_out, W_out). Batch norms use the batch's statistics and
    update the running ones, as modules in training do.
    """
    found: Tensor = _Branches.apply(x, gates, block, tuple(positions), *block.weights())  # type: ignore[no-untyped-call]
    return found


class _Branches(Function):
    """Arguments after x: gates, block, positions, then the block's nine tensors."""

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, gates: Tensor, block: SharedBlock, positions: tuple[int, ...], *weights: Tensor
    ) -> Tensor:
        x = x.contiguous(memory_format=torch.channels_last)
        plan = planned(tuple(block.shares[position] for position in positions), len(weights[-1]))
        run = _Forward(block, weights, gates, plan)
        for family in plan.families:
            run.family(x, family)
        ctx.save_for_backward(x, gates, *weights, *run.kept)
        ctx.block, ctx.families = block, plan.families
        return run.done()

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Any:
        x, gates, *saved = ctx.saved_tensors
        outer = gradients[0].contiguous(memory_format=torch.channels_last)
        trains, wants_x = ctx.needs_input_grad[4], ctx.needs_input_grad[0]
        run = _Backward(ctx.block, saved[:9], gates, saved[:8:-1], trains)
        del saved
        of_x = None
        for family in ctx.families:
            found = run.family(outer, x, family, wants_x)
            if found is not None:
                of_x = found if of_x is None else of_x.add_(found)
        return of_x, run.of_gates, None, None, *run.totals


class _Forward:
    """A forward pass: what it has come to, and what the backward pass needs, in the order in which it needs it."""

    def __init__(self, block: SharedBlock, weights: Sequence[Tensor], gates: Tensor, plan: Plan) -> None:
        self._stride, self._eps = block.stride, block.eps
        self._weights, self._gates = weights, gates.unbind()
        self._running = running_of(block, plan)
        self._out: Tensor | None = None
        self.kept: list[Tensor | None] = []

    def done(self) -> Tensor:
        """The sum; the running statistics are updated."""
        for running in self._running:
            running.update()
        assert self._out is not None
        return self._out

    def family(self, x: Tensor, family: Family) -> None:
        w1, s1, b1, *_ = self._weights
        share, m = family.share, family.share.channels
        expansion = _expansion(x, share.expanding(w1), share.groups)
        first = self._activated(expansion, s1[:m], b1[:m], 0, family.lot)
        if _is_remade(first):
            self.kept[-4] = x  # which is kept anyway
        for branch in family.branches:
            self._branch(_narrowed(first, branch.share.channels), branch)

    def _branch(self, first: Tensor, branch: Branch) -> None:
        w2, s2, b2, w3, s3, b3 = self._weights[3:]
        m = branch.share.channels
        found = depthwise.depthwise(first, branch.share.taps(w2).contiguous(), self._stride)
        second = self._activated(found, s2[:m], b2[:m], 1, branch.lot)
        for place, share in branch.members:
            gate = self._gates[place]
            third = pointwise.pointwise(second[:, : share.channels], share.projecting(w3), share.groups)
            part = self._normed(third, s3 * gate, b3 * gate, 2, place)
            self._out = part if self._out is None else self._out.add_(part)

    def _activated(self, x: Tensor, gain: Tensor, shift: Tensor, norm: int, lot: int) -> Tensor:
        found = self._normed(x, gain, shift, norm, lot).relu_()
        self.kept.append(None if _is_remade(found) else found)
        return found

    def _normed(self, x: Tensor, gain: Tensor, shift: Tensor, norm: int, lot: int) -> Tensor:
        running = self._running[norm].of(lot, x.shape[1])
        found = torch.native_batch_norm(x, gain, shift, *running[:2], True, running[2], self._eps)
        self.kept += [x, *found[1:]]
        return found[0]


class _Backward:
    """A backward pass: the gradients of gates and, where they train, of the block's nine tensors.

    kept: what the forward pass kept, the other way round.
    """

    def __init__(
        self, block: SharedBlock, weights: Sequence[Tensor], gates: Tensor, kept: list[Any], trains: bool
    ) -> None:
        self._stride, self._eps, self._trains = block.stride, block.eps, trains
        self._weights, self._gates, self._kept = weights, gates.unbind(), kept
        self.totals: list[Tensor | None] = [None] * len(weights)
        self.of_gates = torch.empty_like(gates)

    def family(self, outer: Tensor, x: Tensor, family: Family, wants_x: bool) -> Tensor | None:
        """The gradient of x, from that of the output."""
        w1, s1, b1, *_ = self._weights
        share, m, groups = family.share, family.share.channels, family.share.groups
        expand = share.expanding(w1)
        saved = self._taken(4)
        if saved[3] is None:
            saved[0] = _expansion(x, expand, groups)
        first = _activation(saved, s1[:m], b1[:m])
        of_first: Tensor | None = None
        for branch in family.branches:
            found = self._branch(outer, _narrowed(first, branch.share.channels), branch)
            of_first = _added(of_first, found)
        assert of_first is not None
        gradient = _masked(of_first, first)
        del first
        gradient, of_gain, of_shift = _norm_gradient(gradient, saved, s1[:m], self._eps)
        gradient = _shuffled(gradient, m // groups) if groups > 1 else gradient  # back to where it came from
        of_x, of_w1 = pointwise.gradients(gradient, x, expand, groups, of_x=wants_x, of_weight=self._trains)
        if self._trains:
            share.add(self.totals, self._weights, 0, (cast(Tensor, of_w1), of_gain, of_shift))
        return of_x

    def _branch(self, outer: Tensor, first: Tensor, branch: Branch) -> Tensor:
        """The gradient of the depthwise convolution's input."""
        w2, s2, b2, *_ = self._weights[3:]
        share, m = branch.share, branch.share.channels
        saved = self._taken(4)
        second = _activation(saved, s2[:m], b2[:m])
        of_second: Tensor | None = None
        for place, member in branch.members:
            of_second = _added(of_second, self._member(outer, second[:, : member.channels], place, member))
        assert of_second is not None
        gradient = _masked(of_second, second)
        del second, of_second
        gradient, of_gain, of_shift = _norm_gradient(gradient, saved, s2[:m], self._eps)
        if self._trains:
            of_w2 = depthwise.weight_gradient(gradient, first, share.kernel, self._stride)
            share.add(self.totals, self._weights, 3, (of_w2, of_gain, of_shift))
        return depthwise.input_gradient(gradient, first, share.taps(w2).contiguous(), self._stride)

    def _member(self, outer: Tensor, second: Tensor, place: int, share: Share) -> Tensor:
        """The gradient of what a candidate projects; keeps that of its gate."""
        w3, s3, b3 = self._weights[6:]
        gate = self._gates[place]
        gradient, by_gain, by_shift = _norm_gradient(outer, self._taken(3), s3 * gate, self._eps)
        self.of_gates[place] = by_gain @ s3 + by_shift @ b3
        found, of_w3 = pointwise.gradients(
            gradient, second, share.projecting(w3), share.groups, of_x=True, of_weight=self._trains
        )
        if self._trains:
            share.add(self.totals, self._weights, 6, (cast(Tensor, of_w3), by_gain * gate, by_shift * gate))
        assert found is not None
        return found

    def _taken(self, count: int) -> _Saved:
        return [self._kept.pop() for _ in range(count)]


def _added(total: Tensor | None, found: Tensor) -> Tensor:
    """The sum, in place: of what is found by as many of the total's channels."""
    if total is None:
        return found
    total[:, : found.shape[1]].add_(found)
    return total


def _narrowed(x: Tensor, channels: int) -> Tensor:
    """The first channels, in channels_last."""
    return x if x.shape[1] == channels else x[:, :channels].contiguous(memory_format=torch.channels_last)


def _is_remade(x: Tensor) -> bool:
    return x.numel() >= _REMADE_FROM


def _expansion(x: Tensor, weight: Tensor, groups: int) -> Tensor:
    """The first convolution and, where it is grouped, the shuffle (before the batch norm: `block`)."""
    found = pointwise.pointwise(x, weight, groups)
    return _shuffled(found, groups) if groups > 1 else found


def _shuffled(x: Tensor, groups: int) -> Tensor:
    """ChannelShuffle, in channels_last."""
    n, c, h, w = x.shape
    rows = x.permute(0, 2, 3, 1).reshape(-1, groups, c // groups)
    return rows.transpose(1, 2).reshape(n, h, w, c).permute(0, 3, 1, 2)


def _activation(saved: _Saved, gain: Tensor, shift: Tensor) -> Tensor:
    """ReLU of the batch norm's output, as it was kept or made again."""
    x, mean, inverse, kept = saved
    if kept is not None:
        return kept  # type: ignore[no-any-return]
    return torch.native_batch_norm(x, gain, shift, mean, inverse.pow(-2), False, 0.0, 0.0)[0].relu_()


def _norm_gradient(gradient: Tensor, saved: _Saved, gain: Tensor, eps: float) -> tuple[Tensor, Tensor, Tensor]:
    x, mean, inverse, *_ = saved
    found: tuple[Tensor, Tensor, Tensor] = torch.ops.aten.native_batch_norm_backward.default(
        gradient, x, gain, None, None, mean, inverse, True, eps, [True, True, True]
    )
    return found


def _masked(gradient: Tensor, activation: Tensor) -> Tensor:
    """ReLU's gradient, in place."""
    out: Tensor = torch.ops.aten.threshold_backward.grad_input(gradient, activation, 0, grad_input=gradient)
    return out
