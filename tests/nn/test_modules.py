from __future__ import annotations

import pytest
import torch

from lutbench.nn.modules import build_net, build_operator
from lutbench.nn.parts import ChannelShuffle
from lutbench.space.macro import Space
from lutbench.space.operator import parse_operator
from lutbench.space.sampling import random_nets

NAMES = ["stem_k3_3x32x32_16_s2", "ir_k5_e6_g1_16x9x9_16_s1", "ir_k3_e1_g2_16x9x9_24_s2", "conv_k1_16x8x8_24_s2",
         "pool_32x4x4", "fc_32_10", "runtime_overhead"]  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
def test_shapes_and_parameters_are_the_operators(name: str) -> None:
    operator = parse_operator(name)
    module = build_operator(operator)
    assert tuple(module(torch.zeros(operator.input_shape)).shape) == operator.output_shape
    weights = sum(p.numel() for m in module.modules() if isinstance(m, torch.nn.Conv2d | torch.nn.Linear)
                  for p in m.parameters())  # fmt: skip
    assert weights == operator.params


def test_channel_shuffle_interleaves_groups() -> None:
    x = torch.arange(6.0).reshape(1, 6, 1, 1)
    assert ChannelShuffle(2)(x).flatten().tolist() == [0, 3, 1, 4, 2, 5]


def test_a_block_keeps_its_input_where_it_can() -> None:
    module = build_operator(parse_operator("ir_k3_e1_g1_8x4x4_8_s1"))
    for part in module.modules():
        if isinstance(part, torch.nn.BatchNorm2d):
            torch.nn.init.zeros_(part.weight)
            torch.nn.init.zeros_(part.bias)
    x = torch.randn(1, 8, 4, 4)
    assert torch.equal(module(x), x)


def test_weights_are_seeded_by_the_name() -> None:
    first, again, other = (
        build_operator(parse_operator(f"conv_k1_8x4x4_{c}_s1")).state_dict()["0.weight"] for c in (16, 16, 24)
    )
    assert torch.equal(first, again)
    assert not torch.equal(first, other[:16])


def test_a_net_is_its_operators(tiny: Space) -> None:
    (net,) = random_nets(tiny, 1, 0, "test")
    module = build_net(net)
    assert tuple(module(torch.zeros(1, 3, 32, 32)).shape) == (1, 10)
    weights = sum(p.numel() for m in module.modules() if isinstance(m, torch.nn.Conv2d | torch.nn.Linear)
                  for p in m.parameters())  # fmt: skip
    assert weights == net.params
