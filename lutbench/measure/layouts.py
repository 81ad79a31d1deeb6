"""What nets keep in blocks of channels that an operator alone has to put into them and take out again.

On x86, ONNX Runtime computes fp32 convolutions in a layout of its own, (N, C/b, H, W, b), where b is 16 channels or 8,
by the processor (`lutbench.export.onnx_layout` asks it). An operator that is timed alone gets (N, C, H, W) and gives it
back, so that its row has a change of layout at either end. Inside a net both are left out between two operators that
compute in blocks. Grouped convolutions whose groups do not fill a block compute in (N, C, H, W), and on either side of
them the changes stay. So what a net saves goes with the operators that it puts side by side (`neighbours`). With
several threads a net pays for a change of layout however small the map is (docs/notes/protocol.md: boundaries), so that
places are counted, too.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from lutbench.errors import SpaceError
from lutbench.space.graph import Graph, Node
from lutbench.space.operator import Operator

_MILLION = 1e6
_ALIGNED = 4  # channels: ONNX Runtime's change of layout takes whole fours


@dataclass(frozen=True)
class Kept:
    """What stays in blocks between two operators: million elements, and at how many boundaries."""

    elements: float = 0.0
    boundaries: int = 0

    def __add__(self, other: Kept) -> Kept:
        return Kept(self.elements + other.elements, self.boundaries + other.boundaries)


@dataclass(frozen=True)
class Ends:
    """Whether an operator reads blocks, and whether it writes them.

    adds: it adds its input, so that it writes blocks where it was given some.
    passes: it does nothing, and leaves every layout as it is.
    elements: of its input, million.
    """

    reads: bool = False
    writes: bool = False
    adds: bool = False
    passes: bool = False
    elements: float = 0.0

    def after(self, is_blocked: bool) -> bool:
        """Whether what follows gets blocks, where the operator itself did or did not."""
        if self.passes:
            return is_blocked
        return self.writes and (is_blocked or not self.adds)

    def kept(self, is_blocked: bool) -> Kept:
        """What changes its layout neither before it nor in it."""
        return Kept(self.elements, 1) if self.reads and is_blocked else Kept()

    def fused(self, is_blocked: bool) -> float:
        """Million elements whose addition a net leaves to the convolution before it, where an operator alone does not.

        A convolution in blocks adds what is in blocks, and leaves what is not to a pass of its own. One in (N, C, H, W)
        adds in either case, but alone it has to copy its input first, which is not its own to overwrite.
        """
        return self.elements if self.adds and (is_blocked or not self.writes) else 0.0


def ends_of(operator: Operator, block_channels: int) -> Ends:
    if not operator.is_measured:
        return Ends(passes=True)
    try:
        graph, elements = operator.graph, math.prod(operator.input_shape) / _MILLION
    except SpaceError:
        return Ends()
    last = graph.nodes[-1]
    adds = graph.ends_in_residual
    readers = [node for node in graph.nodes if 0 in node.inputs and not (adds and node is last)]
    return Ends(
        reads=bool(readers) and all(_reads(graph, node, block_channels) for node in readers),
        writes=_writes(graph, graph.nodes[last.inputs[1]] if adds else last, block_channels),
        adds=adds,
        elements=elements,
    )


def _reads(graph: Graph, node: Node, block: int) -> bool:
    """Whether a layer gets its input in blocks: a convolution of fewer channels than a block has takes it as it is."""
    channels = graph.nodes[node.inputs[0]].shape[0]
    if node.kind == "conv" and node.groups == 1:
        return channels >= block and channels % _ALIGNED == 0
    return _writes(graph, node, block)


def _writes(graph: Graph, node: Node, block: int) -> bool:
    """Whether a layer gives its output in blocks."""
    if node.kind in ("max_pool", "avg_pool", "global_pool"):
        return node.shape[0] % block == 0
    if node.kind != "conv":
        return False
    channels = graph.nodes[node.inputs[0]].shape[0]
    if node.groups == 1:
        return channels < block or channels % _ALIGNED == 0
    if graph.is_depthwise(node) and node.shape[0] == channels:
        return channels % _ALIGNED == 0
    return (channels // node.groups) % block == 0 and (node.shape[0] // node.groups) % block == 0
