"""What several families share: the inverted residual block as their authors have it, and nets made of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from lutbench.space.blocks.parts import Squeeze, squeeze_excite
from lutbench.space.candidate import parse_candidate
from lutbench.space.graph import Activation, Graph, GraphBuilder
from lutbench.space.operator import block_operator, draw

CLASSES = 1000


def inverted_residual(
    net: GraphBuilder,
    given: int,
    channels: int,
    kernel: int,
    stride: int,
    mid: int,
    activation: Activation,
    squeeze: Squeeze | None = None,
) -> int:
    """MobileNetV2's block, mid channels wide inside: no first 1x1 where that is its input's width.

    squeeze stands behind the depthwise convolution; the residual is there where the shape does not change.
    """
    c_in = net.shape(given)[0]
    last = net.conv(given, mid, activation=activation) if mid != c_in else given
    last = net.depthwise(last, kernel, stride, activation)
    last = net.conv(squeeze_excite(net, last, squeeze) if squeeze else last, channels)
    return net.add(given, last) if stride == 1 and c_in == channels else last


@dataclass(frozen=True)
class MBConv:
    """repeats inverted residual blocks; the first has the stride. Expansion 1: no first 1x1."""

    expansion: float
    kernel: int
    channels: int
    repeats: int
    stride: int


def mobile(
    resolution: int,
    stem: int,
    width: Callable[[int], int],
    stages: Sequence[MBConv],
    head: int,
    activation: Activation,
    squeeze: Callable[[int], Squeeze] | None = None,
) -> Graph:
    """Stem, stages of blocks, 1x1 head, pool, classifier.

    stem, head: channels of this net's.
    width: from a published channel count to this net's.
    squeeze: from a block's input channels to what stands in it.
    """
    net = GraphBuilder(3, resolution, resolution)
    last = net.conv(0, stem, 3, 2, activation=activation)
    for stage in stages:
        for repeat in range(stage.repeats):
            c_in = net.shape(last)[0]
            last = inverted_residual(
                net,
                last,
                width(stage.channels),
                stage.kernel,
                stage.stride if repeat == 0 else 1,
                round(c_in * stage.expansion),
                activation,
                squeeze(c_in) if squeeze else None,
            )
    last = net.conv(last, head, activation=activation)
    net.fc(net.global_pool(last), CLASSES)
    return net.graph()


@dataclass(frozen=True)
class Row:
    """repeats blocks as search spaces write them (`uib_a3_k5_e4`); the first has the stride."""

    candidate: str
    channels: int
    repeats: int = 1
    stride: int = 1


def rows(net: GraphBuilder, blocks: Sequence[Row]) -> None:
    """Adds blocks of a search space's kinds behind the last layer."""
    for row in blocks:
        for repeat in range(row.repeats):
            stride = row.stride if repeat == 0 else 1
            draw(net, block_operator(parse_candidate(row.candidate), *net.shape(net.last), row.channels, stride))
