"""Costs found again on a device that follows the model, positive whatever the nets say."""

from __future__ import annotations

import math
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lutbench.lut.cost_fit import NetWork, device_prior, fit_costs, general_prior
from lutbench.lut.costs import OVERHEAD, PRIOR_US, layers_work, total_work
from lutbench.space.expand import net_graph
from lutbench.space.fbnet import fbnet
from lutbench.space.sampling import random_nets

KINDS = tuple(kind for kind in PRIOR_US if kind != "depthwise_other")
NETS = [(net.name, layers_work(net_graph(net), "int8")) for net in random_nets(fbnet(96, 0.35), 30, 1, "costs")]


def latency_us(costs: dict[str, float], layers: tuple) -> float:  # type: ignore[type-arg]
    return costs[OVERHEAD] + sum(costs[kind] * amount for kind, amount in total_work(layers).items())


def nets_of(costs: dict[str, float], noise: float = 0.0, count: int = 30) -> list[NetWork]:
    rng = random.Random(0)
    return [NetWork(n, latency_us(costs, w) * (1 + noise * rng.gauss(0, 1)), w) for n, w in NETS[:count]]


def device(seed: int) -> dict[str, float]:
    rng = random.Random(seed)
    return {kind: 3 * PRIOR_US[kind] * math.exp(rng.gauss(0, 0.5)) for kind in KINDS}


@pytest.mark.parametrize("seed", range(5))
def test_left_out_nets_of_an_additive_device_are_met(seed: int) -> None:
    fit = fit_costs(nets_of(device(seed)), general_prior(KINDS))
    assert fit.left_out_mean_error < 0.02
    noisy = fit_costs(nets_of(device(seed), noise=0.05), general_prior(KINDS))
    assert noisy.left_out_mean_error < 0.08
    assert noisy.layer_scatter > fit.layer_scatter


def test_what_the_nets_decide_has_the_narrower_interval() -> None:
    fit = fit_costs(nets_of(device(0), noise=0.03), general_prior(KINDS))
    ratio = {kind: high / low for kind in KINDS for low, high in [fit.cost_interval(kind)]}
    assert ratio["layer"] < ratio["classifier"]  # every net has the same classifier
    truth = device(0)
    covered = [low <= truth[kind] <= high for kind in KINDS for low, high in [fit.cost_interval(kind)]]
    assert sum(covered) >= len(KINDS) - 2


@settings(max_examples=25, deadline=None)
@given(st.lists(st.floats(1.0, 1e7), min_size=12, max_size=14))
def test_costs_are_positive_whatever_the_latencies(latencies: list[float]) -> None:
    nets = [NetWork(n, us, w) for us, (n, w) in zip(latencies, NETS, strict=False)]
    fit = fit_costs(nets, general_prior(KINDS))
    assert all(0 < cost < math.inf for cost in fit.costs.values())
    assert all(low < fit.costs[kind] < high for kind in KINDS for low, high in [fit.cost_interval(kind)])


def test_two_nets_scale_another_devices_costs() -> None:
    start = device(1)
    slower = {kind: cost * (4 if kind == "depthwise_k5" else 2) for kind, cost in start.items()}
    fit = fit_costs(nets_of(slower, count=2), device_prior(start, 0.3))
    assert max(abs(net.error) for net in fit.nets) < 0.02
    assert fit.layer_scatter == 0.3
    assert 1.2 < fit.costs["pointwise"] / start["pointwise"] < 4
