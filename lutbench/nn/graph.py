"""Graph -> torch.nn.Module in eval mode. Tensors are (N, C, H, W)."""

from __future__ import annotations

from collections.abc import Callable
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from lutbench.nn.modules import ChannelShuffle, initialised
from lutbench.space.graph import Graph, Model, Node

_ACTIVATIONS: dict[str, Callable[[], nn.Module]] = {
    "none": nn.Identity,
    "relu": nn.ReLU,
    "relu6": nn.ReLU6,
    "hswish": nn.Hardswish,
    "swish": nn.SiLU,
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
        values = [x]
        for inputs, layer, activation in zip(self._inputs, self.layers, self.activations, strict=True):
            values.append(activation(layer(*(values[position] for position in inputs))))
        return values[-1]


def build_model(model: Model) -> nn.Module:
    """The model's module, weights seeded by its key; (1, 3, R, R) -> (1, classes)."""
    module = GraphModule(model.graph)
    initialised(module, model.key)
    _level(module, model.graph)
    return module


@torch.no_grad()
def _level(module: GraphModule, graph: Graph) -> None:
    """Keeps activations from growing with depth, by constants, so that the weights are the same on every machine.

    Random weights double the variance in a convolution without activation, a residual adds its branch's to it, and a
    gate halves what it multiplies. Over the 60 layers of a net values would saturate, and what int8 makes of them
    would say nothing about the artifact.
    """
    branches = {node.inputs[1] for node in graph.nodes if node.kind == "add"}
    for position, node in enumerate(graph.nodes):
        if node.kind != "conv" or not node.norm or node.activation != "none":
            continue
        factor = 0.35 if position in branches else 0.7
        gated = graph.nodes[node.inputs[0]].kind == "mul"
        module.norm(position).weight.mul_(2 * factor if gated else factor)
