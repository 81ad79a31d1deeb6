"""Fused inverted residual (EfficientNet-EdgeTPU, MobileNetV3-EdgeTPU, MobileNetV4's first stages).

KxK convolution that expands, squeeze-and-excitation if asked for, 1x1 without activation, residual where the shape does
not change.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from lutbench.errors import SpaceError
from lutbench.space.blocks.kind import ACTIVATION, EXPANSION, GROUPS, KERNEL, Kind, check_divides
from lutbench.space.blocks.parts import MULTIPLE, SQUEEZE, SQUEEZE_OF_INPUT, activation_of, expanded, squeezed

if TYPE_CHECKING:
    from lutbench.space.blocks.kind import Shaped
    from lutbench.space.graph import GraphBuilder


def _draw(net: GraphBuilder, op: Shaped) -> None:
    given = net.last
    last = net.conv(given, expanded(op), op.kernel, op.stride, op.groups, activation_of(op))
    last = net.conv(squeezed(net, last, op), op.c_out)
    if op.keeps_shape:
        net.add(given, last)


def _check(op: Shaped) -> None:
    if round(op.c_in * op.expansion) < 1:
        raise SpaceError(f"fused: expansion {op.expansion:g} leaves no channel of {op.c_in}")
    check_divides(op, {"input": op.c_in, "expanded": expanded(op)}, op.groups, "groups")


FUSED = Kind(
    "fused",
    "fused inverted residual: KxK that expands, 1x1 (EdgeTPU nets, MobileNetV4)",
    (KERNEL, EXPANSION, GROUPS, MULTIPLE, ACTIVATION, SQUEEZE, SQUEEZE_OF_INPUT),
    _draw,
    _check,
)
