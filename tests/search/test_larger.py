"""Latencies that are the larger of two sums: as `predict` has them, and found and drawn within budgets exactly."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from lutbench.errors import UsageError
from lutbench.lut.predict import predict
from lutbench.lut.table import Lut
from lutbench.measure.in_net import weights_of
from lutbench.measure.spill import Spill
from lutbench.measure.warmth import Warmth
from lutbench.search.budget import WINDOW, best_within
from lutbench.search.chance import random_within
from lutbench.search.gates import candidate_mask, fixed_path, probabilities
from lutbench.search.grid_costs import GridModel
from lutbench.search.larger import LargerModel
from lutbench.search.latency import expected_costs, latency_model
from lutbench.search.objective import budget
from lutbench.space.decisions import choice_positions, decisions, net_at
from lutbench.space.fbnet import fbnet
from lutbench.space.macro import Space
from lutbench.space.net import Net
from lutbench.space.sampling import random_nets
from tests.search.choices import chi_squared_of_draws, every_choice
from tests.search.made import COLD, FEW, PAYING, SHARP, SMALL, WARM, made_lut

FBNET = fbnet(224, 1.0)
SPACES = {"small": SMALL, "few": FEW, "fbnet": FBNET}


def amount(lut: Lut, net: Net, per_ms: float) -> float:
    """Million weights, and the time of the net's operators by their rows as so many more."""
    rows_us = [lut.latency_us(op) - lut.overhead_us for op in net.operators if op.is_measured]
    return weights_of(op.name for op in net.operators) + per_ms * sum(rows_us) / 1000


def is_paying(lut: Lut, net: Net) -> bool:
    context = lut.metadata.context
    return amount(lut, net, context.spill_million_per_ms) > context.spill_beyond


def spilling_lut(
    space: Space, seed: int = 0, warmth: Warmth = COLD, neighbours: bool = False, device: str = "host"
) -> Lut:
    """A LUT by which half of the nets pay for weights, the largest about as much as all else; every other for time."""
    nets = random_nets(space, 60, 5, "weights")
    plain = made_lut(space, seed, device)
    usual, usual_and_1_ms = (float(np.median([amount(plain, net, per_ms) for net in nets])) for per_ms in (0.0, 1.0))
    per_ms = usual / (usual_and_1_ms - usual) if seed % 2 else 0.0
    found = [amount(plain, net, per_ms) for net in nets]
    beyond, most = float(np.median(found)), max(found)
    lut = made_lut(space, seed, device, 0.9, 1.5, warmth, Spill(300.0 / (most - beyond), beyond, per_ms))
    terms = {"alike": -8.0, "weights": 1.0} if neighbours else {"weights": 1.0}
    return replace(lut, metadata=replace(lut.metadata, context=replace(lut.metadata.context, terms=terms)))


def every_net(space: Space) -> list[Net]:
    return [net_at(space, positions, "n") for positions in every_choice(space)]


@pytest.mark.parametrize("name", SPACES)
@pytest.mark.parametrize("warmth", [COLD, WARM, PAYING, SHARP], ids=["cold", "warm", "paying", "sharp"])
@pytest.mark.parametrize("neighbours", [False, True])
@pytest.mark.parametrize("seed", [0, 1])
def test_one_hot_gates_take_what_predict_says(name: str, warmth: Warmth, neighbours: bool, seed: int) -> None:
    space = SPACES[name]
    lut = spilling_lut(space, seed, warmth, neighbours)
    model = latency_model(lut, space)
    assert isinstance(model, LargerModel) and isinstance(model.models[0], GridModel) == (neighbours or name == "few")
    expected, mask = expected_costs([model]), candidate_mask(space)
    paying = 0
    nets = random_nets(space, 30, 1, "predicted")
    for net in nets:
        predicted_us = predict(lut, net).latency_us
        assert model.net_us(net) == pytest.approx(predicted_us, rel=1e-9)
        assert expected(fixed_path(choice_positions(net), mask).values).item() == pytest.approx(predicted_us, rel=1e-9)
        paying += is_paying(lut, net)
    assert 3 < paying < 27


def test_gates_have_gradients_of_the_larger_sum() -> None:
    model = latency_model(spilling_lut(SMALL), SMALL)
    assert isinstance(model, LargerModel)
    mask = candidate_mask(SMALL)
    gates = probabilities(torch.zeros(mask.shape), mask).double().requires_grad_()
    each = torch.stack([expected_costs([one])(gates)[0] for one in model.models])
    found = expected_costs([model, latency_model(made_lut(SMALL, 1, "other"), SMALL)])(gates)
    assert found.shape == (2,) and found[0].item() == each.max().item()
    (slopes,) = torch.autograd.grad(found[0], gates)
    (wanted,) = torch.autograd.grad(each[int(each.argmax())], gates)
    assert torch.equal(slopes, wanted)


