"""What several families share: the inverted residual block as their authors have it, and nets made of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from lutbench.space.blocks.parts import Squeeze, squeeze_excite
from lutbench.space.candidate import parse_candidate
from lutbench.space.graph import Activation, GraphBuilder
from lutbench.space.macro import HeadLayer, Space, Stage
from lutbench.space.net import Net
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
    """MobileNetV2's block by hand, mid channels wide inside: no first 1x1 where that is its input's width.

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


@dataclass(frozen=True)
class Row:
    """repeats blocks as search spaces write them (`uib_a3_k5_e4`); the first has the stride."""

    candidate: str
    channels: int
    repeats: int = 1
    stride: int = 1


@dataclass(frozen=True)
class Title:
    """What a net is called, and at which resolution and width it is."""

    name: str
    resolution: int
    width: float = 1.0


@dataclass(frozen=True)
class Stem:
    """Channels of the 3x3 convolution of stride 2 that reads the image, and what stands behind it."""

    channels: int
    activation: str = "relu"


def net_of(title: Title, stem: Stem, blocks: Sequence[Row], head: Sequence[HeadLayer]) -> Net:
    """The net of these blocks: the one net of a space where each layer has one candidate."""
    candidates = tuple(parse_candidate(row.candidate) for row in blocks)
    stages = [
        Stage(row.channels, row.repeats, row.stride, (candidate,))
        for row, candidate in zip(blocks, candidates, strict=True)
    ]
    space = Space(
        name=title.name,
        resolution=title.resolution,
        width=title.width,
        stem_channels=stem.channels,
        stem_kernel=3,
        stem_stride=2,
        stem_activation=stem.activation,
        stages=tuple(stages),
        candidates=(),
        head=tuple(head),
        head_channels=next(layer.channels for layer in head if layer.channels),
        classes=CLASSES,
    )
    choice = tuple(layer.candidates[0] for layer in space.layers)
    return Net(title.name, space, choice, space.head_channels)


def mobile(
    title: Title,
    stem: int,
    width: Callable[[int], int],
    stages: Sequence[MBConv],
    head: int,
    activation: str,
    words: str = "",
) -> Net:
    """Stem, stages of blocks, 1x1 head, pool, classifier.

    stem, head: channels of this net's.
    width: from a published channel count to this net's.
    words: what the blocks' names say beside kernel and expansion.
    """
    blocks: list[Row] = []
    c_in = stem
    for stage in stages:
        for repeat in range(stage.repeats):
            name = f"k{stage.kernel}_{expansion_word(c_in, c_in * stage.expansion)}{words}"
            blocks.append(Row(name, width(stage.channels), 1, stage.stride if repeat == 0 else 1))
            c_in = width(stage.channels)
    last = "conv_k1" if activation == "relu" else f"conv_k1_{activation}"
    return net_of(title, Stem(stem, activation), blocks, (HeadLayer(last, head), HeadLayer("pool"), HeadLayer("fc")))


def expansion_word(c_in: int, mid: float) -> str:
    """The word of a block's name for mid channels inside; e0 where nothing expands its input."""
    return "e0" if round(mid) == c_in else f"e{round(mid) / c_in:g}"


def rows(net: GraphBuilder, blocks: Sequence[Row]) -> None:
    """Adds blocks of a search space's kinds behind the last layer."""
    for row in blocks:
        for repeat in range(row.repeats):
            stride = row.stride if repeat == 0 else 1
            draw(net, block_operator(parse_candidate(row.candidate), *net.shape(net.last), row.channels, stride))
