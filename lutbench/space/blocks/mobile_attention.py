"""Mobile multi-query attention (MobileNetV4, section 4.2): many heads of queries over one of keys and values.

Batch norm, a 1x1 convolution to queries of h heads with d channels each, keys and values of one head, taken where r
is above 1 from a map that a depthwise KxK convolution made r times smaller each way, attention, 1x1 back, residual.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from lutbench.errors import SpaceError
from lutbench.space.blocks.kind import Kind, Option

if TYPE_CHECKING:
    from lutbench.space.blocks.kind import Shaped
    from lutbench.space.graph import GraphBuilder

_HEADS = Option("heads", "h")
_DEPTH = Option("depth", "d", digits=3)
_SMALLER = Option("smaller", "r", default=1, digits=1)
_KERNEL = Option("reducing_kernel", "k", default=3, odd=True)


def _draw(net: GraphBuilder, op: Shaped) -> None:
    given = net.last
    heads, depth, smaller = (int(op.option(name)) for name in ("heads", "depth", "smaller"))
    last = net.norm(given, "none")
    queries = net.conv(last, heads * depth, norm=False)
    keys, values = (_reduced(net, last, int(op.option("reducing_kernel")), smaller) for _ in range(2))
    keys, values = net.conv(keys, depth, norm=False), net.conv(values, depth, norm=False)
    last = net.conv(net.attention(queries, keys, values, heads), op.c_out, norm=False)
    net.add(given, last)


def _reduced(net: GraphBuilder, given: int, kernel: int, smaller: int) -> int:
    return net.depthwise(given, kernel, smaller) if smaller > 1 else given


def _check(op: Shaped) -> None:
    if not op.keeps_shape:
        raise SpaceError(f"mqa: attention keeps its shape, not {op.c_in} to {op.c_out} channels by stride {op.stride}")


MOBILE_ATTENTION = Kind(
    "mqa",
    "mobile multi-query attention (MobileNetV4): keys and values of one head, r times smaller",
    (_HEADS, _DEPTH, _SMALLER, _KERNEL),
    _draw,
    _check,
)
