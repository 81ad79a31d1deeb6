"""Graphs against the torch modules made of them."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from lutbench.nn import graph as graph_module
from lutbench.nn.graph import GraphModule, build_model
from lutbench.space.fbnet import fbnet
from lutbench.space.graph import GraphBuilder, Model
from lutbench.space.zoo import MODELS, find_whole_net, zoo_models
from tests.tiers import IS_LONG


def model(text: str) -> Model:
    found = find_whole_net(text, (fbnet(224, 1.0),))
    assert isinstance(found, Model)
    return found


def shapeless(found: Model) -> GraphModule:
    """Its module without numbers: torch works out shapes alone."""
    with torch.device("meta"):
        return GraphModule(found.graph).eval()


def run(module: GraphModule, size: int) -> tuple[list[torch.Size], int]:
    """The output shape of every layer, (N, C, H, W), and the multiply-accumulates that hooks count."""
    shapes, macs = [], 0

    def hook(_layer: nn.Module, _given: object, output: torch.Tensor) -> None:
        shapes.append(output.shape)

    def count(layer: nn.Module, _given: object, output: torch.Tensor) -> None:
        nonlocal macs
        assert isinstance(layer, (nn.Conv2d, nn.Linear))
        macs += layer.weight.numel() * output.numel() // output.shape[1]

    def attend(_layer: nn.Module, given: tuple[torch.Tensor, ...], output: torch.Tensor) -> None:
        nonlocal macs
        queries, keys, _values = given
        macs += queries[0, 0].numel() * keys[0, 0].numel() * (queries.shape[1] + output.shape[1])

    for layer in module.layers:
        layer.register_forward_hook(hook)
        if isinstance(layer, graph_module._Attention):
            layer.register_forward_hook(attend)
    for part in module.modules():
        if isinstance(part, (nn.Conv2d, nn.Linear)):
            part.register_forward_hook(count)
    with torch.no_grad():
        module(torch.zeros(1, 3, size, size, device="meta"))
    return shapes, macs


SIZES = [32, 33, 64, 96, 97] if IS_LONG else [33, 96]  # an odd one, and one that every stride divides


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("name", MODELS)
def test_every_layer_has_the_shape_and_work_that_the_graph_says(name: str, size: int) -> None:
    found = model(f"{name}@{size}")
    shapes, macs = run(shapeless(found), size)
    for node, shape in zip(found.graph.nodes[1:], shapes, strict=True):
        assert (1, *node.shape) == (*shape, *(1,) * (4 - len(shape)))
    assert macs == found.macs


@pytest.mark.parametrize("found", zoo_models(), ids=lambda found: found.name)
def test_parameters_are_those_of_the_module_without_batch_norms(found: Model) -> None:
    module = shapeless(found)
    norms = sum(p.numel() for part in module.modules() if isinstance(part, nn.BatchNorm2d) for p in part.parameters())
    assert sum(p.numel() for p in module.parameters()) - norms == found.params


@pytest.mark.parametrize(
    ("name", "params"),
    [
        ("mobilenet_v2", 3_504_872),
        ("mnasnet", 4_383_312),
        ("shufflenet_v2@224x0.5", 1_366_792),
        ("shufflenet_v2@224x1.0", 2_278_604),
        ("shufflenet_v2", 3_503_624),
        ("shufflenet_v2@224x2.0", 7_393_996),
        ("mobilenet_v3_small", 2_542_856),
        ("mobilenet_v3_large", 5_483_032),
        ("efficientnet_b0", 5_288_548),
    ],
)
def test_parameters_equal_those_torchvision_documents(name: str, params: int) -> None:
    """num_params of torchvision's weights, batch norms counted."""
    assert sum(p.numel() for p in shapeless(model(name)).parameters()) == params


@pytest.mark.parametrize(
    ("name", "params"),
    [
        ("efficientnet_lite0", 4_652_008),
        ("efficientnet_lite1", 5_416_680),
        ("efficientnet_lite2", 6_092_072),
        ("efficientnet_lite3", 8_197_096),
        ("efficientnet_lite4", 13_006_568),
        ("mobilenet_v4_conv_s", 3_774_024),
        ("mobilenet_v4_conv_m", 9_715_512),
        ("mobilenet_v4_conv_l", 32_590_864),
        ("mobilenet_v4_hybrid_m", 11_074_648 - 6_176),  # without layer scale, which is folded
        ("ghostnet", 5_182_508),
        ("mobileone_s0", 2_078_504),
        ("mobileone_s1", 4_764_840),
        ("mobileone_s2", 7_808_168),
        ("mobileone_s3", 10_078_312),
        ("mobileone_s4", 14_838_352),
        ("repvit_m0_9", 5_067_056),
        ("repvit_m1_1", 8_244_312),
    ],
)
def test_parameters_equal_those_of_timm(name: str, params: int) -> None:
    """As counted of timm 1.0.31's modules, re-parameterised where they can be, batch norms counted.

    benchmarks/zoo_elsewhere.py counts them, and their multiply-accumulates.
    """
    assert sum(p.numel() for p in shapeless(model(name)).parameters()) == params


def test_gather_and_slice_and_shuffle_move_the_channels_they_say() -> None:
    net = GraphBuilder(4, 2, 2)
    net.shuffle(net.slice(net.gather(0, [3, 1, 1, 0, 2]), 1, 4), 2)
    given = torch.arange(16.0).reshape(1, 4, 2, 2)
    assert torch.equal(GraphModule(net.graph())(given), given[:, [1, 0, 1, 2]])


def test_a_squeeze_multiplies_by_its_gate() -> None:
    found = model("mobilenet_v3_small@32")
    gates = [node for node in found.graph.nodes if node.kind == "mul"]
    assert len(gates) == 9
    for node in gates:
        gate = found.graph.nodes[node.inputs[1]]
        assert (gate.activation, gate.bias, gate.norm) == ("hsigmoid", True, False)


def test_weights_are_the_same_wherever_they_are_made() -> None:
    found = model("fbnetv2_f1@32")
    one, other = build_model(found).state_dict(), build_model(found).state_dict()
    assert all(torch.equal(one[key], other[key]) for key in one)


@pytest.mark.parametrize("name", MODELS)
def test_outputs_neither_grow_with_depth_nor_forget_the_input(name: str) -> None:
    """What is left after all layers must be able to show that an artifact computes something else."""
    module = build_model(model(f"{name}@64"))
    given = torch.randn(1, 3, 64, 64, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        one, other = module(given), module(-given)
    assert one.shape == (1, 1000)
    assert 0.1 < one.std() < 10
    assert (one - other).std() > 0.01 * one.std()
