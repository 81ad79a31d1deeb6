"""Graph -> torch.nn.Module in eval mode. Tensors are (N, C, H, W)."""

from __future__ import annotations

from collections.abc import Callable

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
    "shuffle": lambda node, _c_in: ChannelShuffle(node.groups),
}


class GraphModule(nn.Module):
    """Runs a graph's nodes in order."""

    def __init__(self, graph: Graph) -> None:
        super().__init__()
        self._inputs = [node.inputs for node in graph.nodes[1:]]
        channels = [node.shape[0] for node in graph.nodes]
        self.layers = nn.ModuleList(_BUILDERS[n.kind](n, channels[n.inputs[0]]) for n in graph.nodes[1:])
        self.activations = nn.ModuleList(_ACTIVATIONS[node.activation]() for node in graph.nodes[1:])

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, classes) where the last node is a classifier, else (N, C, H, W)"""
        values = [x]
        for inputs, layer, activation in zip(self._inputs, self.layers, self.activations, strict=True):
            values.append(activation(layer(*(values[position] for position in inputs))))
        return values[-1]


def build_model(model: Model) -> nn.Module:
    """The model's module, weights seeded by its key; (1, 3, R, R) -> (1, classes)."""
    return initialised(GraphModule(model.graph), model.key)
