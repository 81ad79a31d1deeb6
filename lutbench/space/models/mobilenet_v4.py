"""MobileNetV4 (ECCV 2024): Conv-S, Conv-M, Conv-L and Hybrid-M as their authors released them.

The lists are those of tensorflow/models, official/vision/modeling/backbones/mobilenet.py. Hybrid-M is trained
with layer scale, which multiplies channels behind a convolution and is part of its weights afterwards.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

from lutbench.space.macro import HeadLayer
from lutbench.space.models.blocks import Row, Stem, Title, net_of
from lutbench.space.net import Net

_TAIL = (HeadLayer("conv_k1", 960), HeadLayer("pool_map"), HeadLayer("conv_k1", 1280), HeadLayer("fc"))

_SMALL = (
    Row("conv_k3", 32, stride=2),
    Row("conv_k1", 32),
    Row("conv_k3", 96, stride=2),
    Row("conv_k1", 64),
    Row("uib_a5_k5_e3", 96, stride=2),
    Row("uib_a0_k3_e2", 96, 4),
    Row("uib_a3_k0_e4", 96),
    Row("uib_a3_k3_e6", 128, stride=2),
    Row("uib_a5_k5_e4", 128),
    Row("uib_a0_k5_e4", 128),
    Row("uib_a0_k5_e3", 128),
    Row("uib_a0_k3_e4", 128, 2),
)
_TO_160 = (
    Row("fused_k3_e4", 48, stride=2),
    Row("uib_a3_k5_e4", 80, stride=2),
    Row("uib_a3_k3_e2", 80),
    Row("uib_a3_k5_e6", 160, stride=2),
)
_MEDIUM = (
    *_TO_160,
    Row("uib_a3_k3_e4", 160, 2),
    Row("uib_a3_k5_e4", 160),
    Row("uib_a3_k3_e4", 160),
    Row("uib_a3_k0_e4", 160),
    Row("uib_a0_k0_e2", 160),
    Row("uib_a3_k0_e4", 160),
    Row("uib_a5_k5_e6", 256, stride=2),
    Row("uib_a5_k5_e4", 256),
    Row("uib_a3_k5_e4", 256, 2),
    Row("uib_a0_k0_e4", 256),
    Row("uib_a3_k0_e4", 256),
    Row("uib_a3_k5_e2", 256),
    Row("uib_a5_k5_e4", 256),
    Row("uib_a0_k0_e4", 256, 2),
    Row("uib_a5_k0_e2", 256),
)
_LARGE = (
    Row("fused_k3_e4", 48, stride=2),
    Row("uib_a3_k5_e4", 96, stride=2),
    Row("uib_a3_k3_e4", 96),
    Row("uib_a3_k5_e4", 192, stride=2),
    Row("uib_a3_k3_e4", 192, 3),
    Row("uib_a3_k5_e4", 192),
    Row("uib_a5_k3_e4", 192, 5),
    Row("uib_a3_k0_e4", 192),
    Row("uib_a5_k5_e4", 512, stride=2),
    Row("uib_a5_k5_e4", 512, 3),
    Row("uib_a5_k0_e4", 512),
    Row("uib_a5_k3_e4", 512),
    Row("uib_a5_k0_e4", 512, 2),
    Row("uib_a5_k3_e4", 512),
    Row("uib_a5_k5_e4", 512),
    Row("uib_a5_k0_e4", 512, 3),
)
_HALVED, _WHOLE = "mqa_h4_d64_r2_k3", "mqa_h4_d64"  # attention to a map half as high and wide, and to the whole map
_HYBRID = (
    *_TO_160,
    Row("uib_a0_k0_e2", 160),
    Row("uib_a3_k3_e4", 160),
    Row("uib_a3_k5_e4", 160),
    Row(_HALVED, 160),
    Row("uib_a3_k3_e4", 160),
    Row(_HALVED, 160),
    Row("uib_a3_k0_e4", 160),
    Row(_HALVED, 160),
    Row("uib_a3_k3_e4", 160),
    Row(_HALVED, 160),
    Row("uib_a3_k0_e4", 160),
    Row("uib_a5_k5_e6", 256, stride=2),
    Row("uib_a5_k5_e4", 256),
    Row("uib_a3_k5_e4", 256, 2),
    Row("uib_a0_k0_e2", 256),
    Row("uib_a3_k5_e2", 256),
    Row("uib_a0_k0_e2", 256),
    Row("uib_a0_k0_e4", 256),
    Row(_WHOLE, 256),
    Row("uib_a3_k0_e4", 256),
    Row(_WHOLE, 256),
    Row("uib_a5_k5_e4", 256),
    Row(_WHOLE, 256),
    Row("uib_a5_k0_e4", 256),
    Row(_WHOLE, 256),
    Row("uib_a5_k0_e4", 256),
)


def _build(name: str, stem: int, body: Sequence[Row], resolution: int, width: float) -> Net:
    """The head pools before its last 1x1 convolution, as MobileNetV3's, with batch norm."""
    del width  # the released nets have one
    return net_of(Title(name, resolution), Stem(stem), body, _TAIL)


# name -> (the net at a resolution, the resolution it was published at)
MOBILENET_V4: dict[str, tuple[Callable[[int, float], Net], int]] = {
    name: (partial(_build, name, stem, body), resolution)
    for name, stem, body, resolution in (
        ("mobilenet_v4_conv_s", 32, _SMALL, 224),
        ("mobilenet_v4_conv_m", 32, _MEDIUM, 256),
        ("mobilenet_v4_conv_l", 24, _LARGE, 384),
        ("mobilenet_v4_hybrid_m", 32, _HYBRID, 256),
    )
}
