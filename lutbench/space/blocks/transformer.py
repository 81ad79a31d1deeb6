"""Transformer block over tokens (ViT): the places of a map are the tokens, their channels the width.

Layer norm, attention of h heads, residual, layer norm, MLP that is e times as wide with GELU, residual. A layer that
changes the shape begins with a convolution that makes its tokens: 3x3 with the stride, or 1x1.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from lutbench.errors import SpaceError
from lutbench.space.blocks.kind import EXPANSION, Kind, Option, check_divides

if TYPE_CHECKING:
    from lutbench.space.blocks.kind import Shaped
    from lutbench.space.graph import GraphBuilder

_HEADS = Option("heads", "h")


def _draw(net: GraphBuilder, op: Shaped) -> None:
    if not op.keeps_shape:
        net.conv(net.last, op.c_out, 3 if op.stride > 1 else 1, op.stride)
    given = net.last
    normed = net.layer_norm(given)
    queries, keys, values = (net.conv(normed, op.c_out, norm=False, bias=True) for _ in range(3))
    attended = net.attention(queries, keys, values, int(op.option("heads")))
    given = net.add(given, net.conv(attended, op.c_out, norm=False, bias=True))
    wide = net.conv(net.layer_norm(given), round(op.c_out * op.expansion), activation="gelu", norm=False, bias=True)
    net.add(given, net.conv(wide, op.c_out, norm=False, bias=True))


def _check(op: Shaped) -> None:
    if round(op.c_out * op.expansion) < 1:
        raise SpaceError(f"vit: expansion {op.expansion:g} is not positive")
    check_divides(op, {"output": op.c_out}, int(op.option("heads")), "heads")


TRANSFORMER = Kind(
    "vit",
    "transformer block over the places of a map (ViT): attention, MLP",
    (_HEADS, EXPANSION),
    _draw,
    _check,
)
