"""MobileNetV2, MnasNet, EfficientNet-B0 and ProxylessNAS-Mobile: stages of equal inverted residual blocks.

MnasNet's channel counts are rounded up to multiples of 8, for only so does its width of 0.35 have the 76 million
multiply-accumulates that FBNet's table 4 gives it.
"""

from __future__ import annotations

from lutbench.space.blocks.parts import divisible
from lutbench.space.models.blocks import MBConv, Title, mobile
from lutbench.space.net import Net
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


def mobilenet_v2(resolution: int, width: float) -> Net:
    """MobileNetV2 (CVPR 2018, table 2); the head of 1280 is not made narrower."""
    title, head = Title("mobilenet_v2", resolution, width), divisible(1280 * max(1.0, width))
    stem = divisible(32 * width)
    return mobile(title, stem, lambda c: divisible(c * width), _MOBILENET_V2, head, "relu6", "_relu6")


_MNASNET = (
    MBConv(1, 3, 16, 1, 1),
    MBConv(3, 3, 24, 3, 2),
    MBConv(3, 5, 40, 3, 2),
    MBConv(6, 5, 80, 3, 2),
    MBConv(6, 3, 96, 2, 1),
    MBConv(6, 5, 192, 4, 2),
    MBConv(6, 3, 320, 1, 1),
)


def mnasnet(resolution: int, width: float) -> Net:
    """MnasNet's first version, without squeeze-and-excitation (arXiv 1807.11626v1, figure 7)."""
    title, stem = Title("mnasnet", resolution, width), scaled_channels(32, width)
    return mobile(title, stem, lambda c: scaled_channels(c, width), _MNASNET, 1280, "relu")


EFFICIENTNET_B0 = (
    MBConv(1, 3, 16, 1, 1),
    MBConv(6, 3, 24, 2, 2),
    MBConv(6, 5, 40, 2, 2),
    MBConv(6, 3, 80, 3, 2),
    MBConv(6, 5, 112, 3, 1),
    MBConv(6, 5, 192, 4, 2),
    MBConv(6, 3, 320, 1, 1),
)


def efficientnet_b0(resolution: int, width: float) -> Net:
    """EfficientNet-B0 (ICML 2019, table 1); a block squeezes to a quarter of its input's channels."""
    return mobile(
        Title("efficientnet_b0", resolution, width),
        divisible(32 * width),
        lambda c: divisible(c * width),
        EFFICIENTNET_B0,
        divisible(1280 * width),
        "swish",
        "_swish_si0.25",
    )


_PROXYLESS_MOBILE = (
    MBConv(1, 3, 16, 1, 1),
    MBConv(3, 5, 32, 1, 2),
    MBConv(3, 3, 32, 1, 1),
    MBConv(3, 7, 40, 1, 2),
    MBConv(3, 3, 40, 1, 1),
    MBConv(3, 5, 40, 2, 1),
    MBConv(6, 7, 80, 1, 2),
    MBConv(3, 5, 80, 3, 1),
    MBConv(6, 5, 96, 1, 1),
    MBConv(3, 5, 96, 3, 1),
    MBConv(6, 7, 192, 1, 2),
    MBConv(6, 7, 192, 1, 1),
    MBConv(3, 7, 192, 2, 1),
    MBConv(6, 7, 320, 1, 1),
)


def proxyless_mobile(resolution: int, width: float) -> Net:
    """ProxylessNAS-Mobile (ICLR 2019), found for a phone, block by block as in its authors' log of it."""
    del width  # the released net has one
    return mobile(Title("proxyless_mobile", resolution), 32, lambda c: c, _PROXYLESS_MOBILE, 1280, "relu6", "_relu6")
