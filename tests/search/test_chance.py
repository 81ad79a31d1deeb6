"""Random nets within targets: all there are, each as often as any other."""

from __future__ import annotations

import numpy as np
import pytest

from lutbench.errors import UsageError
from lutbench.search.budget import WINDOW
from lutbench.search.chance import random_within
from lutbench.search.latency import LatencyModel, choice_positions, latency_model, net_at
from lutbench.space.fbnet import fbnet
from tests.search.choices import chi_squared_of_draws, every_choice
from tests.search.made import COLD, SMALL, WARM, made_lut

MODEL, WARM_MODEL = (latency_model(made_lut(warmth=warmth), SMALL) for warmth in (COLD, WARM))
FBNET = fbnet(224, 1.0)
FBNET_MODEL = latency_model(made_lut(FBNET), FBNET)


def all_within(model: LatencyModel, target_us: float) -> set[tuple[int, ...]]:
    return {p for p in every_choice(SMALL) if WINDOW * target_us < model.net_us(net_at(SMALL, p, "n")) <= target_us}


@pytest.mark.parametrize("factor", [1.05, 1.25, 1.5])
@pytest.mark.parametrize("model", [MODEL, WARM_MODEL], ids=["cold", "warm"])
def test_every_net_within_the_target_is_found_and_no_other(model: LatencyModel, factor: float) -> None:
    target_us = factor * model.net_us(model.fastest)
    found = random_within([model], 10_000, np.random.default_rng(0), [target_us])
    assert {choice_positions(net) for net in found} == all_within(model, target_us)
    assert len({net.name for net in found}) == len(found)


def test_each_comes_as_often_as_any_other() -> None:
    target_us = 1.5 * MODEL.net_us(MODEL.fastest)
    nets = sorted(all_within(MODEL, target_us))
    chi_squared = chi_squared_of_draws(MODEL, target_us, nets)
    assert chi_squared < len(nets) + 4 * (2 * len(nets)) ** 0.5  # mean and four standard deviations


@pytest.mark.parametrize("factor", [1.02, 1.1, 1.6, 3.0])
def test_targets_that_one_net_in_millions_meets(factor: float) -> None:
    target_us = factor * FBNET_MODEL.net_us(FBNET_MODEL.fastest)
    found = random_within([FBNET_MODEL], 20, np.random.default_rng(1), [target_us])
    assert found and all(WINDOW * target_us < FBNET_MODEL.net_us(net) <= target_us for net in found)


def test_two_targets() -> None:
    models = [latency_model(made_lut(FBNET, seed, device=f"d{seed}"), FBNET) for seed in (0, 1)]
    targets_us = [3.0 * model.net_us(model.fastest) for model in models]
    found = random_within(models, 20, np.random.default_rng(1), targets_us)
    assert len(found) == 20
    for net in found:
        assert WINDOW < max(m.net_us(net) / target for m, target in zip(models, targets_us, strict=True)) <= 1


def test_without_targets_any_net() -> None:
    found = random_within([MODEL], 50, np.random.default_rng(1), None)
    assert len({net.choice for net in found}) == 50


@pytest.mark.parametrize("factor", [0.5, 0.9, 50.0])
def test_targets_that_no_net_meets_are_one_error(factor: float) -> None:
    target_us = factor * MODEL.net_us(MODEL.fastest)
    with pytest.raises(UsageError, match="none meets all targets"):
        random_within([MODEL], 3, np.random.default_rng(0), [target_us])


def test_no_net_is_refused_and_not_looked_for_without_end() -> None:
    with pytest.raises(UsageError, match="0 nets cannot be drawn"):
        random_within([FBNET_MODEL], 0, np.random.default_rng(0), [2 * FBNET_MODEL.net_us(FBNET_MODEL.fastest)])
