"""Blocks that are trained with more branches than they run with: here as they run (MobileOne, RepVGG).

Their branches have become one convolution with a bias each; squeeze-and-excitation stands before the activation.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from lutbench.space.blocks.kind import ACTIVATION, KERNEL, Kind, Option
from lutbench.space.blocks.parts import Squeeze, activation_of, squeeze_excite

if TYPE_CHECKING:
    from lutbench.space.blocks.kind import Shaped
    from lutbench.space.graph import GraphBuilder

_SQUEEZE = Option("squeeze", "se", default=0, digits=1, decimals=True, least=0)


def _activated(net: GraphBuilder, channels: int, op: Shaped, kernel: int, stride: int, groups: int) -> None:
    ratio, activation = float(op.option("squeeze")), activation_of(op)
    own = "none" if ratio else activation
    last = net.conv(net.last, channels, kernel, stride, groups, own, norm=False, bias=True)
    if ratio:
        squeeze_excite(net, last, Squeeze(max(1, int(channels * ratio)), "relu", "sigmoid"), activation)


def _draw_mobileone(net: GraphBuilder, op: Shaped) -> None:
    _activated(net, op.c_in, op, op.kernel, op.stride, op.c_in)
    _activated(net, op.c_out, op, 1, 1, 1)


def _draw_repvgg(net: GraphBuilder, op: Shaped) -> None:
    _activated(net, op.c_out, op, op.kernel, op.stride, 1)


_OPTIONS = (KERNEL, ACTIVATION, _SQUEEZE)
MOBILEONE = Kind("mobileone", "MobileOne's block as it runs: depthwise KxK, 1x1", _OPTIONS, _draw_mobileone)
REPVGG = Kind("repvgg", "RepVGG's block as it runs: one KxK convolution", _OPTIONS, _draw_repvgg)
