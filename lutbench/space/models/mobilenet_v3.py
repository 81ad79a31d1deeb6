"""MobileNetV3, small and large (ICCV 2019, tables 1 and 2)."""

from __future__ import annotations

from dataclasses import dataclass

from lutbench.space.blocks.parts import divisible
from lutbench.space.macro import HeadLayer
from lutbench.space.models.blocks import Row, Stem, Title, expansion_word, net_of
from lutbench.space.net import Net


@dataclass(frozen=True)
class _Row:
    """One block; expansion is relative to its input's channels, as the authors' code has it at other widths."""

    kernel: int
    expansion: float
    channels: int
    squeeze: bool
    activation: str
    stride: int


_LARGE = (
    _Row(3, 1, 16, False, "relu", 1),
    _Row(3, 4, 24, False, "relu", 2),
    _Row(3, 3, 24, False, "relu", 1),
    _Row(5, 3, 40, True, "relu", 2),
    _Row(5, 3, 40, True, "relu", 1),
    _Row(5, 3, 40, True, "relu", 1),
    _Row(3, 6, 80, False, "hswish", 2),
    _Row(3, 200 / 80, 80, False, "hswish", 1),
    _Row(3, 184 / 80, 80, False, "hswish", 1),
    _Row(3, 184 / 80, 80, False, "hswish", 1),
    _Row(3, 6, 112, True, "hswish", 1),
    _Row(3, 6, 112, True, "hswish", 1),
    _Row(5, 6, 160, True, "hswish", 2),
    _Row(5, 6, 160, True, "hswish", 1),
    _Row(5, 6, 160, True, "hswish", 1),
)
_SMALL = (
    _Row(3, 1, 16, True, "relu", 2),
    _Row(3, 72 / 16, 24, False, "relu", 2),
    _Row(3, 88 / 24, 24, False, "relu", 1),
    _Row(5, 4, 40, True, "hswish", 2),
    _Row(5, 6, 40, True, "hswish", 1),
    _Row(5, 6, 40, True, "hswish", 1),
    _Row(5, 3, 48, True, "hswish", 1),
    _Row(5, 3, 48, True, "hswish", 1),
    _Row(5, 6, 96, True, "hswish", 2),
    _Row(5, 6, 96, True, "hswish", 1),
    _Row(5, 6, 96, True, "hswish", 1),
)


def mobilenet_v3_large(resolution: int, width: float) -> Net:
    return _build(Title("mobilenet_v3_large", resolution, width), _LARGE, 960, 1280)


def mobilenet_v3_small(resolution: int, width: float) -> Net:
    return _build(Title("mobilenet_v3_small", resolution, width), _SMALL, 576, 1024)


def _build(title: Title, rows: tuple[_Row, ...], head: int, hidden: int) -> Net:
    """head: of the 1x1 convolution before the pool. hidden: of the layer behind it, the same at every width.

    Only so has the large net at width 1.25 its published 7.5 million parameters (arXiv 1905.02244, table 9).
    """
    c_in = stem = divisible(16 * title.width)
    blocks = []
    for row in rows:
        words = ["_hswish"] * (row.activation == "hswish") + ["_se0.25"] * row.squeeze
        name = f"k{row.kernel}_{expansion_word(c_in, divisible(c_in * row.expansion))}{''.join(words)}"
        blocks.append(Row(name, divisible(row.channels * title.width), 1, row.stride))
        c_in = blocks[-1].channels
    last = HeadLayer("conv_k1_hswish", divisible(head * title.width))
    tail = (last, HeadLayer("pool"), HeadLayer("fc_hswish", hidden), HeadLayer("fc"))
    return net_of(title, Stem(stem, "hswish"), blocks, tail)
