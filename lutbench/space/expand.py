"""Operators and nets of a search space as graphs of elementary layers, like the other published nets."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from lutbench.errors import SpaceError
from lutbench.space.graph import Graph, GraphBuilder, Model
from lutbench.space.net import Net
from lutbench.space.operator import Operator


def operator_graph(operator: Operator) -> Graph:
    """The elementary layers of one operator; none for an identity or the empty graph."""
    return _chain((operator,))


def net_graph(net: Net | Model) -> Graph:
    """The elementary layers of a whole net."""
    return net.graph if isinstance(net, Model) else _chain(net.operators)


def _chain(operators: Iterable[Operator]) -> Graph:
    first, *rest = operators
    net = GraphBuilder(first.c_in, first.h_in, first.w_in)
    for operator in (first, *rest):
        if operator.kind not in _EXPANSIONS:
            raise SpaceError(f"what {operator.name} is made of is not known")
        _EXPANSIONS[operator.kind](net, operator)
    return net.graph()


def _conv(net: GraphBuilder, op: Operator) -> None:
    net.conv(net.last, op.c_out, op.kernel, op.stride, activation="relu")


def _block(net: GraphBuilder, op: Operator) -> None:
    """FBNet's block (figure 3)."""
    given = net.last
    last = net.conv(given, op.mid_channels, groups=op.groups, activation="relu")
    if op.groups > 1:
        last = net.shuffle(last, op.groups)
    last = net.conv(net.depthwise(last, op.kernel, op.stride, "relu"), op.c_out, groups=op.groups)
    if op.has_residual:
        net.add(given, last)


_EXPANSIONS: dict[str, Callable[[GraphBuilder, Operator], object]] = {
    "stem": _conv,
    "conv": _conv,
    "ir": _block,
    "pool": lambda net, _op: net.global_pool(net.last),
    "fc": lambda net, op: net.fc(net.last, op.c_out),
    "identity": lambda _net, _op: None,
    "overhead": lambda _net, _op: None,
}
