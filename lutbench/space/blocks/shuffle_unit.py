"""ShuffleNetV2's unit, as single-path one-shot searches use it.

Half of the channels pass by, the other half goes through a branch, then all are shuffled. A unit that changes the shape
sends all channels through both: past the branch they stay as many, the branch gives the rest of the output. The branch
is 1x1, depthwise KxK, 1x1; d3 is the searches' Xception unit, three depthwise convolutions each with a 1x1 behind it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from lutbench.errors import SpaceError
from lutbench.space.blocks.kind import KERNEL, Kind, Option, check_divides

if TYPE_CHECKING:
    from lutbench.space.blocks.kind import Shaped
    from lutbench.space.graph import GraphBuilder

_DEPTH = Option("depth", "d", default=1, digits=1)


def _draw(net: GraphBuilder, op: Shaped) -> None:
    given, half = net.last, op.c_out // 2
    if op.keeps_shape:
        left, right = net.slice(given, 0, half), net.slice(given, half, half)
    else:
        left = net.conv(net.depthwise(given, op.kernel, op.stride), op.c_in, activation="relu")
        right = given
    net.shuffle(net.concat([left, _branch(net, right, op)]), 2)


def _branch(net: GraphBuilder, given: int, op: Shaped) -> int:
    half, depth = op.c_out // 2, int(op.option("depth"))
    branch_out = half if op.keeps_shape else op.c_out - op.c_in
    if depth == 1:
        last = net.conv(given, half, activation="relu")
        return net.conv(net.depthwise(last, op.kernel, op.stride), branch_out, activation="relu")
    last = given
    for number in range(depth):
        channels = branch_out if number == depth - 1 else half
        last = net.conv(net.depthwise(last, op.kernel, op.stride if number == 0 else 1), channels, activation="relu")
    return last


def _check(op: Shaped) -> None:
    check_divides(op, {"output": op.c_out}, 2, "halves")
    if not op.keeps_shape and op.c_out <= op.c_in:
        raise SpaceError(f"shuffle: a unit that changes its shape cannot make {op.c_out} channels of {op.c_in}")


SHUFFLE_UNIT = Kind(
    "shuffle",
    "ShuffleNetV2's unit; d3: three depthwise convolutions (single-path one-shot)",
    (KERNEL, _DEPTH),
    _draw,
    _check,
)
