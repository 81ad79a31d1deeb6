"""Operators and nets of a search space as graphs of elementary layers, like the other published nets."""

from __future__ import annotations

from lutbench.space.graph import Graph, GraphBuilder, Model
from lutbench.space.net import Net
from lutbench.space.operator import Operator, draw


def operator_graph(operator: Operator) -> Graph:
    """The elementary layers of one operator; none for an identity or the empty graph."""
    return operator.graph


def net_graph(net: Net | Model) -> Graph:
    """The elementary layers of a whole net."""
    if isinstance(net, Model):
        return net.graph
    first, *rest = net.operators
    built = GraphBuilder(first.c_in, first.h_in, first.w_in)
    for operator in (first, *rest):
        draw(built, operator)
    return built.graph()
