"""Graph -> torch.nn.Module in eval mode. Tensors are (N, C, H, W)."""

from __future__ import annotations

from collections.abc import Callable
from itertools import chain, islice
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from lutbench.nn.parts import ChannelShuffle, initialised
from lutbench.space.graph import Graph, Model, Node

_ACTIVATIONS: dict[str, Callable[[], nn.Module]] = {
    "none": nn.Identity,
    "relu": nn.ReLU,
    "relu6": nn.ReLU6,
    "hswish": nn.Hardswish,
    "swish": nn.SiLU,
    "gelu": nn.GELU,
    "sigmoid": nn.Sigmoid,
    "hsigmoid": nn.Hardsigmoid,
}


class _Add(nn.Module):
    def forward(self, one: Tensor, other: Tensor) -> Tensor:
        return one + other


class _Mul(nn.Module):
    def forward(self, given: Tensor, gate: Tensor) -> Tensor:
        return given * gate


class _Concat(nn.Module):
    def forward(self, *given: Tensor) -> Tensor:
        return torch.cat(given, dim=1)


class _Slice(nn.Module):
    def __init__(self, start: int, channels: int) -> None:
        super().__init__()
        self.start, self.stop = start, start + channels

    def forward(self, given: Tensor) -> Tensor:
        return given[:, self.start : self.stop]


class _Gather(nn.Module):
    indices: Tensor

    def __init__(self, indices: tuple[int, ...]) -> None:
        super().__init__()
        self.register_buffer("indices", torch.tensor(indices))

    def forward(self, given: Tensor) -> Tensor:
        return given.index_select(1, self.indices)


class _LayerNorm(nn.LayerNorm):
    """Over the channels of each place."""

    def forward(self, given: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, C, H, W)"""
        return super().forward(given.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)


class _Attention(nn.Module):
    """Softmax of queries times keys, times values, over all places; keys and values of one head serve all heads."""

    def __init__(self, heads: int, channels: int) -> None:
        super().__init__()
        self.heads = heads
        self.scale = (channels // heads) ** -0.5  # a plain number: torch's quantizer takes none that a shape gives

    def forward(self, queries: Tensor, keys: Tensor, values: Tensor) -> Tensor:
        """(N, heads * D, H, W), (N, D or heads * D, h, w) twice -> (N, heads * D, H, W)"""
        n, channels, height, width = queries.shape
        depth = channels // self.heads
        asked = queries.reshape(n, self.heads, depth, height * width).transpose(2, 3)
        keyed, valued = (given.reshape(n, -1, depth, given.shape[2] * given.shape[3]) for given in (keys, values))
        shares = (asked * self.scale @ keyed).softmax(-1)
        found: Tensor = (shares @ valued.transpose(2, 3)).transpose(2, 3).reshape(n, channels, height, width)
        return found


class _Linear(nn.Linear):
    """On (N, C, 1, 1), the shape that a graph's nodes have."""

    def forward(self, given: Tensor) -> Tensor:
        """(N, c_in, 1, 1) -> (N, c_out)"""
        return F.linear(given.flatten(1), self.weight, self.bias)


def _conv(node: Node, c_in: int) -> nn.Module:
    channels = node.shape[0]
    conv = nn.Conv2d(
        c_in, channels, node.kernel, node.stride, (node.kernel - 1) // 2, groups=node.groups, bias=node.bias
    )
    return nn.Sequential(conv, nn.BatchNorm2d(channels)) if node.norm else conv


def _pool(kind: type[nn.Module], node: Node) -> nn.Module:
    return kind(node.kernel, node.stride, (node.kernel - 1) // 2)


_BUILDERS: dict[str, Callable[[Node, int], nn.Module]] = {
    "conv": _conv,
    "norm": lambda node, _c_in: nn.BatchNorm2d(node.shape[0]),
    "layer_norm": lambda node, _c_in: _LayerNorm(node.shape[0]),
    "attention": lambda node, _c_in: _Attention(node.groups, node.shape[0]),
    "fc": lambda node, c_in: _Linear(c_in, node.shape[0]),
    "max_pool": lambda node, _c_in: _pool(nn.MaxPool2d, node),
    "avg_pool": lambda node, _c_in: _pool(nn.AvgPool2d, node),
    "global_pool": lambda _node, _c_in: nn.AdaptiveAvgPool2d(1),
    "add": lambda _node, _c_in: _Add(),
    "mul": lambda _node, _c_in: _Mul(),
    "concat": lambda _node, _c_in: _Concat(),
    "slice": lambda node, _c_in: _Slice(node.start, node.shape[0]),
    "gather": lambda node, _c_in: _Gather(node.indices),
    "shuffle": lambda node, _c_in: ChannelShuffle(node.groups),
}


def _ends_in_norm(node: Node) -> bool:
    return node.kind == "conv" and node.norm and node.activation == "none"


class GraphModule(nn.Module):
    """Runs a graph's nodes in order."""

    def __init__(self, graph: Graph) -> None:
        super().__init__()
        self._inputs = [node.inputs for node in graph.nodes[1:]]
        channels = [node.shape[0] for node in graph.nodes]
        self.layers = nn.ModuleList(_BUILDERS[n.kind](n, channels[n.inputs[0]]) for n in graph.nodes[1:])
        branches = {node.inputs[1] for node in graph.nodes if node.kind == "add"}
        self._branches = [p for p in sorted(branches) if _ends_in_norm(graph.nodes[p])]
        self.has_residual = graph.ends_in_residual
        self.activations = nn.ModuleList(_ACTIVATIONS[node.activation]() for node in graph.nodes[1:])

    def norm(self, position: int) -> nn.BatchNorm2d:
        """The batch norm of the convolution at this position of the graph."""
        _conv, norm = cast(nn.Sequential, self.layers[position - 1])
        return cast(nn.BatchNorm2d, norm)

    @property
    def branch_norms(self) -> list[nn.BatchNorm2d]:
        """The last batch norm of each residual branch that ends in one."""
        return [self.norm(position) for position in self._branches]

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, classes) where the last node is a classifier, else (N, C, H, W)"""
        return self._run(x, len(self._inputs))

    def branch(self, x: Tensor) -> Tensor:
        """The output without the residual of a graph that ends in one."""
        return self._run(x, len(self._inputs) - self.has_residual)

    def _run(self, x: Tensor, count: int) -> Tensor:
        values = [x]
        steps = zip(self._inputs, self.layers, self.activations, strict=True)
        for inputs, layer, activation in islice(steps, count):
            values.append(activation(layer(*(values[position] for position in inputs))))
        return values[-1]


class InvertedResidual(nn.Module):
    """A chain of layers, and where the graph says so its input added to what it makes: FBNet's block is one."""

    def __init__(self, graph: Graph) -> None:
        super().__init__()
        self.has_residual = graph.ends_in_residual
        nodes = graph.nodes[1:-1] if self.has_residual else graph.nodes[1:]
        self.body = nn.Sequential(*chain.from_iterable(_layers(graph, node) for node in nodes))

    def forward(self, x: Tensor) -> Tensor:
        """(N, c_in, H, W) -> (N, c_out, ceil(H / stride), ceil(W / stride))"""
        y: Tensor = self.body(x)
        return x + y if self.has_residual else y

    def branch(self, x: Tensor) -> Tensor:
        """The output without the residual."""
        y: Tensor = self.body(x)
        return y


