"""The published nets that FBNet's tables compare with, as graphs at any resolution and width.

Channel counts are made divisible by 8 as their authors' code does: to the nearest multiple, by at most 10 % down; but
MnasNet's by rounding up, for only so does its width of 0.35 have the 76 million multiply-accumulates of table 4.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from lutbench.space.graph import Activation, Graph, GraphBuilder
from lutbench.space.macro import scaled_channels

CLASSES = 1000


def divisible(channels: float, divisor: int = 8, at_least: float = 0.9) -> int:
    """channels rounded to the nearest multiple of divisor, the one above where that is below at_least of it."""
    rounded = max(divisor, int(channels + divisor / 2) // divisor * divisor)
    return rounded + divisor if rounded < at_least * channels else rounded


@dataclass(frozen=True)
class MBConv:
    """repeats inverted residual blocks; the first has the stride. Expansion 1: no first 1x1."""

    expansion: float
    kernel: int
    channels: int
    repeats: int
    stride: int


def inverted_residual(
    net: GraphBuilder, given: int, channels: int, kernel: int, stride: int, mid: int, activation: Activation
) -> int:
    """The block of MobileNetV2; its residual is there where the shape does not change."""
    c_in = net.shape(given)[0]
    last = net.conv(given, mid, activation=activation) if mid != c_in else given
    last = net.conv(net.depthwise(last, kernel, stride, activation), channels)
    return net.add(given, last) if stride == 1 and c_in == channels else last


def _mobile(
    resolution: int, width: Callable[[int], int], stages: Sequence[MBConv], head: int, activation: Activation
) -> Graph:
    """width: from a published channel count to this net's."""
    net = GraphBuilder(3, resolution, resolution)
    last = net.conv(0, width(32), 3, 2, activation=activation)
    for stage in stages:
        for repeat in range(stage.repeats):
            mid = round(net.shape(last)[0] * stage.expansion)
            stride = stage.stride if repeat == 0 else 1
            last = inverted_residual(net, last, width(stage.channels), stage.kernel, stride, mid, activation)
    last = net.conv(last, head, activation=activation)
    net.fc(net.global_pool(last), CLASSES)
    return net.graph()


_MOBILENET_V2 = (
    MBConv(1, 3, 16, 1, 1),
    MBConv(6, 3, 24, 2, 2),
    MBConv(6, 3, 32, 3, 2),
    MBConv(6, 3, 64, 4, 2),
    MBConv(6, 3, 96, 3, 1),
    MBConv(6, 3, 160, 3, 2),
    MBConv(6, 3, 320, 1, 1),
)


def mobilenet_v2(resolution: int, width: float) -> Graph:
    """MobileNetV2 (CVPR 2018, table 2); the head of 1280 is not made narrower."""
    return _mobile(
        resolution, lambda c: divisible(c * width), _MOBILENET_V2, divisible(1280 * max(1.0, width)), "relu6"
    )


_MNASNET = (
    MBConv(1, 3, 16, 1, 1),
    MBConv(3, 3, 24, 3, 2),
    MBConv(3, 5, 40, 3, 2),
    MBConv(6, 5, 80, 3, 2),
    MBConv(6, 3, 96, 2, 1),
    MBConv(6, 5, 192, 4, 2),
    MBConv(6, 3, 320, 1, 1),
)


def mnasnet(resolution: int, width: float) -> Graph:
    """MnasNet's first version, without squeeze-and-excitation (arXiv 1807.11626v1, figure 7)."""
    return _mobile(resolution, lambda c: scaled_channels(c, width), _MNASNET, 1280, "relu")


_SHUFFLENET_V2 = {
    0.5: (48, 96, 192, 1024),
    1.0: (116, 232, 464, 1024),
    1.5: (176, 352, 704, 1024),
    2.0: (244, 488, 976, 2048),
}


def shufflenet_v2(resolution: int, width: float) -> Graph:
    """ShuffleNetV2 (ECCV 2018, table 5), at one of its four widths."""
    *stages, head = _SHUFFLENET_V2[width]
    net = GraphBuilder(3, resolution, resolution)
    last = net.pool("max_pool", net.conv(0, 24, 3, 2, activation="relu"), 3, 2)
    for channels, repeats in zip(stages, (4, 8, 4), strict=True):
        last = _shuffle_down(net, last, channels // 2)
        for _ in range(repeats - 1):
            last = _shuffle_unit(net, last, channels // 2)
    net.fc(net.global_pool(net.conv(last, head, activation="relu")), CLASSES)
    return net.graph()


def _shuffle_branch(net: GraphBuilder, given: int, channels: int, stride: int) -> int:
    last = net.conv(given, channels, activation="relu")
    return net.conv(net.depthwise(last, 3, stride), channels, activation="relu")


def _shuffle_down(net: GraphBuilder, given: int, half: int) -> int:
    left = net.conv(net.depthwise(given, 3, 2), half, activation="relu")
    return net.shuffle(net.concat([left, _shuffle_branch(net, given, half, 2)]), 2)


def _shuffle_unit(net: GraphBuilder, given: int, half: int) -> int:
    left, right = net.slice(given, 0, half), net.slice(given, half, half)
    return net.shuffle(net.concat([left, _shuffle_branch(net, right, half, 1)]), 2)
