"""MobileNetV3, small and large (ICCV 2019, tables 1 and 2)."""

from __future__ import annotations

from dataclasses import dataclass

from lutbench.space.blocks.parts import Squeeze, divisible
from lutbench.space.graph import Activation, Graph, GraphBuilder
from lutbench.space.models.blocks import CLASSES, inverted_residual


@dataclass(frozen=True)
class _Row:
    """One block; expansion is relative to its input's channels, as the authors' code has it at other widths."""

    kernel: int
    expansion: float
    channels: int
    squeeze: bool
    activation: Activation
    stride: int


_LARGE = (
    _Row(3, 1, 16, False, "relu", 1),
    _Row(3, 4, 24, False, "relu", 2),
    _Row(3, 3, 24, False, "relu", 1),
    _Row(5, 3, 40, True, "relu", 2),
    _Row(5, 3, 40, True, "relu", 1),
    _Row(5, 3, 40, True, "relu", 1),
    _Row(3, 6, 80, False, "hswish", 2),
    _Row(3, 200 / 80, 80, False, "hswish", 1),
    _Row(3, 184 / 80, 80, False, "hswish", 1),
    _Row(3, 184 / 80, 80, False, "hswish", 1),
    _Row(3, 6, 112, True, "hswish", 1),
    _Row(3, 6, 112, True, "hswish", 1),
    _Row(5, 6, 160, True, "hswish", 2),
    _Row(5, 6, 160, True, "hswish", 1),
    _Row(5, 6, 160, True, "hswish", 1),
)
_SMALL = (
    _Row(3, 1, 16, True, "relu", 2),
    _Row(3, 72 / 16, 24, False, "relu", 2),
    _Row(3, 88 / 24, 24, False, "relu", 1),
    _Row(5, 4, 40, True, "hswish", 2),
    _Row(5, 6, 40, True, "hswish", 1),
    _Row(5, 6, 40, True, "hswish", 1),
    _Row(5, 3, 48, True, "hswish", 1),
    _Row(5, 3, 48, True, "hswish", 1),
    _Row(5, 6, 96, True, "hswish", 2),
    _Row(5, 6, 96, True, "hswish", 1),
    _Row(5, 6, 96, True, "hswish", 1),
)


def mobilenet_v3_large(resolution: int, width: float) -> Graph:
    return _build(resolution, width, _LARGE, 960, 1280)


def mobilenet_v3_small(resolution: int, width: float) -> Graph:
    return _build(resolution, width, _SMALL, 576, 1024)


def _build(resolution: int, width: float, rows: tuple[_Row, ...], head: int, hidden: int) -> Graph:
    """head: of the 1x1 convolution before the pool. hidden: of the layer behind it, the same at every width.

    Only so has the large net at width 1.25 its published 7.5 million parameters (arXiv 1905.02244, table 9).
    """
    net = GraphBuilder(3, resolution, resolution)
    last = net.conv(0, divisible(16 * width), 3, 2, activation="hswish")
    for row in rows:
        mid = divisible(net.shape(last)[0] * row.expansion)
        squeeze = Squeeze(divisible(mid / 4)) if row.squeeze else None
        channels = divisible(row.channels * width)
        last = inverted_residual(net, last, channels, row.kernel, row.stride, mid, row.activation, squeeze)
    last = net.conv(last, divisible(head * width), activation="hswish")
    last = net.fc(net.global_pool(last), hidden, "hswish")
    net.fc(last, CLASSES)
    return net.graph()
