"""Costs of spaces whose nets choose channels and resolution: exact for every net, on every way to them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from lutbench.errors import LutError, UsageError
from lutbench.lut.predict import predict
from lutbench.lut.row import Row
from lutbench.measure.warmth import Warmth
from lutbench.search.budget import WINDOW, best_within
from lutbench.search.chance import are_within, random_within
from lutbench.search.gates import candidate_mask, draw, fixed_path, probabilities
from lutbench.search.grid_costs import MACS, PARAMS, CostModel, count_model, is_latency
from lutbench.search.latency import expected_costs, latency_model
from lutbench.search.objective import budget
from lutbench.space.decisions import choice_positions, decisions, net_at
from lutbench.space.fbnet import fbnet
from lutbench.space.file import parse_space
from lutbench.space.find import known_space
from lutbench.space.macro import Space
from lutbench.space.sampling import random_nets
from tests.conftest import CHOOSING_TOML
from tests.search.choices import every_choice
from tests.search.made import CHOOSING, COLD, FEW, WARM, made_lut

MODELS: list[CostModel] = [count_model(FEW, MACS), latency_model(made_lut(FEW), FEW)]


@pytest.mark.parametrize("name", ["choosing", "one resolution", "fbnetv2"])
def test_one_hot_gates_cost_what_the_derived_net_is_counted_at(name: str) -> None:
    fixed = parse_space(CHOOSING_TOML, Path("choosing.toml")).scaled(24, 1.0)
    spaces = {"choosing": CHOOSING, "one resolution": fixed}
    space = spaces.get(name) or known_space("fbnetv2").scaled(224, 1.0)
    models = [count_model(space, MACS), count_model(space, PARAMS)]
    expected, mask = expected_costs(models), candidate_mask(space)
    for net in random_nets(space, 200, 0, "counted"):
        gates = fixed_path(choice_positions(net), mask).values
        assert expected(gates).tolist() == [net.macs, net.params]
        assert [model.net_us(net) for model in models] == [net.macs, net.params]


@pytest.mark.parametrize("warmth", [COLD, WARM], ids=["cold", "warm"])
def test_one_hot_gates_take_what_predict_says(warmth: Warmth) -> None:
    lut = made_lut(CHOOSING, scale=0.8, operator_us=1.5, warmth=warmth)
    model = latency_model(lut, CHOOSING)
    expected, mask = expected_costs([model]), candidate_mask(CHOOSING)
    for net in random_nets(CHOOSING, 200, 1, "predicted"):
        predicted_us = predict(lut, net).latency_us
        gates = fixed_path(choice_positions(net), mask).values
        assert expected(gates).item() == pytest.approx(predicted_us, rel=1e-12)
        assert model.net_us(net) == pytest.approx(predicted_us, rel=1e-12)


@pytest.mark.parametrize("kind", ["stem", "ir", "pool", "fc"])
def test_a_checkpoint_knows_one_lut_from_another(kind: str) -> None:
    lut = made_lut(CHOOSING)
    number = next(n for n, row in enumerate(lut.rows) if row.operator.startswith(f"{kind}_"))
    rows = list(lut.rows)
    rows[number] = Row(rows[number].operator, *(rows[number].latency_us + 1,) * 6, samples=36, rounds=12)
    one, other = (latency_model(part, CHOOSING) for part in (lut, replace(lut, rows=tuple(rows))))
    assert f"{one.total:.3f}" != f"{other.total:.3f}"


def every(space: Space) -> np.ndarray:
    return np.array(every_choice(space))


def test_soft_gates_cost_the_mean_of_the_nets_that_are_drawn_from_them() -> None:
    """Each net's cost times its probability, over all of them: nothing is assumed of how a cost grows with channels."""
    theta = torch.randn(candidate_mask(FEW).shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    shares = probabilities(theta, candidate_mask(FEW))
    nets = every(FEW)
    chances = np.prod([shares[number].numpy()[nets[:, number]] for number in range(nets.shape[1])], axis=0)
    assert chances.sum() == pytest.approx(1)
    for model, found in zip(MODELS, expected_costs(MODELS)(shares), strict=True):
        assert found.item() == pytest.approx(float(chances @ model.chain.totals(nets)), rel=1e-12)


def test_every_gate_has_a_gradient() -> None:
    theta = torch.zeros(candidate_mask(CHOOSING).shape, requires_grad=True)
    rng = torch.Generator().manual_seed(0)
    gates = draw(theta, candidate_mask(CHOOSING), 2.0, "soft", rng)
    expected_costs([count_model(CHOOSING, MACS)])(gates.relaxed).sum().backward()
    several = torch.tensor([decision.count > 1 for decision in decisions(CHOOSING)])[:, None]
    assert theta.grad is not None
    assert torch.equal(theta.grad.ne(0), candidate_mask(CHOOSING) & several)


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.device)
def test_the_least_and_the_most_of_all_nets(model: CostModel) -> None:
    totals = model.chain.totals(every(FEW))
    assert model.net_us(model.fastest) == pytest.approx(totals.min())
    assert model.net_us(model.slowest) == pytest.approx(totals.max())


