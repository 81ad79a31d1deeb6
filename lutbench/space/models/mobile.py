"""MobileNetV2, MnasNet and EfficientNet-B0: stages of equal inverted residual blocks.

MnasNet's channel counts are rounded up to multiples of 8, for only so does its width of 0.35 have the 76 million
multiply-accumulates that FBNet's table 4 gives it.
"""

from __future__ import annotations

from lutbench.space.blocks.parts import Squeeze, divisible
from lutbench.space.graph import Graph
from lutbench.space.models.blocks import MBConv, mobile
from lutbench.space.scale import scaled_channels

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
    head = divisible(1280 * max(1.0, width))
    return mobile(resolution, divisible(32 * width), lambda c: divisible(c * width), _MOBILENET_V2, head, "relu6")


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
    stem = scaled_channels(32, width)
    return mobile(resolution, stem, lambda c: scaled_channels(c, width), _MNASNET, 1280, "relu")


EFFICIENTNET_B0 = (
    MBConv(1, 3, 16, 1, 1),
    MBConv(6, 3, 24, 2, 2),
    MBConv(6, 5, 40, 2, 2),
    MBConv(6, 3, 80, 3, 2),
    MBConv(6, 5, 112, 3, 1),
    MBConv(6, 5, 192, 4, 2),
    MBConv(6, 3, 320, 1, 1),
)


def efficientnet_b0(resolution: int, width: float) -> Graph:
    """EfficientNet-B0 (ICML 2019, table 1); a block squeezes to a quarter of its input's channels."""
    return mobile(
        resolution,
        divisible(32 * width),
        lambda c: divisible(c * width),
        EFFICIENTNET_B0,
        divisible(1280 * width),
        "swish",
        lambda c_in: Squeeze(max(1, c_in // 4), "swish", "sigmoid"),
    )
