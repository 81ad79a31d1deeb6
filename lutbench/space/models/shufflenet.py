"""ShuffleNetV2: half of the channels pass by, the other half goes through a branch, then all are shuffled."""

from __future__ import annotations

from lutbench.space.graph import Graph, GraphBuilder
from lutbench.space.models.blocks import CLASSES

# width -> channels of stages 2 to 4 and of the last 1x1 convolution
_SHUFFLENET_V2 = {
    0.5: (48, 96, 192, 1024),
    1.0: (116, 232, 464, 1024),
    1.5: (176, 352, 704, 1024),
    2.0: (244, 488, 976, 2048),
}
SHUFFLENET_V2_WIDTHS = tuple(_SHUFFLENET_V2)


def shufflenet_v2(resolution: int, width: float) -> Graph:
    """ShuffleNetV2 (ECCV 2018, table 5), at one of its four widths."""
    *stages, head = _SHUFFLENET_V2[width]
    net = GraphBuilder(3, resolution, resolution)
    last = net.pool("max_pool", net.conv(0, 24, 3, 2, activation="relu"), 3, 2)
    for channels, repeats in zip(stages, (4, 8, 4), strict=True):
        last = _down(net, last, channels // 2)
        for _ in range(repeats - 1):
            last = _unit(net, last, channels // 2)
    net.fc(net.global_pool(net.conv(last, head, activation="relu")), CLASSES)
    return net.graph()


def _branch(net: GraphBuilder, given: int, channels: int, stride: int) -> int:
    last = net.conv(given, channels, activation="relu")
    return net.conv(net.depthwise(last, 3, stride), channels, activation="relu")


def _down(net: GraphBuilder, given: int, half: int) -> int:
    left = net.conv(net.depthwise(given, 3, 2), half, activation="relu")
    return net.shuffle(net.concat([left, _branch(net, given, half, 2)]), 2)


def _unit(net: GraphBuilder, given: int, half: int) -> int:
    left, right = net.slice(given, 0, half), net.slice(given, half, half)
    return net.shuffle(net.concat([left, _branch(net, right, half, 1)]), 2)
