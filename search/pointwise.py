"""1x1 convolutions and their gradients on a CPU, in channels_last, with whichever of two libraries is faster.

Over few rows (N * H * W) a matrix product costs a third of a oneDNN convolution, which spends its time on being called;
over many rows the convolution's kernels take half the time of the product's. With AVX-512 many are more: up to 8,192
rows of FBNet's layers the product takes .5 to .8 of the convolution's time there.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

_MANY_ROWS = 1 << 14 if torch.backends.cpu.get_cpu_capability() == "AVX512" else 1024
_SOME_ROWS = 1 << 14


def pointwise(x: Tensor, weight: Tensor, groups: int) -> Tensor:
    """(N, C, H, W), (D, C / groups, 1, 1) -> (N, D, H, W)"""
    if _has_many_rows(x):
        return F.conv2d(x, weight, groups=groups)
    return as_images(as_rows(x) @ _matrix(weight, groups).t(), x)


def gradients(
    gradient: Tensor, x: Tensor, weight: Tensor, groups: int, *, of_x: bool, of_weight: bool
) -> tuple[Tensor | None, Tensor | None]:
    """The gradients of x and of the weight from that of the output; None for one that is not wanted."""
    if _has_many_rows(x):
        found: tuple[Tensor | None, Tensor | None, None] = torch.ops.aten.convolution_backward.default(
            gradient, x, weight, None, [1, 1], [0, 0], [1, 1], False, [0, 0], groups, [of_x, of_weight, False]
        )
        return found[0], found[1]
    rows = as_rows(gradient)
    return (
        as_images(rows @ _matrix(weight, groups), x) if of_x else None,
        _weight(rows.t() @ as_rows(x), weight, groups) if of_weight else None,
    )


def pointwise_conv(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """A 1x1 convolution of one group, differentiable; any part of a larger weight will do.

    For passes that take another part each time: oneDNN makes a kernel for each shape, which takes a millisecond or
    more, so that up to _SOME_ROWS the product is faster on a CPU, for which nothing is made.
    """
    on_cpu = x.device.type == "cpu" and x.dtype == weight.dtype == torch.float32
    if not on_cpu or torch.is_autocast_enabled("cpu") or x.shape[0] * x.shape[2] * x.shape[3] >= _SOME_ROWS:
        return F.conv2d(x, weight, bias)
    return as_images(F.linear(as_rows(x), weight.flatten(1), bias), x)


def _has_many_rows(x: Tensor) -> bool:
    return x.shape[0] * x.shape[2] * x.shape[3] >= _MANY_ROWS


def as_rows(x: Tensor) -> Tensor:
    """(N, C, H, W) -> (N * H * W, C), a view of channels_last."""
    return x.permute(0, 2, 3, 1).reshape(-1, x.shape[1])


def as_images(rows: Tensor, like: Tensor) -> Tensor:
    """(N * H * W, C) -> (N, C, H, W), a view; all but C are like's."""
    n, _, h, w = like.shape
    return rows.view(n, h, w, -1).permute(0, 3, 1, 2)


def _matrix(weight: Tensor, groups: int) -> Tensor:
    """The weight as (D, C); zeros between the groups."""
    if groups == 1:
        return weight.view(weight.shape[:2])
    parts = weight.view(groups, -1, weight.shape[1])
    matrix = weight.new_zeros(groups, parts.shape[1], groups, parts.shape[2])
    matrix.diagonal(dim1=0, dim2=2).copy_(parts.permute(1, 2, 0))
    return matrix.view(weight.shape[0], -1)


def _weight(matrix: Tensor, weight: Tensor, groups: int) -> Tensor:
    """The weight's gradient from that of its matrix."""
    if groups == 1:
        return matrix.view(weight.shape)
    blocks = matrix.view(groups, len(matrix) // groups, groups, -1).diagonal(dim1=0, dim2=2)
    return blocks.permute(2, 0, 1).reshape(weight.shape)
