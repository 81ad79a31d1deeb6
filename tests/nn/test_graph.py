"""Graphs as torch modules: the shapes and the weights that the data says."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from lutbench.nn.graph import GraphModule, build_model
from lutbench.space.graph import Graph, GraphBuilder
from lutbench.space.zoo import find_whole_net


def every_kind() -> Graph:
    net = GraphBuilder(3, 21, 18)
    last = net.conv(0, 8, 3, 2, activation="hswish")
    last = net.norm(net.depthwise(last, 5, 1, "swish"), "relu")
    gate = net.conv(net.global_pool(last), 8, norm=False, bias=True, activation="hsigmoid")
    last = net.add(net.mul(last, gate), last, "relu6")
    last = net.concat([net.slice(last, 0, 4), net.pool("avg_pool", last, 3, 1), net.pool("max_pool", last, 3, 1)])
    last = net.shuffle(net.conv(last, 20, groups=4, activation="sigmoid"), 5)
    net.fc(net.global_pool(last), 7)
    return net.graph()


def test_every_kind_of_node_runs_with_its_shape() -> None:
    graph = every_kind()
    module = GraphModule(graph).eval()
    seen = []
    for layer in module.activations:
        layer.register_forward_hook(lambda _m, _i, output: seen.append(tuple(output.shape[1:])))
    assert module(torch.randn(graph.input_shape)).shape == (1, 7)
    expected = [node.shape for node in graph.nodes[1:]]
    assert [shape if len(shape) == 3 else (*shape, 1, 1) for shape in seen] == expected


def test_weights_are_those_the_graph_counts() -> None:
    graph = every_kind()
    module = GraphModule(graph)
    convs = [part for part in module.modules() if isinstance(part, nn.Conv2d | nn.Linear)]
    weights = sum(p.weight.numel() + (p.bias.numel() if p.bias is not None else 0) for p in convs)
    assert weights == graph.params


def test_macs_are_those_of_the_convolutions_that_run() -> None:
    model = find_whole_net("shufflenet_v2@64x1.5", ())
    module = build_model(model)  # type: ignore[arg-type]
    counted = []

    def count(part: nn.Module, _given: object, output: torch.Tensor) -> None:
        counted.append(part.weight[0].numel() * output.numel())  # type: ignore[index, union-attr, operator]

    for part in module.modules():
        if isinstance(part, nn.Conv2d | nn.Linear):
            part.register_forward_hook(count)
    module(torch.zeros(1, 3, 64, 64))
    assert sum(counted) == model.macs


@pytest.mark.parametrize("name", ["mobilenet_v2@64x0.35", "mnasnet@64x0.5"])
def test_the_same_model_has_the_same_weights(name: str) -> None:
    model = find_whole_net(name, ())
    one, two = (build_model(model).state_dict() for _ in range(2))  # type: ignore[arg-type]
    assert all(torch.equal(one[key], two[key]) for key in one)
