"""The blocks of a layer with their gates as one differentiable function, for training on a CPU.

Plain calls would make some 30 nodes of autograd per block, most of them too small to be worth one. Here the gate is a
factor of the last batch norm's gain and shift, so weighting costs nothing; activations are made again in the backward
pass, so that only what the convolutions gave is kept, and of large maps not even all of that; candidates add their
gradients to their block's in place; and each convolution takes the kernels that are fast at its size (`pointwise`,
`depthwise`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.autograd import Function

from lutbench.search import depthwise, pointwise
from lutbench.search.block import Share, SharedBlock

_REMADE_FROM = 1 << 21  # elements of an expansion above which it is made again rather than kept: the first, large maps
_KEPT = 9  # tensors that a candidate's backward pass needs: three batch norms' _Saved

_Saved = list[Tensor]  # what a batch norm read, its mean and its inverse deviation


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
        out: Tensor | None = None
        kept: list[Tensor] = []
        for gate, position in zip(gates, positions, strict=True):
            part, saved = _forward(x, gate, block, position, weights)
            out = part if out is None else out.add_(part)
            kept += saved
        assert out is not None
        ctx.save_for_backward(x, gates, *weights, *kept)
        ctx.block, ctx.positions = block, positions
        return out

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Any:
        x, gates, *saved = ctx.saved_tensors
        weights, kept = saved[:9], saved[9:]
        del saved
        outer = gradients[0].contiguous(memory_format=torch.channels_last)
        trains, wants_x = ctx.needs_input_grad[4], ctx.needs_input_grad[0]
        totals = [torch.zeros_like(weight) for weight in weights] if trains else None
        of_gates = torch.empty_like(gates)
        of_x = None
        for number in reversed(range(len(ctx.positions))):
            mine = kept[number * _KEPT :]
            del kept[number * _KEPT :]
            block, position = ctx.block, ctx.positions[number]
            found, of_gates[number] = _backward(
                outer, x, gates[number], block, position, weights, mine, totals, wants_x
            )
            if found is not None:
                of_x = found if of_x is None else of_x.add_(found)
        return of_x, of_gates, None, None, *(totals or (None,) * 9)


def _forward(
    x: Tensor, gate: Tensor, block: SharedBlock, position: int, weights: Sequence[Tensor]
) -> tuple[Tensor, list[Tensor]]:
    """One candidate's output times its gate, and what its backward pass needs."""
    share = block.shares[position]
    w1, s1, b1, w2, s2, b2, w3, s3, b3 = share.weights(weights)
    statistics, (norm, *_) = block.statistics(position), cast("list[nn.BatchNorm2d]", block.norms)
    first, saved1 = _norm(_expansion(x, w1, share), s1, b1, statistics[0], norm)
    second, saved2 = _norm(
        depthwise.depthwise(first.relu_(), w2.contiguous(), block.stride), s2, b2, statistics[1], norm
    )
    del first
    third = pointwise.pointwise(second.relu_(), w3, share.groups)
    del second
    out, saved3 = _norm(third, s3 * gate, b3 * gate, statistics[2], norm)
    if _is_remade(x, share):
        saved1[0] = x  # which is kept anyway
    return out, [*saved1, *saved2, *saved3]


def _backward(
    outer: Tensor,
    x: Tensor,
    gate: Tensor,
    block: SharedBlock,
    position: int,
    weights: Sequence[Tensor],
    saved: list[Tensor],
    totals: Sequence[Tensor] | None,
    wants_x: bool,
) -> tuple[Tensor | None, Tensor]:
    """The gradients of x and of the gate; those of the weights are added to totals."""
    share, trains = block.shares[position], totals is not None
    groups, eps = share.groups, cast(nn.BatchNorm2d, block.norms[0]).eps
    w1, s1, b1, w2, s2, b2, w3, s3, b3 = share.weights(weights)
    saved1, saved2, saved3 = saved[:3], saved[3:6], saved[6:]
    saved.clear()
    gradient, by_gain, by_shift = _norm_gradient(outer, saved3, s3 * gate, eps)
    of_gate = by_gain @ s3 + by_shift @ b3
    second = _activation(saved2, s2, b2)
    of_second, of_w3 = pointwise.gradients(gradient, second, w3, groups, of_x=True, of_weight=trains)
    gradient = _masked(of_second, second)
    del second, of_second
    gradient, of_s2, of_b2 = _norm_gradient(gradient, saved2, s2, eps)
    if _is_remade(x, share):
        saved1[0] = _expansion(x, w1, share)
    first = _activation(saved1, s1, b1)
    of_w2 = depthwise.weight_gradient(gradient, first, share.kernel, block.stride) if trains else None
    gradient = _masked(depthwise.input_gradient(gradient, first, w2.contiguous(), block.stride), first)
    del first
    gradient, of_s1, of_b1 = _norm_gradient(gradient, saved1, s1, eps)
    gradient = _shuffled(gradient, share.channels // groups) if groups > 1 else gradient  # back to where it came from
    of_x, of_w1 = pointwise.gradients(gradient, x, w1, groups, of_x=wants_x, of_weight=trains)
    if totals is not None:
        of_s3, of_b3 = by_gain * gate, by_shift * gate
        parts = (of_w1, of_s1, of_b1, of_w2, of_s2, of_b2, of_w3, of_s3, of_b3)
        share.add(totals, cast("tuple[Tensor, ...]", parts))
    return of_x, of_gate


def _is_remade(x: Tensor, share: Share) -> bool:
    return x.shape[0] * x.shape[2] * x.shape[3] * share.channels >= _REMADE_FROM


def _expansion(x: Tensor, weight: Tensor, share: Share) -> Tensor:
    """The first convolution and, where it is grouped, the shuffle (before the batch norm: `block`)."""
    found = pointwise.pointwise(x, weight, share.groups)
    return _shuffled(found, share.groups) if share.groups > 1 else found


def _shuffled(x: Tensor, groups: int) -> Tensor:
    """ChannelShuffle, in channels_last."""
    n, c, h, w = x.shape
    rows = x.permute(0, 2, 3, 1).reshape(-1, groups, c // groups)
    return rows.transpose(1, 2).reshape(n, h, w, c).permute(0, 3, 1, 2)


def _norm(
    x: Tensor, gain: Tensor, shift: Tensor, statistics: tuple[Tensor, Tensor], norm: nn.BatchNorm2d
) -> tuple[Tensor, _Saved]:
    momentum = norm.momentum
    assert momentum is not None
    out, mean, inverse = torch.native_batch_norm(x, gain, shift, *statistics, True, momentum, norm.eps)
    return out, [x, mean, inverse]


def _activation(saved: _Saved, gain: Tensor, shift: Tensor) -> Tensor:
    """ReLU of the batch norm's output, made again."""
    x, mean, inverse = saved
    return torch.native_batch_norm(x, gain, shift, mean, inverse.pow(-2), False, 0.0, 0.0)[0].relu_()


def _norm_gradient(gradient: Tensor, saved: _Saved, gain: Tensor, eps: float) -> tuple[Tensor, Tensor, Tensor]:
    x, mean, inverse = saved
    found: tuple[Tensor, Tensor, Tensor] = torch.ops.aten.native_batch_norm_backward.default(
        gradient, x, gain, None, None, mean, inverse, True, eps, [True, True, True]
    )
    return found


def _masked(gradient: Tensor | None, activation: Tensor) -> Tensor:
    """ReLU's gradient, in place."""
    out: Tensor = torch.ops.aten.threshold_backward.grad_input(gradient, activation, 0, grad_input=gradient)
    return out
