from __future__ import annotations

import itertools
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lutbench.errors import UsageError
from lutbench.measure.warmth import Warmth
from lutbench.search.budget import WINDOW, best_within
from lutbench.search.latency import LatencyModel, latency_model, net_at
from lutbench.space.fbnet import fbnet
from tests.search.made import COLD, SMALL, WARM, made_lut

FBNET = fbnet(224, 1.0)


def random_scores(model: LatencyModel, seed: int) -> list[list[float]]:
    rng = random.Random(seed)
    return [[rng.gauss(0, 3) for _ in row] for row in model.cost_us]


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10**6), share=st.floats(0, 1), devices=st.integers(1, 3), warm=st.sampled_from([COLD, WARM]))
def test_it_finds_the_best_of_all_nets_in_the_window_or_says_there_is_none(
    seed: int, share: float, devices: int, warm: Warmth
) -> None:
    models = [latency_model(made_lut(seed=seed + n, device=f"d{n}", warmth=warm), SMALL) for n in range(devices)]
    targets_us = [m.net_us(m.fastest) + share * (m.net_us(m.slowest) - m.net_us(m.fastest)) for m in models]
    scores = random_scores(models[0], seed)
    inside = {}
    for positions in itertools.product(*(range(len(row)) for row in scores)):
        net = net_at(SMALL, positions, "n")
        ratios = [model.net_us(net) / target for model, target in zip(models, targets_us, strict=True)]
        if max(ratios) <= 1 + 1e-9 and max(ratios) > WINDOW:
            inside[positions] = sum(row[position] for row, position in zip(scores, positions, strict=True))
    if not inside:
        with pytest.raises(UsageError, match="no net of space small takes"):
            best_within(scores, models, targets_us)
        return
    found = best_within(scores, models, targets_us)
    assert found in inside
    if devices == 1:
        assert inside[found] == max(inside.values())


@pytest.mark.parametrize("share", [0.02, 0.3, 0.5, 0.9])
@pytest.mark.parametrize("devices", [1, 2, 3])
def test_nets_of_the_whole_space_land_in_the_window(share: float, devices: int) -> None:
    models = [latency_model(made_lut(FBNET, seed=n, device=f"d{n}"), FBNET) for n in range(devices)]
    low, high = (models[0].net_us(net) for net in (models[0].fastest, models[0].slowest))
    targets_us = [low + share * (high - low), *(m.net_us(m.slowest) for m in models[1:])]
    scores = random_scores(models[0], 1)
    net = net_at(FBNET, best_within(scores, models, targets_us), "n")
    ratios = [model.net_us(net) / target for model, target in zip(models, targets_us, strict=True)]
    assert max(ratios) <= 1 + 1e-9 and max(ratios) > WINDOW


def test_a_budget_that_does_not_bind_leaves_the_best_scores() -> None:
    model = latency_model(made_lut(FBNET), FBNET)
    scores = random_scores(model, 2)
    best = tuple(row.index(max(row)) for row in scores)
    assert best_within(scores, [model], [model.net_us(net_at(FBNET, best, "n")) / 0.99]) == best
