"""Nets that are judged one after the other on a CPU, each of shapes of its own, and the images that they are judged on.

oneDNN makes a kernel for each shape of a convolution, which takes longer than most convolutions of small images do. So
1x1 convolutions run as products, and depthwise ones at widths that other nets have, too.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypeVar

import torch
from torch import Tensor, nn

from lutbench.search.data.source import Batches
from lutbench.search.depthwise import depthwise_conv
from lutbench.search.pointwise import pointwise_conv

Module = TypeVar("Module", bound=nn.Module)
_WIDTH_STEP = 64
_MOST_AT_ONCE = 1 << 20  # numbers of a batch of images: 341 of 32 x 32


class _Pointwise(nn.Conv2d):
    def forward(self, input: Tensor) -> Tensor:  # noqa: A002  # torch's name
        return pointwise_conv(input, self.weight, self.bias)


class _Depthwise(nn.Conv2d):
    def forward(self, input: Tensor) -> Tensor:  # noqa: A002
        width = -(-self.in_channels // _WIDTH_STEP) * _WIDTH_STEP
        return depthwise_conv(input, self.weight, self.stride[0], width)


def judged_quickly(net: Module) -> Module:
    """The same net: its convolutions are from now on run in the ways above, with the same weights."""
    for part in net.modules():
        if type(part) is nn.Conv2d:
            part.__class__ = _quick_kind(part)
    return net


def _quick_kind(conv: nn.Conv2d) -> type[nn.Conv2d]:
    kernel, stride = conv.kernel_size[0], conv.stride[0]
    is_plain = conv.padding_mode == "zeros" and conv.dilation == (1, 1)
    if is_plain and conv.kernel_size == conv.stride == (1, 1) and conv.padding == (0, 0) and conv.groups == 1:
        return _Pointwise
    is_square = conv.kernel_size == (kernel, kernel) and conv.stride == (stride, stride)
    is_depthwise = conv.groups == conv.in_channels == conv.out_channels and conv.bias is None
    if is_plain and is_square and is_depthwise and kernel % 2 and conv.padding == (kernel // 2, kernel // 2):
        return _Depthwise
    return nn.Conv2d


def larger_batches(batches: Iterable[tuple[Tensor, Tensor]]) -> Batches:
    """The same images in the same order; as many batches together as are still small."""
    kept: list[tuple[Tensor, Tensor]] = []
    for batch in batches:
        if kept and sum(images.numel() for images, _ in (*kept, batch)) > _MOST_AT_ONCE:
            yield _joined(kept)
            kept = []
        kept.append(batch)
    if kept:
        yield _joined(kept)


def _joined(batches: Iterable[tuple[Tensor, Tensor]]) -> tuple[Tensor, Tensor]:
    images, labels = zip(*batches, strict=True)
    return torch.cat(images), torch.cat(labels)
