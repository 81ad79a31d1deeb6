"""GhostNet (CVPR 2020, table 1): a cheap depthwise convolution makes half of the channels of the other half."""

from __future__ import annotations

from dataclasses import dataclass

from lutbench.space.blocks.parts import Squeeze, divisible, squeeze_excite
from lutbench.space.graph import Activation, Graph, GraphBuilder
from lutbench.space.models.blocks import CLASSES

_CHEAP_KERNEL = 3


@dataclass(frozen=True)
class _Row:
    """One bottleneck: kernel of its depthwise convolutions with a stride, channels inside and behind it."""

    kernel: int
    mid: int
    channels: int
    squeeze: bool = False
    stride: int = 1


_ROWS = (
    _Row(3, 16, 16),
    _Row(3, 48, 24, stride=2),
    _Row(3, 72, 24),
    _Row(5, 72, 40, squeeze=True, stride=2),
    _Row(5, 120, 40, squeeze=True),
    _Row(3, 240, 80, stride=2),
    _Row(3, 200, 80),
    _Row(3, 184, 80),
    _Row(3, 184, 80),
    _Row(3, 480, 112, squeeze=True),
    _Row(3, 672, 112, squeeze=True),
    _Row(5, 672, 160, squeeze=True, stride=2),
    _Row(5, 960, 160),
    _Row(5, 960, 160, squeeze=True),
    _Row(5, 960, 160),
    _Row(5, 960, 160, squeeze=True),
)


def ghostnet(resolution: int, width: float) -> Graph:
    """GhostNet 1.0; the layer of 1280 behind the pool has a bias and no batch norm."""
    del width  # one has published weights
    net = GraphBuilder(3, resolution, resolution)
    last = net.conv(0, 16, 3, 2, activation="relu")
    for row in _ROWS:
        last = _bottleneck(net, last, row)
    last = net.global_pool(net.conv(last, 960, activation="relu"))
    net.fc(net.conv(last, 1280, activation="relu", norm=False, bias=True), CLASSES)
    return net.graph()


def _ghost(net: GraphBuilder, given: int, channels: int, activation: Activation) -> int:
    made = net.conv(given, channels // 2, activation=activation)
    return net.concat([made, net.depthwise(made, _CHEAP_KERNEL, activation=activation)])


def _bottleneck(net: GraphBuilder, given: int, row: _Row) -> int:
    last = _ghost(net, given, row.mid, "relu")
    if row.stride > 1:
        last = net.depthwise(last, row.kernel, row.stride)
    if row.squeeze:
        last = squeeze_excite(net, last, Squeeze(divisible(row.mid / 4, 4)))
    last = _ghost(net, last, row.channels, "none")
    if row.stride > 1 or net.shape(given)[0] != row.channels:
        given = net.conv(net.depthwise(given, row.kernel, row.stride), row.channels)
    return net.add(given, last)
