"""Depthwise convolutions and their gradients on a CPU, in channels_last.

oneDNN has fast kernels for most of them, and reference code for the rest that is up to 60 times slower: weight
gradients of kernels wider than 3, and anything whose map is smaller than the kernel's reach. Three identities keep to
the fast ones:
- taps that never meet the map do nothing, so a kernel is cropped to 2 x side - 1;
- on a 1 x 1 map only the centre tap is left, a product per channel;
- a weight gradient's columns are independent, so they are computed 3 at a time from an input that is padded explicitly.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

_WIDEST = 3  # columns of a kernel whose weight gradient oneDNN has a fast kernel for


def depthwise(x: Tensor, weight: Tensor, stride: int) -> Tensor:
    """(N, C, H, W), (C, 1, K, K) -> (N, C, ceil(H / stride), ceil(W / stride)); padding K // 2."""
    weight = _cropped(weight, x)
    kernel = weight.shape[-1]
    if kernel == 1:
        return x * weight.view(-1, 1, 1)
    return F.conv2d(x, weight, None, stride, kernel // 2, 1, x.shape[1])


def input_gradient(gradient: Tensor, x: Tensor, weight: Tensor, stride: int) -> Tensor:
    """The gradient of x, (N, C, H, W), from that of the output; of x only the shape is read."""
    weight = _cropped(weight, x)
    kernel = weight.shape[-1]
    if kernel == 1:
        return gradient * weight.view(-1, 1, 1)
    return _backward(gradient, x, weight, stride, kernel // 2, (True, False))[0]


def weight_gradient(gradient: Tensor, x: Tensor, kernel: int, stride: int) -> Tensor:
    """The gradient of the weight, (C, 1, K, K), from that of the output and the input."""
    side = _reach(kernel, x)
    if side == 1:
        found = (gradient * x).sum(0).view(-1, 1, 1, 1)
    elif side > _WIDEST or min(x.shape[2:]) < _WIDEST:
        found = _by_columns(gradient, x, side, stride)
    else:
        found = _backward(gradient, x, x.new_empty(x.shape[1], 1, side, side), stride, side // 2, (False, True))[1]
    margin = (kernel - side) // 2
    return F.pad(found, (margin,) * 4) if margin else found


def _reach(kernel: int, x: Tensor) -> int:
    """The side of the part of a kernel that ever meets the map."""
    return min(kernel, 2 * max(x.shape[2:]) - 1)


def _cropped(weight: Tensor, x: Tensor) -> Tensor:
    margin = (weight.shape[-1] - _reach(weight.shape[-1], x)) // 2
    return weight[:, :, margin:-margin, margin:-margin].contiguous() if margin else weight


def _by_columns(gradient: Tensor, x: Tensor, kernel: int, stride: int) -> Tensor:
    height, width = x.shape[2:]
    rows_out, columns_out = gradient.shape[2:]
    pad, below = kernel // 2, (rows_out - 1) * stride + kernel - height - kernel // 2
    empty = x.new_empty(x.shape[1], 1, kernel, _WIDEST)
    parts: list[Tensor] = []
    done = 0
    for first in (*range(0, kernel - _WIDEST, _WIDEST), kernel - _WIDEST):
        left = pad - first
        right = (columns_out - 1) * stride + _WIDEST - width - left
        part = _backward(gradient, F.pad(x, (left, right, pad, below)), empty, stride, 0, (False, True))[1]
        parts.append(part[..., done - first :])
        done = first + _WIDEST
    return torch.cat(parts, -1) if len(parts) > 1 else parts[0]


def _backward(
    gradient: Tensor, x: Tensor, weight: Tensor, stride: int, padding: int, wanted: tuple[bool, bool]
) -> tuple[Tensor, Tensor]:
    found: tuple[Tensor, Tensor, Tensor] = torch.ops.aten.convolution_backward.default(
        gradient,
        x,
        weight,
        None,
        [stride, stride],
        [padding, padding],
        [1, 1],
        False,
        [0, 0],
        x.shape[1],
        [*wanted, False],
    )
    return found[0], found[1]
