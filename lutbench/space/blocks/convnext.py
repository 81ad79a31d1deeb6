"""ConvNeXt's block: depthwise KxK, layer norm, 1x1 that expands, GELU, 1x1, residual.

A layer that changes the shape begins with a convolution that does it: 3x3 with the stride, or 1x1.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from lutbench.errors import SpaceError
from lutbench.space.blocks.kind import EXPANSION, KERNEL, Kind

if TYPE_CHECKING:
    from lutbench.space.blocks.kind import Shaped
    from lutbench.space.graph import GraphBuilder


def _draw(net: GraphBuilder, op: Shaped) -> None:
    if not op.keeps_shape:
        net.conv(net.last, op.c_out, 3 if op.stride > 1 else 1, op.stride)
    given = net.last
    last = net.layer_norm(net.depthwise(given, op.kernel, norm=False, bias=True))
    last = net.conv(last, round(op.c_out * op.expansion), activation="gelu", norm=False, bias=True)
    net.add(given, net.conv(last, op.c_out, norm=False, bias=True))


def _check(op: Shaped) -> None:
    if round(op.c_out * op.expansion) < 1:
        raise SpaceError(f"convnext: expansion {op.expansion:g} is not positive")


CONVNEXT = Kind("convnext", "ConvNeXt's block: depthwise KxK, MLP", (KERNEL, EXPANSION), _draw, _check)