@pytest.mark.parametrize("share", [0.1, 0.4, 0.8])
def test_nets_in_a_window_are_found_and_the_best_scored_is(share: float) -> None:
    rng, nets = np.random.default_rng(3), every(FEW)
    scores = [rng.normal(size=decision.count) for decision in decisions(FEW)]
    of_nets = np.sum([score[nets[:, number]] for number, score in enumerate(scores)], axis=0)
    for models in ([MODELS[0]], [MODELS[1]], MODELS):
        targets = [m.net_us(m.fastest) ** (1 - share) * m.net_us(m.slowest) ** share for m in models]
        inside = are_within(nets, models, targets)
        if not inside.any():
            with pytest.raises(UsageError, match="no net of space choosing takes"):
                best_within(scores, models, targets)
            continue
        found = best_within(scores, models, targets)
        assert are_within(np.array([found]), models, targets)[0]
        if len(models) == 1:
            best = of_nets[inside].max()
            assert sum(score[p] for score, p in zip(scores, found, strict=True)) == pytest.approx(best)
            drawn = random_within(models, 100_000, np.random.default_rng(0), targets)
            assert {choice_positions(net) for net in drawn} == set(map(tuple, nets[inside].tolist()))


def test_fbnetv2_has_nets_in_a_narrow_window() -> None:
    target = 60e6
    space = known_space("fbnetv2").scaled(224, 1.0)
    model = count_model(space, MACS)
    rng = np.random.default_rng(0)
    scores = [rng.gumbel(size=decision.count) for decision in decisions(space)]
    net = net_at(space, best_within(scores, [model], [target]), "best@{label}")
    assert WINDOW * target < net.macs <= target
    for one in random_within([model], 3, rng, [target]):
        assert WINDOW * target < one.macs <= target and one.name.endswith(f"@{one.space.label}")


def test_a_space_without_such_choices_is_counted_too() -> None:
    space = fbnet(224, 1.0)
    model, lut = count_model(space, MACS), made_lut(space)
    both = expected_costs([latency_model(lut, space), model])
    for net in random_nets(space, 20, 0, "plain"):
        gates = fixed_path(choice_positions(net), candidate_mask(space)).values
        assert both(gates).tolist() == pytest.approx([predict(lut, net).latency_us, net.macs])
    assert not is_latency(model)


def test_targets_out_of_reach_name_the_least_and_the_most() -> None:
    model = count_model(CHOOSING, PARAMS)
    with pytest.raises(UsageError, match=r"takes 9 M parameters") as caught:
        budget([model], [9e6])
    assert "the smallest takes 0.0" in str(caught.value)


def test_missing_operators_of_a_grid_are_one_line() -> None:
    lut = made_lut(CHOOSING)
    gone = {"ir_k3_e1.5_g1_hswish_12x12x12_24_s2", "stem_k3_hswish_3x24x24_8_s2"}
    with pytest.raises(LutError, match="2 operators are missing of space choosing") as caught:
        latency_model(replace(lut, rows=tuple(row for row in lut.rows if row.operator not in gone)), CHOOSING)
    assert all(name in str(caught.value) for name in gone)
    with pytest.raises(LutError, match=r"operators are missing .* and \d+ more"):
        latency_model(replace(lut, rows=lut.rows[-3:]), CHOOSING)
