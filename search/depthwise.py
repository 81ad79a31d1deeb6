"""Depthwise convolutions and their gradients on a CPU, in channels_last.

oneDNN has fast kernels for most of them, and reference code for the rest that is up to 60 times slower: weight
gradients of kernels wider than 3, and anything whose map is smaller than the kernel's reach. Three identities keep to
the fast ones:
- taps that never meet the map do nothing, so a kernel is cropped to twice the map's side less 1;
- on a 1 x 1 map only the centre tap is left, a product per channel;
- a weight gradient's columns are independent, so they are computed 3 at a time from an input that is padded explicitly.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.autograd import Function
from torch.nn import functional as F

_AT_ONCE = 1 << 21  # elements of an input that are padded at once
_WIDEST = 3  # columns of a kernel whose weight gradient oneDNN has a fast kernel for


def depthwise(x: Tensor, weight: Tensor, stride: int) -> Tensor:
    """(N, C, H, W), (C, 1, K, K) -> (N, C, ceil(H / stride), ceil(W / stride)); padding K // 2."""
    weight = _cropped(weight, x)
    if x.shape[2:] == (1, 1):
        return x * weight.view(-1, 1, 1)
    return F.conv2d(x, weight, None, stride, _half(weight.shape[2:]), 1, x.shape[1])


def input_gradient(gradient: Tensor, x: Tensor, weight: Tensor, stride: int) -> Tensor:
    """The gradient of x, (N, C, H, W), from that of the output; of x only the shape is read."""
    weight = _cropped(weight, x)
    if x.shape[2:] == (1, 1):
        return gradient * weight.view(-1, 1, 1)
    return _backward(gradient, x, weight, stride, _half(weight.shape[2:]), (True, False))[0]


def weight_gradient(gradient: Tensor, x: Tensor, kernel: int, stride: int) -> Tensor:
    """The gradient of the weight, (C, 1, K, K), from that of the output and the input."""
    height, width = sides = _reach(kernel, x)
    if x.shape[2:] == (1, 1):
        found = (gradient * x).sum(0).view(-1, 1, 1, 1)
    elif width > _WIDEST or min(x.shape[2:]) < _WIDEST:
        found = _by_columns(gradient, x, sides, stride)
    else:
        found = _backward(gradient, x, x.new_empty(x.shape[1], 1, *sides), stride, _half(sides), (False, True))[1]
    above, beside = (kernel - height) // 2, (kernel - width) // 2
    return F.pad(found, (beside, beside, above, above)) if above or beside else found


def _reach(kernel: int, x: Tensor) -> tuple[int, int]:
    """Height and width of the part of a kernel that ever meets the map."""
    return min(kernel, 2 * x.shape[2] - 1), min(kernel, 2 * x.shape[3] - 1)


def _half(sides: Sequence[int]) -> list[int]:
    return [side // 2 for side in sides]


def _cropped(weight: Tensor, x: Tensor) -> Tensor:
    kernel = weight.shape[-1]
    height, width = _reach(kernel, x)
    if height == width == kernel:
        return weight
    above, beside = (kernel - height) // 2, (kernel - width) // 2
    return weight[:, :, above : above + height, beside : beside + width].contiguous()


def _by_columns(gradient: Tensor, x: Tensor, sides: tuple[int, int], stride: int) -> Tensor:
    """The same from the input padded explicitly, a few columns of the kernel at a time; the last ones may overlap.

    Large maps go a few images at a time: a padded copy of all would add to the peak of memory.
    """
    images = max(1, _AT_ONCE // x[0].numel())
    if images < len(x):
        parts = zip(torch.split(gradient, images), torch.split(x, images), strict=True)
        return torch.stack([_by_columns(*part, sides, stride) for part in parts]).sum(0)
    height, width = sides
    rows, columns = (stride * (size - 1) for size in gradient.shape[2:])  # from the first output to the last
    above, beside = _half(sides)
    below = rows + height - x.shape[2] - above
    narrow = min(width, _WIDEST)
    empty = x.new_empty(x.shape[1], 1, height, narrow)
    found: list[Tensor] = []
    done = 0
    for first in (*range(0, width - narrow, narrow), width - narrow):
        left = beside - first
        padded = F.pad(x, (left, columns + narrow - x.shape[3] - left, above, below))
        part = _backward(gradient, padded, empty, stride, [0, 0], (False, True))[1]
        found.append(part[..., done - first :])
        done = first + narrow
    return torch.cat(found, -1) if len(found) > 1 else found[0]


def _backward(
    gradient: Tensor, x: Tensor, weight: Tensor, stride: int, padding: list[int], wanted: tuple[bool, bool]
) -> tuple[Tensor, Tensor]:
    found: tuple[Tensor, Tensor, Tensor] = torch.ops.aten.convolution_backward.default(
        gradient,
        x,
        weight,
        None,
        [stride, stride],
        padding,
        [1, 1],
        False,
        [0, 0],
        x.shape[1],
        [*wanted, False],
    )
    return found[0], found[1]


def depthwise_conv(x: Tensor, taps: Tensor, stride: int, width: int = 0) -> Tensor:
    """The same, differentiable: on a CPU in full precision by the kernels above, else by torch's own.

    width: run on so many channels, zeros among them. oneDNN makes kernels for each number of channels, which takes
    longer than a small convolution; passes that take another number each time keep to a few.
    """
    if x.device.type == "cpu" and x.dtype == taps.dtype == torch.float32 and not torch.is_autocast_enabled("cpu"):
        found: Tensor = _Depthwise.apply(x, taps, stride, width)  # type: ignore[no-untyped-call]
        return found
    return F.conv2d(x, taps, None, stride, taps.shape[-1] // 2, 1, x.shape[1])


class _Depthwise(Function):
    """A depthwise convolution with the kernels that are fast at its size (above)."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, stride: int, width: int) -> Tensor:
        channels = x.shape[1]
        more = 0 if x.shape[2:] == (1, 1) else max(0, width - channels)
        x, weight = _widened(x, more), F.pad(weight, (0,) * 7 + (more,)) if more else weight.contiguous()
        ctx.save_for_backward(x, weight)
        ctx.stride, ctx.channels, ctx.more = stride, channels, more
        return _narrowed(depthwise(x, weight, stride), channels)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Any:
        x, weight = ctx.saved_tensors
        gradient = _widened(gradients[0].contiguous(memory_format=torch.channels_last), ctx.more)
        of_x = None
        if ctx.needs_input_grad[0]:
            of_x = _narrowed(input_gradient(gradient, x, weight, ctx.stride), ctx.channels)
        of_weight = None
        if ctx.needs_input_grad[1]:
            of_weight = weight_gradient(gradient, x, weight.shape[-1], ctx.stride)[: ctx.channels]
        return of_x, of_weight, None, None


def _widened(x: Tensor, more: int) -> Tensor:
    return F.pad(x, (0, 0, 0, 0, 0, more)) if more else x


def _narrowed(x: Tensor, channels: int) -> Tensor:
    return x[:, :channels].contiguous(memory_format=torch.channels_last) if x.shape[1] > channels else x
