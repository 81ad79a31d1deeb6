"""Pieces: what a net's latency is a sum of in `estimate`, each with its work and with what makes pieces alike.

An operator of a search space is one piece. A net that is not of a space is taken layer by layer: each is a piece.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

from lutbench.lut.costs import Work, layer_work, mac_kind
from lutbench.space.expand import operator_graph
from lutbench.space.graph import Graph, Model, Node
from lutbench.space.net import Net
from lutbench.space.operator import Operator


@dataclass(frozen=True)
class Layer:
    """An elementary layer.

    work: of each kind.
    place: the logarithms of what devices treat alike where it is near:

    input and output channels and height of the output; layers of one kind differ only in these.
    """

    kind: str
    place: tuple[float, float, float]
    work: tuple[tuple[str, float], ...]


@dataclass(frozen=True)
class Piece:
    """Layers that are timed as one.

    name: canonical, equal for equal shapes.
    """

    name: str
    layers: tuple[Layer, ...]


def operator_piece(operator: Operator, dtype: str) -> Piece:
    """The operator as one piece."""
    return _operator_piece(operator, dtype)


@lru_cache(maxsize=100_000)
def _operator_piece(operator: Operator, dtype: str) -> Piece:
    return graph_piece(operator.name, operator_graph(operator), dtype)


def graph_piece(name: str, graph: Graph, dtype: str) -> Piece:
    """A whole graph as one piece."""
    return Piece(name, tuple(_layer(graph, node, dtype) for node in graph.nodes[1:]))


def net_pieces(net: Net | Model, dtype: str) -> tuple[Piece, ...]:
    """What the net runs, in order; an identity runs nothing."""
    if isinstance(net, Model):
        return tuple(_layer_pieces(net.graph, dtype))
    return tuple(operator_piece(op, dtype) for op in net.operators if op.is_measured)


def _layer_pieces(graph: Graph, dtype: str) -> Iterator[Piece]:
    for node in graph.nodes[1:]:
        layer = _layer(graph, node, dtype)
        shape = "x".join(str(size) for size in node.shape)
        given = graph.nodes[node.inputs[0]].shape[0]
        yield Piece(f"{layer.kind}_{given}_{shape}_k{node.kernel}_s{node.stride}_g{node.groups}", (layer,))


def _layer(graph: Graph, node: Node, dtype: str) -> Layer:
    work: Work = layer_work(graph, node, dtype)
    kind = mac_kind(graph, node) if graph.node_weights(node) else node.kind
    place = (math.log(graph.nodes[node.inputs[0]].shape[0]), math.log(node.shape[0]), math.log(node.shape[1]))
    return Layer(kind, place, tuple(work.items()))
