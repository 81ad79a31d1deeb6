from __future__ import annotations

import copy

import pytest
import torch
from torch import nn

from lutbench.nn.modules import empty_operator
from lutbench.search import composed, fused
from lutbench.search.block import Share, SharedBlock
from lutbench.search.supernet import Way
from lutbench.space.operator import parse_operator

LAYERS = [
    ("16x9x9_32_s2", ("k3_e1_g1", "k3_e1_g2", "k5_e6_g1", "k5_e2_g4", "k3_e3_g1")),
    ("32x2x2_32_s1", ("k5_e1_g2", "k3_e6_g1")),
    ("32x1x1_32_s1", ("k5_e6_g1", "k5_e1_g1")),
    ("16x7x7_32_s1", ("k7_e2_g4", "k3_e3_g1")),
    ("8x32x32_8_s1", ("k3_e1_g2",)),
]


def block(shape: str, candidates: tuple[str, ...]) -> SharedBlock:
    """Of random weights, in double precision."""
    torch.manual_seed(0)
    made = SharedBlock([parse_operator(f"ir_{candidate}_{shape}") for candidate in candidates]).double().train()
    for parameter in made.parameters():
        nn.init.normal_(parameter)
    return made


def inputs(shape: str, count: int) -> tuple[torch.Tensor, torch.Tensor]:
    channels, height, width = (int(size) for size in shape.split("_")[0].split("x"))
    x = torch.randn(4, channels, height, width, dtype=torch.float64, requires_grad=True)
    return x, torch.rand(count, dtype=torch.float64, requires_grad=True)


@pytest.mark.parametrize(
    ("way", "remade_from"), [(fused.branches, 1), (fused.branches, 1 << 40), (composed.branches, 0)]
)
@pytest.mark.parametrize(("shape", "candidates"), LAYERS)
def test_blocks_together_are_the_plain_ones_and_the_modules(
    shape: str, candidates: tuple[str, ...], way: Way, remade_from: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whether the expansion is kept or made again, and with many rows and few."""
    monkeypatch.setattr(fused, "_REMADE_FROM", remade_from)
    one = block(shape, candidates)
    other = copy.deepcopy(one)
    alone = [copy.deepcopy(one).copy_of(place).train() for place in range(len(candidates))]
    x, gates = inputs(shape, len(candidates))
    y = way(one, x, gates, range(len(candidates)))
    plain = torch.stack([other.plain(x, gate, place) for place, gate in enumerate(gates)]).sum(0)
    torch.testing.assert_close(y, plain)
    torch.testing.assert_close(y, torch.stack([g * m.body(x) for g, m in zip(gates, alone, strict=True)]).sum(0))
    gradient = torch.randn_like(y)
    found = torch.autograd.grad(y, [x, gates, *one.parameters()], gradient)
    expected = torch.autograd.grad(plain, [x, gates, *other.parameters()], gradient)
    for value, right in zip(found, expected, strict=True):
        torch.testing.assert_close(value, right)
    for key, value in one.state_dict().items():
        torch.testing.assert_close(value, other.state_dict()[key], msg=key)


@pytest.mark.parametrize(("shape", "candidates"), LAYERS)
def test_a_candidate_has_the_shapes_and_the_count_of_weights_of_its_own_module(
    shape: str, candidates: tuple[str, ...]
) -> None:
    made = block(shape, candidates)
    for place, candidate in enumerate(candidates):
        own = dict(empty_operator(parse_operator(f"ir_{candidate}_{shape}")).named_parameters())
        copied = dict(made.copy_of(place).named_parameters())
        assert {name: p.shape for name, p in own.items()} == {name: p.shape for name, p in copied.items()}


@pytest.mark.parametrize(
    ("shape", "candidates"),
    [*LAYERS[1:], ("16x9x9_32_s2", ("k3_e1_g1", "k3_e1_g2", "k5_e6_g1", "k5_e1_g2", "k3_e3_g1"))],
)
def test_nested_candidates_start_as_one_function(shape: str, candidates: tuple[str, ...]) -> None:
    made = block(shape, candidates)
    made.nest()
    if made.keeps:
        assert not made.norms[2].weight.any()
        nn.init.ones_(made.norms[2].weight)
    x, _ = inputs(shape, 1)
    first, *others = (made.plain(x, torch.tensor(1.0), place) for place in range(len(candidates)))
    assert first.std() > 0.1
    for other in others:
        torch.testing.assert_close(other, first)


def test_every_weight_of_a_group_is_its_blocks_and_no_other() -> None:
    made = block(*LAYERS[0])
    for share in (Share(16, 3, 2), Share(32, 5, 4), Share(96, 5, 1)):
        counts: list[torch.Tensor | None] = [None] * 9
        for _ in range(2):
            for first in (0, 3, 6):
                ones = [torch.ones_like(weight) for weight in share.weights(made.weights())]
                share.add(counts, made.weights(), first, ones[first : first + 3])
        for count, weight in zip(counts, share.weights(made.weights()), strict=True):
            assert count is not None
            assert set(count.unique().tolist()) <= {0.0, 2.0} and int((count == 2).sum()) == weight.numel()