@pytest.mark.parametrize("space", [SMALL, FEW], ids=["small", "few"])
@pytest.mark.parametrize("seed", range(5))
def test_the_fastest_and_the_slowest_of_all_nets(space: Space, seed: int) -> None:
    lut = spilling_lut(space, seed)
    model = latency_model(lut, space)
    every_us = [predict(lut, net).latency_us for net in every_net(space)]
    assert model.net_us(model.fastest) == pytest.approx(min(every_us))
    assert model.net_us(model.slowest) == pytest.approx(max(every_us))


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("share", [0.1, 0.35, 0.5, 0.7, 0.95])
@pytest.mark.parametrize("warmth", [COLD, WARM, PAYING, SHARP], ids=["cold", "warm", "paying", "sharp"])
def test_it_finds_the_best_of_all_nets_in_the_window(seed: int, share: float, warmth: Warmth) -> None:
    lut = spilling_lut(SMALL, seed, warmth)
    model = latency_model(lut, SMALL)
    low_us, high_us = model.net_us(model.fastest), model.net_us(model.slowest)
    target_us = low_us + share * (high_us - low_us)
    rng = np.random.default_rng(seed)
    scores = [rng.gumbel(size=decision.count) for decision in decisions(SMALL)]
    inside = {
        choice_positions(net): float(sum(row[p] for row, p in zip(scores, choice_positions(net), strict=True)))
        for net in every_net(SMALL)
        if WINDOW * target_us < predict(lut, net).latency_us <= target_us
    }
    if not inside:
        with pytest.raises(UsageError, match="no net of space small takes"):
            best_within(scores, [model], [target_us])
        return
    found = best_within(scores, [model], [target_us])
    assert inside[found] == max(inside.values())
    drawn = random_within([model], 10_000, rng, [target_us])
    assert {choice_positions(net) for net in drawn} == set(inside)


@pytest.mark.parametrize("share", [0.1, 0.3, 0.6, 0.9])
def test_nets_of_the_whole_space_land_in_the_window(share: float) -> None:
    lut = spilling_lut(FBNET, neighbours=True)
    models = [latency_model(lut, FBNET), latency_model(spilling_lut(FBNET, 1, WARM, device="other"), FBNET)]
    low_us, high_us = models[0].net_us(models[0].fastest), models[0].net_us(models[0].slowest)
    targets_us = [low_us + share * (high_us - low_us), models[1].net_us(models[1].slowest)]
    rng = np.random.default_rng(0)
    scores = [rng.gumbel(size=decision.count) for decision in decisions(FBNET)]
    for count in (1, 2):
        budget(models[:count], targets_us[:count])  # raises where no net is in the window
        net = net_at(FBNET, best_within(scores, models[:count], targets_us[:count]), "n@{label}")
        assert WINDOW * targets_us[0] < predict(lut, net).latency_us <= targets_us[0] * (1 + 1e-9)
    for one in random_within(models[:1], 5, rng, targets_us[:1]):
        assert WINDOW * targets_us[0] < predict(lut, one).latency_us <= targets_us[0]


def test_random_nets_within_two_targets() -> None:
    models = [
        latency_model(spilling_lut(FBNET, n, warmth, device=f"d{n}"), FBNET) for n, warmth in enumerate((COLD, WARM))
    ]
    targets_us = [(m.net_us(m.fastest) * m.net_us(m.slowest)) ** 0.5 for m in models]
    found = random_within(models, 20, np.random.default_rng(0), targets_us)
    assert len(found) == 20
    for net in found:
        assert WINDOW < max(m.net_us(net) / target for m, target in zip(models, targets_us, strict=True)) <= 1


@pytest.mark.parametrize(("seed", "share"), [(0, 0.6), (3, 0.45)])
def test_each_net_comes_as_often_as_any_other(seed: int, share: float) -> None:
    lut = spilling_lut(SMALL, seed, neighbours=True)
    model = latency_model(lut, SMALL)
    every_us = {choice_positions(net): predict(lut, net).latency_us for net in every_net(SMALL)}
    target_us = float(np.quantile([*every_us.values()], share))
    nets = [net for net, us in every_us.items() if WINDOW * target_us < us <= target_us]
    paying = [net for net in nets if is_paying(lut, net_at(SMALL, net, "n"))]
    assert 2 < len(paying) < len(nets) - 2
    chi_squared = chi_squared_of_draws(model, target_us, nets)
    assert chi_squared < len(nets) + 4 * (2 * len(nets)) ** 0.5  # mean and four standard deviations


def test_a_checkpoint_knows_luts_apart_that_differ_in_spill_alone() -> None:
    luts = [made_lut(spill=Spill(price, beyond)) for price, beyond in ((0, 0), (1, 0.01), (2, 0.01), (1, 0.02))]
    luts.append(made_lut(spill=Spill(1, 0.01, 0.01)))
    assert len({latency_model(lut, SMALL).total for lut in luts}) == len(luts)
