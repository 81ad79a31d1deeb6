"""Residual bottleneck (ResNet, ResNeXt): 1x1, KxK with the stride, 1x1, added to the input, then the activation.

The expansion is of the output's channels: 0.25 in ResNet. A 1x1 convolution brings the input to another shape.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from lutbench.errors import SpaceError
from lutbench.space.blocks.kind import ACTIVATION, EXPANSION, GROUPS, KERNEL, Kind, check_divides
from lutbench.space.blocks.parts import activation_of

if TYPE_CHECKING:
    from lutbench.space.blocks.kind import Shaped
    from lutbench.space.graph import GraphBuilder


def _inner(op: Shaped) -> int:
    return round(op.c_out * op.expansion)


def _draw(net: GraphBuilder, op: Shaped) -> None:
    given, activation = net.last, activation_of(op)
    last = net.conv(given, _inner(op), activation=activation)
    last = net.conv(last, _inner(op), op.kernel, op.stride, op.groups, activation)
    last = net.conv(last, op.c_out)
    shortcut = given if op.keeps_shape else net.conv(given, op.c_out, 1, op.stride)
    net.add(shortcut, last, activation)


def _check(op: Shaped) -> None:
    if _inner(op) < 1:
        raise SpaceError(f"bottleneck: expansion {op.expansion:g} leaves no channel of {op.c_out}")
    check_divides(op, {"inner": _inner(op)}, op.groups, "groups")


BOTTLENECK = Kind(
    "bottleneck",
    "residual bottleneck: 1x1, KxK, 1x1 (ResNet)",
    (KERNEL, EXPANSION, GROUPS, ACTIVATION),
    _draw,
    _check,
)
