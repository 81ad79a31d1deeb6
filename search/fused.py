"""FBNet's block with its gate as one differentiable function, for training on a CPU.

The modules of lutbench.nn.modules would make some 30 calls of autograd per block, most of them too small to be worth
one. Here 1x1 convolutions are matrix products over rows (N * H * W, C), which is channels_last seen as a matrix; the
gate is a factor of the last batch norm's scale and shift, so weighting costs nothing; between forward and backward
only what the three convolutions gave is kept, the activations are made again from it.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd import Function

from lutbench.nn.modules import ChannelShuffle, InvertedResidual
from search import depthwise

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
        n, _, h, w = x.shape
        first, save1 = _norm(_rows(x) @ _matrix(w1, groups).t(), g1, b1, norms[0])
        middle = depthwise.depthwise(_images(_shuffled(first.relu_(), groups), n, h, w), w2, stride)
        del first
        h, w = middle.shape[2:]
        second, save2 = _norm(_rows(middle), g2, b2, norms[1])
        third = second.relu_() @ _matrix(w3, groups).t()
        del second
        out, save3 = _norm(third, g3 * gate, b3 * gate, norms[2])
        ctx.save_for_backward(x, gate, *parameters, *save1, *save2, *save3)
        ctx.groups, ctx.stride, ctx.eps = groups, stride, [norm.eps for norm in norms]
        return _images(out, n, h, w)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Any:
        x, gate, w1, g1, b1, w2, g2, b2, w3, g3, b3, *saved = ctx.saved_tensors
        save1, save2, save3 = saved[:3], saved[3:6], saved[6:]
        groups, stride = ctx.groups, ctx.stride
        trains = ctx.needs_input_grad[5]
        n, _, h, w = x.shape
        gradient, by_scale, by_shift = _norm_gradient(_rows(gradients[0]), save3, g3 * gate, ctx.eps[2])
        of_gate = by_scale @ g3 + by_shift @ b3
        second = _activation(save2, g2, b2)
        of_w3 = _weight(gradient.t() @ second, w3, groups) if trains else None
        gradient = _masked(gradient @ _matrix(w3, groups), second)
        del second
        gradient, of_g2, of_b2 = _norm_gradient(gradient, save2, g2, ctx.eps[1])
        outer = _images(gradient, n, gradients[0].shape[2], gradients[0].shape[3])
        first = _activation(save1, g1, b1)
        inner = _images(_shuffled(first, groups), n, h, w)
        of_w2 = depthwise.weight_gradient(outer, inner, w2.shape[-1], stride) if trains else None
        gradient = _rows(depthwise.input_gradient(outer, inner, w2, stride))
        del inner, outer
        gradient = _masked(_unshuffled(gradient, groups), first)
        del first
        gradient, of_g1, of_b1 = _norm_gradient(gradient, save1, g1, ctx.eps[0])
        of_w1 = _weight(gradient.t() @ _rows(x), w1, groups) if trains else None
        of_x = _images(gradient @ _matrix(w1, groups), n, h, w) if ctx.needs_input_grad[0] else None
        if not trains:
            return of_x, of_gate, None, None, None, *[None] * 9
        of_g3, of_b3 = by_scale * gate, by_shift * gate
        return of_x, of_gate, None, None, None, of_w1, of_g1, of_b1, of_w2, of_g2, of_b2, of_w3, of_g3, of_b3


def _rows(x: Tensor) -> Tensor:
    """(N, C, H, W) -> (N * H * W, C), a view of channels_last."""
    return x.permute(0, 2, 3, 1).reshape(-1, x.shape[1])


def _images(rows: Tensor, n: int, h: int, w: int) -> Tensor:
    """(N * H * W, C) -> (N, C, H, W), a view."""
    return rows.view(n, h, w, -1).permute(0, 3, 1, 2)


def _shuffled(rows: Tensor, groups: int) -> Tensor:
    if groups == 1:
        return rows
    return rows.view(len(rows), groups, -1).transpose(1, 2).reshape(len(rows), -1)


def _unshuffled(rows: Tensor, groups: int) -> Tensor:
    return _shuffled(rows, rows.shape[1] // groups) if groups > 1 else rows


def _matrix(weight: Tensor, groups: int) -> Tensor:
    """A 1x1 convolution's weight as (C_out, C_in); grouped ones with zeros between the groups."""
    if groups == 1:
        return weight.view(weight.shape[:2])
    parts = weight.view(groups, -1, weight.shape[1])
    matrix = weight.new_zeros(groups, parts.shape[1], groups, parts.shape[2])
    matrix.diagonal(dim1=0, dim2=2).copy_(parts.permute(1, 2, 0))
    return matrix.view(weight.shape[0], -1)


def _weight(matrix: Tensor, weight: Tensor, groups: int) -> Tensor:
    """The gradient of a 1x1 convolution's weight from that of its matrix."""
    if groups == 1:
        return matrix.view(weight.shape)
    blocks = matrix.view(groups, len(matrix) // groups, groups, -1).diagonal(dim1=0, dim2=2)
    return blocks.permute(2, 0, 1).reshape(weight.shape)


def _norm(rows: Tensor, scale: Tensor, shift: Tensor, norm: nn.BatchNorm2d) -> tuple[Tensor, _Saved]:
    momentum = norm.momentum
    assert momentum is not None
    out, mean, inverse = torch.native_batch_norm(
        rows, scale, shift, norm.running_mean, norm.running_var, True, momentum, norm.eps
    )
    return out, (rows, mean, inverse)


def _activation(saved: _Saved, scale: Tensor, shift: Tensor) -> Tensor:
    """ReLU of the batch norm's output, made again."""
    rows, mean, inverse = saved
    return torch.native_batch_norm(rows, scale, shift, mean, inverse.pow(-2), False, 0.0, 0.0)[0].relu_()


def _norm_gradient(gradient: Tensor, saved: _Saved, scale: Tensor, eps: float) -> tuple[Tensor, Tensor, Tensor]:
    rows, mean, inverse = saved
    found: tuple[Tensor, Tensor, Tensor] = torch.ops.aten.native_batch_norm_backward.default(
        gradient, rows, scale, None, None, mean, inverse, True, eps, [True, True, True]
    )
    return found


def _masked(gradient: Tensor, activation: Tensor) -> Tensor:
    """ReLU's gradient, in place."""
    out: Tensor = torch.ops.aten.threshold_backward.grad_input(gradient, activation, 0, grad_input=gradient)
    return out
