"""Graph: a net as a list of elementary layers, for the nets that are no choice of candidates in a search space.

Data only: shapes, multiply-accumulates and parameters follow from it, `lutbench.nn.graph` makes a torch module of it,
and `estimate` counts what it moves. Shapes are (C, H, W), batch 1.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal, get_args

from lutbench.errors import SpaceError
from lutbench.space.scale import format_width

NodeKind = Literal[
    "input",
    "conv",
    "norm",
    "layer_norm",
    "fc",
    "attention",
    "max_pool",
    "avg_pool",
    "global_pool",
    "add",
    "mul",
    "concat",
    "slice",
    "gather",
    "shuffle",
]
Activation = Literal["none", "relu", "relu6", "hswish", "swish", "gelu", "sigmoid", "hsigmoid"]
Shape = tuple[int, int, int]


@dataclass(frozen=True)
class Node:
    """One layer.

    inputs: positions of the nodes it reads.
    shape: of its output, (C, H, W).

    conv: KxK, padding (kernel - 1) // 2, then batch norm (norm) or a bias (bias).

    norm: a batch norm that stands alone. layer_norm: over the channels of each place. fc: classifier with bias.
        attention: of queries, keys and values (three inputs), in `groups` heads; keys and values may be of fewer
        places, and of one head for all. mul: the second input is broadcast over H and W. slice: channels start to
        start + C. gather: channel i is the input's channel indices[i], which may occur more than once or not at all.
        shuffle: channels interleaved over groups.
    activation: applied to the output.
    """

    kind: NodeKind
    inputs: tuple[int, ...]
    shape: Shape
    kernel: int = 1
    stride: int = 1
    groups: int = 1
    norm: bool = False
    bias: bool = False
    activation: Activation = "none"
    start: int = 0
    indices: tuple[int, ...] = ()


@dataclass(frozen=True)
class Graph:
    """A net's nodes in the order they run: the first is the input, the last the output."""

    nodes: tuple[Node, ...]

    @property
    def input_shape(self) -> tuple[int, ...]:
        """(N, C, H, W), N = 1."""
        return (1, *self.nodes[0].shape)

    @cached_property
    def macs(self) -> int:
        """Multiply-accumulates of the convolutions, the classifier and attention's two products, one image."""
        return sum(self.node_macs(node) for node in self.nodes)

    @cached_property
    def params(self) -> int:
        """Weights and the biases of layers without batch norm; batch norms are folded into the convolutions."""
        return sum(self.node_params(node) for node in self.nodes)

    def node_weights(self, node: Node) -> int:
        """Weights of one node, without biases."""
        return _WEIGHTS[node.kind](self.nodes[node.inputs[0]].shape, node) if node.kind in _WEIGHTS else 0

    def node_macs(self, node: Node) -> int:
        channels, height, width = node.shape
        if node.kind == "attention":
            queries, keys, _ = (self.nodes[position].shape for position in node.inputs)
            return height * width * keys[1] * keys[2] * (queries[0] + channels)
        return self.node_weights(node) * height * width

    def node_params(self, node: Node) -> int:
        return self.node_weights(node) + (node.shape[0] if node.bias else 0)

    def is_depthwise(self, node: Node) -> bool:
        return node.kind == "conv" and node.groups > 1 and node.groups == self.nodes[node.inputs[0]].shape[0]

    @cached_property
    def between(self) -> int:
        """Elements that layers with weights write, but for the last of them."""
        return sum(math.prod(node.shape) for node in [n for n in self.nodes if n.kind in _WEIGHTS][:-1])

    @property
    def ends_in_residual(self) -> bool:
        """Whether the last layer adds the input to what all others made of it."""
        last = self.nodes[-1]
        return last.kind == "add" and last.inputs == (0, len(self.nodes) - 2) and last.activation == "none"

    def read(self, node: Node) -> int:
        """Elements of its inputs."""
        return sum(math.prod(self.nodes[position].shape) for position in node.inputs)


_WEIGHTS: dict[str, Callable[[Shape, Node], int]] = {
    "conv": lambda given, node: node.kernel**2 * given[0] // node.groups * node.shape[0],
    "fc": lambda given, node: given[0] * node.shape[0],
}


