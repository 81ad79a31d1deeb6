"""FBNetV2 (CVPR 2020): the nets its authors released, F1 to F4, L1 and L2.

A block is written `k5_se_hs e5.7133 c56 s2`: depthwise kernel, squeeze-and-excitation, hard-swish (else ReLU),
expansion of its input's channels, output channels, stride where it is not 1. `skip c80` is a 1x1 convolution where that
changes the channels, and nothing where it does not. `x2` repeats a block.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import partial

from lutbench.space.blocks.parts import Squeeze, divisible
from lutbench.space.graph import Activation, Graph, GraphBuilder
from lutbench.space.models.blocks import CLASSES, inverted_residual

_F1 = """
k5 e1 c8
k5 e5.4566 c24 s2 | k5 e4.7912 c24
k5_se e5.3501 c32 s2 | k5_se e4.5379 c24
k5_hs e5.7133 c56 s2 | k3_hs e4.1212 c56 | k3_se_hs e5.1246 c56 | skip c80 | k5_se_hs e4.5070 c80 | k5_se_hs e1.7712 c80
k3_se_hs e4.5685 c144 s2 | k5_se_hs e5.8400 c144 | k5_se_hs e6.8754 c144 | skip c224
"""
_F4 = """
k3_hs e1 c16
k5_hs e5.4566 c24 s2 | k5_hs e1.7912 c24 x2
k5_se e5.3501 c32 s2 | k5_se e3.5379 c32 | k5_se e4.5379 c32 x2
k5_hs e5.7133 c64 s2 | k3_hs e2.1212 c64 | skip c64
k3_hs e5.0333 c104 | k5_se_hs e2.5070 c104 | k5_se_hs e1.7712 c104 | k5_se_hs e3.7712 c112
k3_se_hs e5.5685 c184 s2 | k5_se_hs e2.8400 c184 | k5_se_hs e4.8754 c184 | skip c224
"""
_L1 = """
k3_hs e1 c16
k5_hs e5.4566 c24 s2 | k5_hs e1.7912 c24 | k3_hs e1.7912 c24 | k5_hs e1.7912 c24
k5_se_hs e5.3501 c40 s2 | k5_se_hs e3.5379 c32 | k5_se_hs e4.5379 c32 x2
k5_hs e5.7133 c64 s2 | k3_hs e2.1212 c64 | skip c64 | k3_hs e3.1246 c64
k3_hs e5.0333 c112 | k5_se_hs e2.5070 c112 | k5_se_hs e1.7712 c112 | k5_se_hs e2.7712 c112 | k5_se_hs e3.7712 c112 x2
k3_se_hs e5.5685 c184 s2 | k5_se_hs e2.8400 c184 x2 | k5_se_hs e4.8754 c184 x2 | skip c224
"""
_BLOCK = re.compile(
    r"(?:skip|k(?P<kernel>\d)(?P<se>_se)?(?P<hs>_hs)? e(?P<expansion>[\d.]+)) c(?P<channels>\d+)"
    r"(?: s(?P<stride>\d))?(?: x(?P<repeats>\d))?"
)


def _rounded(channels: float) -> int:
    """To the nearest multiple of 8, by at most 5 % down; the released code's rule."""
    return divisible(channels, at_least=0.95)


def _block(net: GraphBuilder, given: int, block: re.Match[str]) -> int:
    channels, stride = int(block["channels"]), int(block["stride"] or 1)
    c_in = net.shape(given)[0]
    if block["kernel"] is None:
        return given if c_in == channels else net.conv(given, channels, activation="relu")
    mid = _rounded(c_in * float(block["expansion"]))
    activation: Activation = "hswish" if block["hs"] else "relu"
    squeeze = Squeeze(_rounded(mid // 4), activation) if block["se"] else None
    return inverted_residual(net, given, channels, int(block["kernel"]), stride, mid, activation, squeeze)


def _build(blocks: str, stem: int, head: int, resolution: int, width: float) -> Graph:
    """The head pools before its last 1x1 convolution, which has neither batch norm nor bias."""
    del width  # the released nets have one
    net = GraphBuilder(3, resolution, resolution)
    last = net.conv(0, stem, 3, 2, activation="hswish")
    for block in _BLOCK.finditer(blocks):
        for _ in range(int(block["repeats"] or 1)):
            last = _block(net, last, block)
    last = net.conv(last, _rounded(net.shape(last)[0] * 6), activation="hswish")
    last = net.conv(net.global_pool(last), head, activation="hswish", norm=False)
    net.fc(net.global_pool(last), CLASSES)
    return net.graph()


# name -> (graph at a resolution, the resolution it was released at)
FBNETV2: dict[str, tuple[Callable[[int, float], Graph], int]] = {
    "fbnetv2_f1": (partial(_build, _F1, 8, 1600), 128),
    "fbnetv2_f2": (partial(_build, _F1, 8, 1600), 160),
    "fbnetv2_f3": (partial(_build, _F1, 8, 1984), 192),
    "fbnetv2_f4": (partial(_build, _F4, 16, 1984), 224),
    "fbnetv2_l1": (partial(_build, _L1, 16, 1984), 224),
    "fbnetv2_l2": (partial(_build, _L1, 16, 1984), 256),
}
