"""RepViT (CVPR 2024) M0.9 and M1.1 as they run: branches and batch norms are part of convolutions with a bias.

A block mixes places by a depthwise 3x3 convolution and channels by two 1x1, the latter with a residual. Every other
block of a stage has squeeze-and-excitation, its first one too. GELU stands inside. Of the two classifiers that
distillation trains, the mean is one.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from lutbench.space.blocks.parts import Squeeze, divisible, squeeze_excite
from lutbench.space.graph import Activation, Graph, GraphBuilder
from lutbench.space.models.blocks import CLASSES

_KERNEL, _RATIO = 3, 2


def _build(channels: tuple[int, ...], repeats: tuple[int, ...], resolution: int, width: float) -> Graph:
    """channels, repeats: of the four stages; each but the first begins with a block that halves the map."""
    del width  # the released nets have one each
    net = GraphBuilder(3, resolution, resolution)
    _conv(net, channels[0] // 2, 3, 2, activation="gelu")
    _conv(net, channels[0], 3, 2)
    for stage, (wide, count) in enumerate(zip(channels, repeats, strict=True)):
        if stage:
            _down(net, wide)
        for place in range(count):
            _block(net, squeezed=place % 2 == 0)
    net.fc(net.global_pool(net.last), CLASSES)
    return net.graph()


def _conv(
    net: GraphBuilder, channels: int, kernel: int = 1, stride: int = 1, groups: int = 1, activation: Activation = "none"
) -> int:
    return net.conv(net.last, channels, kernel, stride, groups, activation, norm=False, bias=True)


def _depthwise(net: GraphBuilder, stride: int = 1) -> int:
    channels = net.shape(net.last)[0]
    return _conv(net, channels, _KERNEL, stride, channels)


def _mix_channels(net: GraphBuilder) -> int:
    given = net.last
    channels = net.shape(given)[0]
    _conv(net, channels * _RATIO, activation="gelu")
    return net.add(given, _conv(net, channels))


def _block(net: GraphBuilder, squeezed: bool) -> None:
    last = _depthwise(net)
    if squeezed:
        squeeze_excite(net, last, Squeeze(divisible(net.shape(last)[0] / 4, at_least=0), "relu", "sigmoid"))
    _mix_channels(net)


def _down(net: GraphBuilder, channels: int) -> None:
    _block(net, squeezed=False)
    _depthwise(net, stride=2)
    _conv(net, channels)
    _mix_channels(net)


# name -> graph at a resolution; both were published at 224
REPVIT: dict[str, Callable[[int, float], Graph]] = {
    "repvit_m0_9": partial(_build, (48, 96, 192, 384), (2, 2, 14, 2)),
    "repvit_m1_1": partial(_build, (64, 128, 256, 512), (2, 2, 12, 2)),
}