def windows(size: int, kernel: int, stride: int) -> int:
    """Output size of a convolution or pool: ceil(size / stride) for odd kernels, floor for 2x2 with stride 2."""
    return (size + 2 * ((kernel - 1) // 2) - kernel) // stride + 1


class GraphBuilder:
    """Appends layers and gives their positions; SpaceError for what cannot be."""

    def __init__(self, channels: int, height: int, width: int) -> None:
        self._nodes: list[Node] = []
        self._add(Node("input", (), (channels, height, width)))

    @property
    def last(self) -> int:
        return len(self._nodes) - 1

    def shape(self, position: int) -> Shape:
        return self._nodes[position].shape

    def graph(self) -> Graph:
        return Graph(tuple(self._nodes))

    def conv(
        self,
        given: int,
        channels: int,
        kernel: int = 1,
        stride: int = 1,
        groups: int = 1,
        activation: Activation = "none",
        norm: bool = True,
        bias: bool = False,
    ) -> int:
        """KxK convolution, batch norm unless told otherwise, activation."""
        c_in, height, width = self.shape(given)
        if min(kernel, stride, groups) < 1:
            raise SpaceError(f"a convolution of kernel {kernel}, stride {stride} and {groups} groups cannot be")
        if c_in % groups or channels % groups:
            raise SpaceError(f"{c_in} and {channels} channels do not divide into {groups} groups")
        shape = (channels, windows(height, kernel, stride), windows(width, kernel, stride))
        return self._add(Node("conv", (given,), shape, kernel, stride, groups, norm, bias, activation))

    def depthwise(
        self,
        given: int,
        kernel: int,
        stride: int = 1,
        activation: Activation = "none",
        norm: bool = True,
        bias: bool = False,
    ) -> int:
        channels = self.shape(given)[0]
        return self.conv(given, channels, kernel, stride, channels, activation, norm, bias)

    def norm(self, given: int, activation: Activation) -> int:
        return self._add(Node("norm", (given,), self.shape(given), norm=True, activation=activation))

    def layer_norm(self, given: int) -> int:
        return self._add(Node("layer_norm", (given,), self.shape(given)))

    def attention(self, queries: int, keys: int, values: int, heads: int) -> int:
        """Softmax of queries times keys, times values, in so many heads; keys and values of one head serve all."""
        (wide, height, width), keyed, valued = (self.shape(given) for given in (queries, keys, values))
        if heads < 1 or wide % heads:
            raise SpaceError(f"{wide} channels do not divide into {heads} heads")
        shared = keyed[0] == wide // heads
        if not shared and (keyed[0] != wide or valued[0] % heads):
            raise SpaceError(f"keys of {keyed[0]} channels do not fit {heads} heads of {wide // heads}")
        if keyed[1:] != valued[1:]:
            raise SpaceError(f"keys of {keyed} and values of {valued} are not of the same places")
        channels = valued[0] * heads if shared else valued[0]
        return self._add(Node("attention", (queries, keys, values), (channels, height, width), groups=heads))

    def pool(self, kind: Literal["max_pool", "avg_pool"], given: int, kernel: int, stride: int) -> int:
        channels, height, width = self.shape(given)
        shape = (channels, windows(height, kernel, stride), windows(width, kernel, stride))
        return self._add(Node(kind, (given,), shape, kernel, stride))

    def global_pool(self, given: int) -> int:
        return self._add(Node("global_pool", (given,), (self.shape(given)[0], 1, 1)))

    def fc(self, given: int, classes: int, activation: Activation = "none") -> int:
        """Fully connected layer with bias on (C, 1, 1)."""
        if self.shape(given)[1:] != (1, 1):
            raise SpaceError("a fully connected layer follows a global pool")
        return self._add(Node("fc", (given,), (classes, 1, 1), bias=True, activation=activation))

    def add(self, one: int, other: int, activation: Activation = "none") -> int:
        if self.shape(one) != self.shape(other):
            raise SpaceError(f"cannot add {self.shape(one)} and {self.shape(other)}")
        return self._add(Node("add", (one, other), self.shape(one), activation=activation))

    def mul(self, given: int, gate: int, activation: Activation = "none") -> int:
        if self.shape(gate) != (self.shape(given)[0], 1, 1):
            raise SpaceError(f"a gate of {self.shape(gate)} does not fit {self.shape(given)}")
        return self._add(Node("mul", (given, gate), self.shape(given), activation=activation))

    def concat(self, given: Sequence[int]) -> int:
        channels = sum(self.shape(position)[0] for position in given)
        return self._add(Node("concat", tuple(given), (channels, *self.shape(given[0])[1:])))

    def slice(self, given: int, start: int, channels: int) -> int:
        if not 0 <= start < start + channels <= self.shape(given)[0]:
            raise SpaceError(f"no channels {start} to {start + channels} in {self.shape(given)}")
        return self._add(Node("slice", (given,), (channels, *self.shape(given)[1:]), start=start))

    def gather(self, given: int, indices: Sequence[int]) -> int:
        channels, height, width = self.shape(given)
        if not indices or not 0 <= min(indices) <= max(indices) < channels:
            raise SpaceError(f"channels to gather that {self.shape(given)} does not have, or none")
        return self._add(Node("gather", (given,), (len(indices), height, width), indices=tuple(indices)))

    def shuffle(self, given: int, groups: int) -> int:
        if self.shape(given)[0] % groups:
            raise SpaceError(f"{self.shape(given)[0]} channels do not divide into {groups} groups")
        return self._add(Node("shuffle", (given,), self.shape(given), groups=groups))

    def _add(self, node: Node) -> int:
        if min(node.shape) < 1:
            raise SpaceError(f"a {node.kind} of {node.shape} cannot be")
        if node.activation not in get_args(Activation):
            raise SpaceError(f"no activation is called {node.activation!r}")
        self._nodes.append(node)
        return self.last


@dataclass(frozen=True)
class Model:
    """A published net that is no choice of candidates: its graph at a resolution and width."""

    name: str
    resolution: int
    width: float
    graph: Graph

    @property
    def key(self) -> str:
        """What decides the artifact; like a net's name, for every part of it is published."""
        return f"{self.name.split('@')[0]}@{self.resolution}x{format_width(self.width)}"

    @property
    def macs(self) -> int:
        return self.graph.macs

    @property
    def params(self) -> int:
        return self.graph.params

    @property
    def input_shape(self) -> tuple[int, ...]:
        """(N, C, H, W), N = 1."""
        return self.graph.input_shape
