"""Universal inverted bottleneck (MobileNetV4, figure 4): an inverted residual with a choice of depthwise convolutions.

a: kernel of the one before the expansion; k: of the one inside; 0 leaves it out. a0_k3: inverted residual, a3_k0:
ConvNeXt's, a3_k5: extra depthwise, a0_k0: feed-forward. The inner one has the stride, else the first. No activation
stands behind the first.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from lutbench.errors import SpaceError
from lutbench.space.blocks.kind import ACTIVATION, EXPANSION, KERNEL, Kind, Option
from lutbench.space.blocks.parts import activation_of, divisible

if TYPE_CHECKING:
    from lutbench.space.blocks.kind import Shaped
    from lutbench.space.graph import GraphBuilder

_FIRST = Option("first", "a", least=0, odd=True)
_INNER = replace(KERNEL, least=0)


def _draw(net: GraphBuilder, op: Shaped) -> None:
    given = last = net.last
    first, activation = int(op.option("first")), activation_of(op)
    if first:
        last = net.depthwise(last, first, 1 if op.kernel else op.stride)
    last = net.conv(last, divisible(op.c_in * op.expansion), activation=activation)
    if op.kernel:
        last = net.depthwise(last, op.kernel, op.stride, activation)
    last = net.conv(last, op.c_out)
    if op.keeps_shape:
        net.add(given, last)


def _check(op: Shaped) -> None:
    first = int(op.option("first"))
    if not op.expansion:
        raise SpaceError("uib: expansion 0 leaves no channel")
    if op.stride > 1 and not first and not op.kernel:
        raise SpaceError(f"uib: a block without depthwise convolution cannot have stride {op.stride}")


UNIVERSAL = Kind(
    "uib",
    "universal inverted bottleneck: depthwise, 1x1, depthwise, 1x1 (MobileNetV4)",
    (_FIRST, _INNER, EXPANSION, ACTIVATION),
    _draw,
    _check,
)
