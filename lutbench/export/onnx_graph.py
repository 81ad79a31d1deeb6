"""Walks over ONNX graphs that several files here share: nodes with those of branches and loops, names, constants."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any


def subgraphs(node: Any) -> Iterator[Any]:
    """The graphs that a node holds: branches of an If, bodies of loops."""
    for attribute in node.attribute:
        if attribute.HasField("g"):
            yield attribute.g
        yield from attribute.graphs


def graphs_within(graph: Any) -> Iterator[Any]:
    """The graph and every graph inside it, however deep."""
    waiting = [graph]
    while waiting:
        current = waiting.pop()
        yield current
        for node in current.node:
            waiting.extend(subgraphs(node))


def rename_uses(graph: Any, old: str, new: str) -> None:
    """Lets every node, those of inner graphs included, read `new` where it read `old`."""
    for inner in graphs_within(graph):
        for node in inner.node:
            _replace(node.input, old, new)
        for value in inner.output if inner is not graph else ():  # an inner graph may hand out an outer name
            value.name = new if value.name == old else value.name


def rename(graph: Any, old: str, new: str) -> None:
    """Renames a value of the outer graph where it is made and where it is read."""
    rename_uses(graph, old, new)
    for node in graph.node:
        _replace(node.output, old, new)


def names_read(graph: Any) -> set[str]:
    """Names that a node, or an output of a graph, reads."""
    found = {value.name for value in graph.output}
    for inner in graphs_within(graph):
        found.update(name for node in inner.node for name in node.input)
        found.update(value.name for value in inner.output)
    return found


def _replace(names: Any, old: str, new: str) -> None:
    for position, name in enumerate(names):
        if name == old:
            names[position] = new


class Constants:
    """The values that a graph holds: initialisers, Constant nodes, and what Identity nodes make of either."""

    def __init__(self, graph: Any) -> None:
        self._tensors = {tensor.name: tensor for tensor in graph.initializer}
        self._aliases = {}
        for node in graph.node:
            if node.op_type == "Constant":
                held = [attribute.t for attribute in node.attribute if attribute.name == "value"]
                self._tensors.update(zip(node.output, held, strict=False))
            elif node.op_type == "Identity":
                self._aliases[node.output[0]] = node.input[0]

    def get(self, name: str) -> Any:
        """The value as an array; None for what is computed."""
        from onnx import numpy_helper

        seen = set()
        while name in self._aliases and name not in seen:
            seen.add(name)
            name = self._aliases[name]
        return numpy_helper.to_array(self._tensors[name]) if name in self._tensors else None


def initialisers_of_their_own(graph: Any) -> None:
    """Gives every name its own initialiser where the graph makes it from another one with an Identity, in place.

    torch's exporter does that with tensors of equal values, and the quantizer takes such a bias for a computed one.
    """
    held = {tensor.name: tensor for tensor in graph.initializer}
    outputs = {value.name for value in graph.output}
    for node in [node for node in graph.node if node.op_type == "Identity"]:
        if node.input[0] in held and node.output[0] not in outputs:
            copy = graph.initializer.add()
            copy.CopyFrom(held[node.input[0]])
            copy.name = node.output[0]
            held[copy.name] = copy
            graph.node.remove(node)
