"""How much an operator reads and writes: of what it takes and gives, and in its widest layer. Elements of one image."""

from __future__ import annotations

import math

from lutbench.space.operator import Operator


def moved(operator: Operator) -> int:
    """Elements of input and output."""
    return math.prod(operator.input_shape) + math.prod(operator.output_shape)


def widest_layer(operator: Operator) -> int:
    """The most elements that one of its layers reads and writes; what is counted as a whole is one layer."""
    if operator.counted:
        return moved(operator)
    graph = operator.graph
    return max(graph.read(node) + math.prod(node.shape) for node in graph.nodes)
