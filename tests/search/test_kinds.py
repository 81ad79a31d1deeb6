"""A supernet of blocks of any kind: each layer is the sum of its candidates alone, weighted by their gates."""

from __future__ import annotations

from dataclasses import replace
from typing import cast

import pytest
import torch
from torch import Tensor, nn

from lutbench.nn.own_allowed import ALLOWED_VARIABLE
from lutbench.search import composed, fused
from lutbench.search.gates import MODES, Gates, Mode, draw
from lutbench.search.supernet import SuperLayer, Supernet, Way
from lutbench.space.candidate import parse_candidate
from lutbench.space.macro import Space, Stage
from tests.search.test_supernet import generator, gradients, images, unlike
from tests.space.test_blocks import COUNTED


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
        found = layer(x, shares, chosen, way=None)
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


def beside(name: str) -> Space:
    """One layer that keeps its shape, with a block of FBNet's, one of any kind, and a skip."""
    return replace(MIXED, stages=(Stage(16, 1, 1, candidates("k3_e1", name, "k5_e2", "skip")),), stem_channels=16)


def alone(net: Supernet, x: Tensor, gates: Gates) -> tuple[Tensor, list[nn.Module]]:
    """The layer as a loop over copies of its candidates, each run by itself and weighted by its gate."""
    (layer,) = cast("list[SuperLayer]", net.layers)
    modules = [layer.copy_of(position).train() for position in range(layer.candidates)]
    chosen = range(layer.candidates) if gates.path is None else gates.path
    return cast(Tensor, sum(gates.values[0][p] * modules[p](x) for p in chosen)), modules


@pytest.mark.parametrize("way", [fused.branches, composed.branches, None])
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("name", [*COUNTED, "module_tests.search.test_kinds:own"])
def test_any_kind_gives_what_a_loop_over_its_candidates_gives(
    name: str, mode: Mode, way: Way | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(ALLOWED_VARIABLE, "tests")
    net = unlike(Supernet(beside(name), 4, 8, seed=3).double().train())
    (layer,) = cast("list[SuperLayer]", net.layers)
    gates = draw(net.theta, net.mask, 2.0, mode, generator(5))
    if gates.path:  # the candidate of this kind, whatever was drawn
        gates = replace(gates, path=(1,), values=torch.eye(4).double()[1:2] + gates.relaxed - gates.relaxed.detach())
    x = torch.randn(2, 16, 6, 6, generator=generator(7), dtype=torch.float64, requires_grad=True)
    expected, modules = alone(net, x, gates)
    found = layer(x, gates.values[0], range(4) if gates.path is None else (1,), way)
    torch.testing.assert_close(found, expected)
    weights = torch.randn(found.shape, generator=generator(9), dtype=torch.float64)
    pairs = zip(layer.others["1"].parameters(), modules[1].parameters(), strict=True) if "1" in layer.others else ()
    mine, theirs = [list(side) for side in zip(*pairs, strict=True)] or [[], []]
    of_gates = [net.theta] if mode == "soft" else []  # in hard mode the input's share of it is left out
    own = torch.autograd.grad((found * weights).sum(), [x, *of_gates, *mine], retain_graph=True, allow_unused=True)
    plain = torch.autograd.grad((expected * weights).sum(), [x, *of_gates, *theirs], allow_unused=True)
    assert len(own) == len(plain) > 0
    for one, other in zip(own, plain, strict=True):
        torch.testing.assert_close(one, other)
    assert own[0] is not None and bool(own[0].abs().max() > 0)


def own(c_in: int, _h: int, _w: int, c_out: int, stride: int) -> nn.Module:
    """A block of somebody's own code."""
    return nn.Sequential(nn.Conv2d(c_in, c_out, (1, 3), stride, (0, 1)), nn.BatchNorm2d(c_out), nn.ELU())