def graph_module(graph: Graph, flat: bool = False) -> nn.Module:
    """The graph's module as torch initialises it.

    flat: one whose last layer is a pool or a classifier gives (N, C).

    A single layer is itself and a chain of layers is a sequence, for exporters name an artifact's layers by how
    modules lie in each other; anything else runs node by node.
    """
    nodes = graph.nodes[1:]
    if not nodes:
        return nn.Identity()
    if len(nodes) == 1:
        (node,) = nodes
        layers = [nn.Linear(graph.nodes[0].shape[0], node.shape[0])] if node.kind == "fc" else _layers(graph, node)
        layers += [_ACTIVATIONS[node.activation]()] if node.kind == "fc" and node.activation != "none" else []
        layers += [nn.Flatten()] if flat and node.kind != "fc" else []
        return layers[0] if len(layers) == 1 and node.kind == "fc" else nn.Sequential(*layers)
    straight = nodes[:-1] if graph.ends_in_residual else nodes
    if all(node.inputs == (place,) for place, node in enumerate(straight)):
        return InvertedResidual(graph)
    return GraphModule(graph)


def _layers(graph: Graph, node: Node) -> list[nn.Module]:
    """The modules of one node, one behind the other."""
    made = _BUILDERS[node.kind](node, graph.nodes[node.inputs[0]].shape[0])
    parts = list(made) if isinstance(made, nn.Sequential) else [made]
    return parts if node.activation == "none" else [*parts, _ACTIVATIONS[node.activation]()]


def build_model(model: Model) -> nn.Module:
    """The model's module, weights seeded by its key; (1, 3, R, R) -> (1, classes)."""
    module = GraphModule(model.graph)
    initialised(module, model.key)
    level(module, model.graph)
    _level_without_norms(module, model.graph)
    return module


@torch.no_grad()
def level(module: nn.Module, graph: Graph) -> None:
    """Keeps activations from growing with depth, by constants, so that the weights are the same on every machine.

    Random weights double the variance in a convolution without activation, a residual adds its branch's to it, and a
    gate halves what it multiplies. Over the 60 layers of a net values would saturate, and what int8 makes of them
    would say nothing about the artifact.
    """
    branches = _branch_ends(graph)
    normed = [(position, node) for position, node in enumerate(graph.nodes) if node.norm]
    norms = [part for part in module.modules() if isinstance(part, nn.BatchNorm2d)]
    for (position, node), norm in zip(normed, norms, strict=True):
        if node.kind != "conv" or node.activation != "none":
            continue
        factor = 0.35 if position in branches else 0.7
        gated = graph.nodes[node.inputs[0]].kind == "mul"
        norm.weight.mul_(2 * factor if gated else factor)


def _branch_ends(graph: Graph) -> set[int]:
    """The layers whose output a residual adds, those side by side where it adds several."""
    ends = {node.inputs[1] for node in graph.nodes if node.kind == "add"}
    parts = {given for end in ends if graph.nodes[end].kind == "concat" for given in graph.nodes[end].inputs}
    return ends | parts


@torch.no_grad()
def _level_without_norms(module: GraphModule, graph: Graph) -> None:
    """The same for convolutions that have no batch norm to scale: a re-parameterised net's, and attention's.

    What reads the image or a rectified norm keeps its variance as it is.
    """
    branches = _branch_ends(graph)
    gated = {node.inputs[0] for node in graph.nodes if node.kind == "mul"}
    for position, node in enumerate(graph.nodes[1:], start=1):
        given = graph.nodes[node.inputs[0]]
        steady = given.kind == "input" or (given.kind == "norm" and given.activation != "none")
        if node.kind != "conv" or node.norm or steady:
            continue
        factor = 2.0 if given.kind == "mul" else 1.0
        if node.activation == "none" and position not in gated:
            factor *= 0.35 if position in branches else 0.7
        if factor != 1:
            cast(nn.Conv2d, module.layers[position - 1]).weight.mul_(factor)
