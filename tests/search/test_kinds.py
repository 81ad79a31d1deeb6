"""A supernet of blocks of any kind: each layer is the sum of its candidates alone, weighted by their gates."""

from __future__ import annotations

from typing import cast

import pytest
import torch
from torch import Tensor

from lutbench.search.gates import MODES, Mode, draw
from lutbench.search.supernet import SuperLayer, Supernet
from lutbench.space.candidate import parse_candidate
from lutbench.space.macro import Space, Stage
from tests.search.test_supernet import generator, gradients, images, unlike


def candidates(*names: str) -> tuple:  # type: ignore[type-arg]
    return tuple(parse_candidate(name) for name in names)


MIXED = Space(
    name="mixed",
    resolution=16,
    width=1.0,
    stem_channels=8,
    stem_kernel=3,
    stem_stride=1,
    stages=(
        # all of them a branch beside the input: FBNet's blocks share weights, the others do not
        Stage(8, 1, 1, candidates("k3_e1", "k5_e2", "k3_e4_hswish_se0.25", "uib_a3_k0_e2", "mqa_h2_d4", "skip")),
        # some carry their input, some do not
        Stage(8, 1, 1, candidates("k3_e1", "conv_k3", "separable_k5", "shuffle_k3", "vit_h2_e2", "skip")),
        Stage(16, 1, 2, candidates("k3_e1", "fused_k3_e2", "bottleneck_k3_e0.5", "convnext_k3_e2", "mobileone_k3")),
    ),
    candidates=(),
    head_channels=16,
    classes=4,
)


@pytest.mark.parametrize("mode", MODES)
@torch.no_grad()
def test_a_layer_is_the_sum_of_its_candidates(mode: Mode) -> None:
    net = unlike(Supernet(MIXED, 4, 16, seed=3).double().train())
    batch, _ = images()
    gates = draw(net.theta, net.mask, 2.0, mode, generator(5))
    x = net.stem(batch.double())
    for number, layer in enumerate(cast("list[SuperLayer]", net.layers)):
        chosen = range(layer.candidates) if gates.path is None else (gates.path[number],)
        alone = [layer.copy_of(position).train() for position in range(layer.candidates)]
        shares = gates.values[number]
        found = layer(x, shares, chosen, fast=False)
        expected: Tensor = sum((shares[p] * alone[p](x) for p in chosen), start=torch.zeros(()))
        torch.testing.assert_close(found, expected)
        x = found


@pytest.mark.parametrize("mode", MODES)
def test_the_fast_path_beside_other_kinds_is_the_plain_loop(mode: Mode) -> None:
    fast = unlike(Supernet(MIXED, 4, 16, seed=3).double().train())
    plain = unlike(Supernet(MIXED, 4, 16, seed=3, fast=False).double().train())
    gates, same = (draw(net.theta, net.mask, 2.0, mode, generator(5)) for net in (fast, plain))
    found, expected = gradients(fast, gates), gradients(plain, same)
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        torch.testing.assert_close(found[name], value, msg=name)
