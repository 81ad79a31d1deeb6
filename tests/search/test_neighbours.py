"""Costs that depend on a net's neighbours: exact for every net, on every way to them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from lutbench.lut.predict import predict
from lutbench.lut.table import Lut
from lutbench.search.budget import WINDOW, best_within
from lutbench.search.chain import on_common_states
from lutbench.search.chance import random_within
from lutbench.search.gates import candidate_mask, fixed_path, probabilities
from lutbench.search.grid_costs import GridModel
from lutbench.search.latency import LatencyModel, expected_costs, latency_model
from lutbench.search.neighbours import WalkCosts
from lutbench.space.decisions import choice_positions, decisions, net_at
from lutbench.space.fbnet import fbnet
from lutbench.space.find import known_space
from lutbench.space.macro import Space
from lutbench.space.sampling import random_nets
from tests.search.choices import every_choice
from tests.search.made import CHOOSING, FEW, SMALL, made_lut

SPACES = {
    "fbnet": fbnet(96, 1.0),
    "small": SMALL,
    "choosing": CHOOSING,
    "fbnetv2": known_space("fbnetv2").scaled(96, 1.0),
    "ofa": known_space("ofa-mobilenetv3").scaled(96, 1.0),
}


OTHERS = {"alike": -6.0, "first_residuals": 9.0, "regrouped": 7.0}
WIDE = {"slowed": 300.0, "slowed_weights": 50.0}  # what follows a kernel of 7x7, which only some of the spaces have
EVICTED = {"evicted": 400.0}  # per million weights and million elements, of nets of small maps
TERMS = {"kept": {}, "all": OTHERS | EVICTED, **{name: {name: us} for name, us in (OTHERS | WIDE | EVICTED).items()}}


def kept_lut(space: Space, block_channels: int = 8, seed: int = 0, device: str = "host", others: str = "kept") -> Lut:
    """A LUT whose nets save much by their neighbours: by their layout, and by other terms; operators get cold, too.

    block_channels: 0 for other terms alone.
    """
    lut = made_lut(space, seed, device, scale=0.9, operator_us=1.5)
    largest = max(np.prod(op.input_shape) for op in space.searchable_operators if op.is_measured) / 1e6
    terms = {"kept": -4.0 / float(largest), "spared": -2.0 / float(largest), "boundaries": -1.5, "residual": 30.0}
    terms |= TERMS[others] | {"colder": 1.5}
    names = [row.operator for row in lut.rows]
    cold, own = ({name: step * (n % 5) for n, name in enumerate(names)} for step in (0.02, -0.01))
    context = replace(lut.metadata.context, terms=terms, colder=cold, deviations=own, block_channels=block_channels)
    return replace(lut, metadata=replace(lut.metadata, context=context))


@pytest.mark.parametrize("name", SPACES)
@pytest.mark.parametrize(
    ("block_channels", "others"),
    [(8, "kept"), (16, "kept"), (16, "all"), (0, "first_residuals"), (0, "alike"), (0, "evicted")],
)
def test_one_hot_gates_take_what_predict_says(name: str, block_channels: int, others: str) -> None:
    space = SPACES[name]
    lut = kept_lut(space, block_channels, others=others)
    model = latency_model(lut, space)
    assert isinstance(model, GridModel) and isinstance(model.costs, WalkCosts)
    expected, mask = expected_costs([model]), candidate_mask(space)
    without = {"residual": lut.metadata.context.terms["residual"]}
    plain = replace(lut, metadata=replace(lut.metadata, context=replace(lut.metadata.context, terms=without)))
    changes_us = []
    for net in random_nets(space, 20 if space is SMALL else 100, 1, "predicted"):
        predicted_us = predict(lut, net).latency_us
        gates = fixed_path(choice_positions(net), mask).values
        assert expected(gates).item() == pytest.approx(predicted_us, rel=1e-9)
        assert model.net_us(net) == pytest.approx(predicted_us, rel=1e-9)
        changes_us.append(abs(predict(plain, net).latency_us - predicted_us))
    assert max(changes_us) > 5


@pytest.mark.parametrize("term", WIDE | EVICTED)
def test_all_that_follows_a_wide_kernel_or_layer_is_counted_by_the_walk(term: str) -> None:
    space = SPACES["ofa"]
    lut = kept_lut(space, 0, others=term)
    model = latency_model(lut, space)
    context = lut.metadata.context
    plain = replace(
        lut, metadata=replace(lut.metadata, context=replace(context, terms=dict(context.terms) | {term: 0}))
    )
    changes_us = []
    for net in random_nets(space, 50, 1, "predicted"):
        assert model.net_us(net) == pytest.approx(predict(lut, net).latency_us, rel=1e-9)
        changes_us.append(predict(lut, net).latency_us - predict(plain, net).latency_us)
    assert min(changes_us) >= 0 and max(changes_us) > 5


def test_a_lut_whose_nets_keep_nothing_is_a_sum() -> None:
    lut = kept_lut(SMALL)
    none = replace(lut.metadata.context, terms={"kept": 0.0, "residual": 1.0})
    assert isinstance(latency_model(replace(lut, metadata=replace(lut.metadata, context=none)), SMALL), LatencyModel)


def test_expected_costs_are_means_over_nets_that_are_drawn() -> None:
    few = replace(SMALL, stages=SMALL.stages[:2])
    model = latency_model(kept_lut(few, others="all"), few)
    mask = candidate_mask(few)
    shares = probabilities(torch.randn(mask.shape, generator=torch.Generator().manual_seed(0)), mask).double()
    nets = every_choice(few)
    chances = [float(np.prod([shares[row, option] for row, option in enumerate(net)])) for net in nets]
    assert sum(chances) == pytest.approx(1)
    mean_us = sum(p * model.net_us(net_at(few, list(net), "n")) for p, net in zip(chances, nets, strict=True))
    gates = shares.clone().requires_grad_()
    found = expected_costs([model])(gates)
    assert found[0].item() == pytest.approx(mean_us, rel=1e-7)
    found.sum().backward()  # type: ignore[no-untyped-call]
    assert gates.grad is not None and gates.grad[mask].abs().min() > 0


@pytest.mark.parametrize("space", [SMALL, FEW], ids=["small", "few"])
def test_the_least_and_the_most_of_all_nets(space: Space) -> None:
    model = latency_model(kept_lut(space, others="all"), space)
    totals = model.chain.totals(np.array(every_choice(space)))
    assert model.net_us(model.fastest) == pytest.approx(totals.min())
    assert model.net_us(model.slowest) == pytest.approx(totals.max())


def test_the_best_net_of_a_budget_is_within_it_as_predicted() -> None:
    space = SPACES["fbnet"]
    lut = kept_lut(space, others="all")
    model = latency_model(lut, space)
    target_us = (model.net_us(model.fastest) * model.net_us(model.slowest)) ** 0.5
    rng = np.random.default_rng(0)
    scores = [rng.gumbel(size=decision.count) for decision in decisions(space)]
    net = net_at(space, best_within(scores, [model], [target_us]), "best@{label}")
    assert WINDOW * target_us < predict(lut, net).latency_us <= target_us
    for one in random_within([model], 3, rng, [target_us]):
        assert WINDOW * target_us < predict(lut, one).latency_us <= target_us


def test_every_net_of_a_budget_is_drawn_where_neighbours_save_more_than_an_operator_takes() -> None:
    lut = kept_lut(FEW)
    terms = {"alike": -60.0, "first_residuals": 20.0}
    saving = replace(lut, metadata=replace(lut.metadata, context=replace(lut.metadata.context, terms=terms)))
    model = latency_model(saving, FEW)
    assert min(cost.min() for cost in model.chain.costs) < -10
    nets = np.array(every_choice(FEW))
    totals = model.chain.totals(nets)
    target_us = float(np.quantile(totals, 0.6))
    within = {
        tuple(map(int, net)) for net, us in zip(nets, totals, strict=True) if WINDOW * target_us < us <= target_us
    }
    drawn = random_within([model], len(within), np.random.default_rng(0), [target_us])
    assert within and {tuple(choice_positions(net)) for net in drawn} == within


def test_two_luts_whose_nets_look_at_different_neighbours_are_searched_together() -> None:
    luts = [kept_lut(FEW, 8), kept_lut(FEW, 0, 1, "second", "alike"), made_lut(FEW, 2, "third")]
    models = [latency_model(lut, FEW) for lut in luts]
    rng = np.random.default_rng(0)
    scores = [rng.gumbel(size=decision.count) for decision in decisions(FEW)]
    targets_us = [(model.net_us(model.fastest) * model.net_us(model.slowest)) ** 0.5 for model in models]
    net = net_at(FEW, best_within(scores, models, targets_us), "best@{label}")
    ratios = [predict(lut, net).latency_us / target for lut, target in zip(luts, targets_us, strict=True)]
    assert WINDOW < max(ratios) <= 1
    chains = on_common_states([model.parts[0].chain for model in models])
    nets = np.array(every_choice(FEW))[::7]
    for model, chain in zip(models, chains, strict=True):
        assert chain.totals(nets) == pytest.approx(model.parts[0].chain.totals(nets))
        assert all(map(np.array_equal, chain.states, chains[0].states))
