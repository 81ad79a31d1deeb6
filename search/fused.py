"""FBNet's block with its gate as one differentiable function, for training on a CPU.

The modules of lutbench.nn.modules would make some 30 calls of autograd per block, most of them too small to be worth
one. Here the gate is a factor of the last batch norm's scale and shift, so weighting costs nothing; activations are
made again in the backward pass, so that only what the convolutions gave is kept, and of large maps not even all of
that; and each convolution takes the kernels that are fast at its size (`pointwise`, `depthwise`).
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd import Function

from lutbench.nn.modules import ChannelShuffle, InvertedResidual
from search import depthwise, pointwise

_REMADE_FROM = 1 << 21  # elements of an expansion above which it is made again rather than kept: the first, large maps

_Saved = tuple[Tensor, Tensor, Tensor]  # what a batch norm read, its mean and its inverse deviation


def branch(block: InvertedResidual, x: Tensor, gate: Tensor) -> Tensor:
    """gate * body(x), without the residual: (N, C, H, W), () -> (N, C_out, H_out, W_out), channels_last.

    Batch norms use the batch's statistics and update the running ones, as modules in training do.
    """
    norms = [part for part in block.body if isinstance(part, nn.BatchNorm2d)]
    convs = [part for part in block.body if isinstance(part, nn.Conv2d)]
    shuffle = next((part.groups for part in block.body if isinstance(part, ChannelShuffle)), 1)
    arguments = [tensor for conv, norm in zip(convs, norms, strict=True) for tensor in _parameters(conv, norm)]
    found: Tensor = _Branch.apply(x, gate, norms, shuffle, convs[1].stride[0], *arguments)  # type: ignore[no-untyped-call]
    return found


def _parameters(conv: nn.Conv2d, norm: nn.BatchNorm2d) -> tuple[Tensor, Tensor, Tensor]:
    return conv.weight, norm.weight, norm.bias


class _Branch(Function):
    """Arguments after x: gate, batch norms, groups, stride, then weight, scale and shift of each convolution."""

    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        gate: Tensor,
        norms: list[nn.BatchNorm2d],
        groups: int,
        stride: int,
        *parameters: Tensor,
    ) -> Tensor:
        w1, g1, b1, w2, g2, b2, w3, g3, b3 = parameters
        x = x.contiguous(memory_format=torch.channels_last)
        first, save1 = _norm(pointwise.pointwise(x, w1, groups), g1, b1, norms[0])
        second, save2 = _norm(depthwise.depthwise(_shuffled(first.relu_(), groups), w2, stride), g2, b2, norms[1])
        del first
        third = pointwise.pointwise(second.relu_(), w3, groups)
        del second
        out, save3 = _norm(third, g3 * gate, b3 * gate, norms[2])
        ctx.remakes = save1[0].numel() >= _REMADE_FROM
        kept = x if ctx.remakes else save1[0]  # x is kept anyway
        ctx.save_for_backward(x, gate, *parameters, kept, *save1[1:], *save2, *save3)
        ctx.groups, ctx.stride, ctx.eps = groups, stride, [norm.eps for norm in norms]
        return out

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Any:
        x, gate, w1, g1, b1, w2, g2, b2, w3, g3, b3, *saved = ctx.saved_tensors
        save1, save2, save3 = saved[:3], saved[3:6], saved[6:]
        del saved
        groups, trains = ctx.groups, ctx.needs_input_grad[5]
        outer = gradients[0].contiguous(memory_format=torch.channels_last)
        gradient, by_scale, by_shift = _norm_gradient(outer, save3, g3 * gate, ctx.eps[2])
        of_gate = by_scale @ g3 + by_shift @ b3
        second = _activation(save2, g2, b2)
        of_second, of_w3 = pointwise.gradients(gradient, second, w3, groups, of_x=True, of_weight=trains)
        gradient = _masked(of_second, second)
        del second, of_second
        gradient, of_g2, of_b2 = _norm_gradient(gradient, save2, g2, ctx.eps[1])
        if ctx.remakes:
            save1[0] = pointwise.pointwise(x, w1, groups)
        first = _activation(save1, g1, b1)
        inner = _shuffled(first, groups)
        of_w2 = depthwise.weight_gradient(gradient, inner, w2.shape[-1], ctx.stride) if trains else None
        gradient = depthwise.input_gradient(gradient, inner, w2, ctx.stride)
        gradient = _masked(_unshuffled(gradient, groups), first)
        del first, inner
        gradient, of_g1, of_b1 = _norm_gradient(gradient, save1, g1, ctx.eps[0])
        of_x, of_w1 = pointwise.gradients(gradient, x, w1, groups, of_x=ctx.needs_input_grad[0], of_weight=trains)
        if not trains:
            return of_x, of_gate, None, None, None, *[None] * 9
        of_g3, of_b3 = by_scale * gate, by_shift * gate
        return of_x, of_gate, None, None, None, of_w1, of_g1, of_b1, of_w2, of_g2, of_b2, of_w3, of_g3, of_b3


def _shuffled(x: Tensor, groups: int) -> Tensor:
    """ChannelShuffle, in channels_last."""
    if groups == 1:
        return x
    n, c, h, w = x.shape
    rows = x.permute(0, 2, 3, 1).reshape(-1, groups, c // groups)
    return rows.transpose(1, 2).reshape(n, h, w, c).permute(0, 3, 1, 2)


def _unshuffled(x: Tensor, groups: int) -> Tensor:
    return _shuffled(x, x.shape[1] // groups) if groups > 1 else x


def _norm(x: Tensor, scale: Tensor, shift: Tensor, norm: nn.BatchNorm2d) -> tuple[Tensor, _Saved]:
    momentum = norm.momentum
    assert momentum is not None
    out, mean, inverse = torch.native_batch_norm(
        x, scale, shift, norm.running_mean, norm.running_var, True, momentum, norm.eps
    )
    return out, (x, mean, inverse)


def _activation(saved: _Saved, scale: Tensor, shift: Tensor) -> Tensor:
    """ReLU of the batch norm's output, made again."""
    x, mean, inverse = saved
    return torch.native_batch_norm(x, scale, shift, mean, inverse.pow(-2), False, 0.0, 0.0)[0].relu_()


def _norm_gradient(gradient: Tensor, saved: _Saved, scale: Tensor, eps: float) -> tuple[Tensor, Tensor, Tensor]:
    x, mean, inverse = saved
    found: tuple[Tensor, Tensor, Tensor] = torch.ops.aten.native_batch_norm_backward.default(
        gradient, x, scale, None, None, mean, inverse, True, eps, [True, True, True]
    )
    return found


def _masked(gradient: Tensor | None, activation: Tensor) -> Tensor:
    """ReLU's gradient, in place."""
    out: Tensor = torch.ops.aten.threshold_backward.grad_input(gradient, activation, 0, grad_input=gradient)
    return out
