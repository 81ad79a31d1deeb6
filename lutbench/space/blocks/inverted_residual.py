"""FBNet's block (figure 3), and MobileNetV2's, MobileNetV3's and EfficientNet's.

1x1 convolution, shuffle if it is grouped, depthwise KxK, squeeze-and-excitation if asked for, 1x1 without activation,
residual where the shape does not change. e0: no first 1x1; e1 has one, as FBNet's.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from lutbench.errors import SpaceError
from lutbench.space.blocks.kind import ACTIVATION, DEFAULT_KIND, EXPANSION, GROUPS, KERNEL, Kind, check_divides
from lutbench.space.blocks.parts import MULTIPLE, SQUEEZE, SQUEEZE_OF_INPUT, activation_of, expanded, squeezed

if TYPE_CHECKING:
    from lutbench.space.blocks.kind import Shaped
    from lutbench.space.graph import GraphBuilder


def _draw(net: GraphBuilder, op: Shaped) -> None:
    given = last = net.last
    activation = activation_of(op)
    if op.expansion:
        last = net.conv(given, expanded(op), groups=op.groups, activation=activation)
        if op.groups > 1:
            last = net.shuffle(last, op.groups)
    last = squeezed(net, net.depthwise(last, op.kernel, op.stride, activation), op)
    last = net.conv(last, op.c_out, groups=op.groups)
    if op.keeps_shape:
        net.add(given, last)


def _check(op: Shaped) -> None:
    if expanded(op) < 1:
        raise SpaceError(f"ir: expansion {op.expansion:g} leaves no channel of {op.c_in}")
    check_divides(op, {"input": op.c_in, "expanded": expanded(op), "output": op.c_out}, op.groups, "groups")


INVERTED_RESIDUAL = Kind(
    DEFAULT_KIND,
    "inverted residual: 1x1, depthwise KxK, 1x1 (FBNet, MobileNetV2 and V3, EfficientNet)",
    (KERNEL, EXPANSION, replace(GROUPS, always=True), MULTIPLE, ACTIVATION, SQUEEZE, SQUEEZE_OF_INPUT),
    _draw,
    _check,
    by_columns=True,
)
