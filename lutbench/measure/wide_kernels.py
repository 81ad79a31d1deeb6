"""Depthwise kernels that XNNPACK has none of: what computes them, and what that does to the rest of a net.

It has depthwise kernels of up to 25 taps. A wider one runs as a general convolution of one channel in each group. In
int8 its weights are filled up to a tile, 16 outputs by 4 or 8 inputs, and what a net computes behind it is slower than
alone, for 2 to 3 ms: the core's clock, it seems, which wide instructions lower. In fp32 the weights behind it cost more
(docs/notes/protocol.md: weights of wide depthwise kernels).
"""

from __future__ import annotations

from lutbench.space.graph import Node
from lutbench.space.operator import Operator

_MOST_TAPS, _TILE = 25, 64  # elements that stand in a tile for each weight


def packed_weights(operator: Operator) -> int:
    """Weights as XNNPACK packs them in int8; of what is counted as a whole, as they are."""
    if operator.counted:
        return operator.params
    weights = sum(operator.graph.node_weights(node) for node in _wide_nodes(operator))
    return operator.params + (_TILE - 1) * weights


def has_wide_kernel(operator: Operator) -> bool:
    return not operator.counted and bool(_wide_nodes(operator))


def _wide_nodes(operator: Operator) -> list[Node]:
    graph = operator.graph
    return [node for node in graph.nodes if graph.is_depthwise(node) and node.kernel**2 > _MOST_TAPS]
