"""Costs found again on a device that follows the model, positive whatever the nets say."""

from __future__ import annotations

import math
import random
from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lutbench.lut.cost_fit import PieceLatency, fit_costs
from lutbench.lut.cost_problem import USUAL_WIDTHS, NetWork, device_prior, general_prior
from lutbench.lut.costs import OVERHEAD, PRIOR_US, WEIGHTS
from lutbench.lut.pieces import Piece, net_pieces, operator_piece
from lutbench.space.fbnet import fbnet
from lutbench.space.operator import OVERHEAD as EMPTY_GRAPH
from lutbench.space.sampling import random_nets

KINDS = tuple(kind for kind in PRIOR_US if kind != "depthwise_other")
SPACE = fbnet(96, 0.35)
NETS = [(net.name, net_pieces(net, "int8")) for net in random_nets(SPACE, 460, 1, "costs")]
PIECES = [operator_piece(op, "int8") for op in SPACE.operators if op.is_measured and op != EMPTY_GRAPH]


def piece_us(costs: dict[str, float], piece: Piece) -> float:
    return sum(costs[kind] * amount for layer in piece.layers for kind, amount in layer.work)


def nets_of(
    costs: dict[str, float], noise: float = 0.0, count: int = 30, factors: dict[str, float] | None = None
) -> list[NetWork]:
    """Nets of a device with these costs, each piece's times its factor."""
    rng = random.Random(0)
    found = []
    for name, pieces in NETS[:count]:
        own_us = sum((factors or {}).get(piece.name, 1.0) * piece_us(costs, piece) for piece in pieces)
        found.append(NetWork(name, (costs[OVERHEAD] + own_us) * (1 + noise * rng.gauss(0, 1)), pieces))
    return found


def device(seed: int) -> dict[str, float]:
    rng = random.Random(seed)
    return {kind: 3 * PRIOR_US[kind] * math.exp(rng.gauss(0, 0.5)) for kind in KINDS}


def deviations(seed: int, spread: float) -> dict[str, float]:
    rng = random.Random(seed)
    return {piece.name: math.exp(rng.gauss(0, spread) - spread**2 / 2) for piece in PIECES}  # 1 on average


@pytest.mark.parametrize("seed", range(5))
def test_left_out_nets_of_an_additive_device_are_met(seed: int) -> None:
    fit = fit_costs(nets_of(device(seed)), general_prior(KINDS))
    assert fit.left_out_mean_error < 0.02
    noisy = fit_costs(nets_of(device(seed), noise=0.05), general_prior(KINDS))
    assert noisy.left_out_mean_error < 0.08
    assert noisy.widths.nets > fit.widths.nets


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
    fit = fit_costs(nets_of(slower, count=2), device_prior(start, USUAL_WIDTHS))
    assert max(abs(net.error) for net in fit.nets) < 0.02
    assert fit.widths == USUAL_WIDTHS
    assert 1.2 < fit.costs["pointwise"] / start["pointwise"] < 4


def test_with_many_nets_every_operator_has_a_latency_of_its_own() -> None:
    """From 400 nets unseen ones are met as an additive table meets them, whatever the operators deviate by."""
    truth, factors = device(2), deviations(3, 0.4)
    nets = nets_of(truth, 0.005, 460, factors)
    fit = fit_costs(nets[:400], general_prior(KINDS))
    found = {piece: us.latency_us for piece, us in zip(PIECES, fit.latencies(PIECES), strict=True)}
    errors = [(fit.costs[OVERHEAD] + sum(found[p] for p in net.pieces)) / net.latency_us - 1 for net in nets[400:]]
    assert float(np.mean(np.abs(errors))) < 1.1 * additive_error(nets[:400], nets[400:])


def additive_error(nets: list[NetWork], unseen: list[NetWork]) -> float:
    """Mean error on unseen nets of the best additive table: relative least squares, ridge chosen on the unseen nets."""
    number = {piece: column for column, piece in enumerate(PIECES)}

    def matrix(nets: list[NetWork]) -> np.ndarray:  # type: ignore[type-arg]
        found = np.zeros((len(nets), len(PIECES) + 1))
        found[:, -1] = 1
        for row, net in enumerate(nets):
            np.add.at(found[row], [number[piece] for piece in net.pieces], 1)
        return found / np.array([net.latency_us for net in nets])[:, None]

    seen, other = matrix(nets), matrix(unseen)
    best = math.inf
    for ridge in (1e-10, 1e-9, 1e-8, 1e-7, 1e-6):
        us = np.linalg.solve(seen.T @ seen + ridge * np.eye(seen.shape[1]), seen.sum(0))
        best = min(best, float(np.mean(np.abs(other @ us - 1))))
    return best


def fitted_pieces(count: int) -> Iterator[tuple[dict[str, float], Piece, float, PieceLatency]]:
    """Costs, a piece, its factor and what is fitted to so many nets, for every piece on four devices."""
    for seed in range(4):
        truth, factors = device(seed), deviations(seed, 0.3)
        fit = fit_costs(nets_of(truth, 0.01, count, factors), general_prior(KINDS))
        for piece, found in zip(PIECES, fit.latencies(PIECES), strict=True):
            yield truth, piece, factors[piece.name], found


@pytest.mark.parametrize(("count", "least"), [(30, 0.8), (100, 0.9), (400, 0.87)])
def test_intervals_of_operators_hold_the_truth(count: int, least: float) -> None:
    """From few nets the width of the deviations is itself uncertain, which the intervals do not know."""
    held = []
    for truth, piece, factor, found in fitted_pieces(count):
        us = factor * piece_us(truth, piece)
        held.append(found.latency_us / found.factor <= us <= found.latency_us * found.factor)
    assert least <= sum(held) / len(held) <= 0.99


def test_single_operators_pull_their_own_and_those_that_are_alike() -> None:
    truth = device(4)
    stem = next(piece for piece in PIECES if piece.name.startswith("stem"))
    known_us = 3 * piece_us(truth, stem)
    nets = nets_of(truth, 0.01, 14, {stem.name: 3.0})
    plain, told = (fit_costs(nets, general_prior(KINDS), rows) for rows in ((), [(stem, known_us)]))
    before, after = (fit.latencies([stem])[0] for fit in (plain, told))
    assert abs(math.log(after.latency_us / known_us)) < 0.1 < abs(math.log(before.latency_us / known_us))
    assert after.spread < before.spread


def alone_us(costs: dict[str, float], piece: Piece, share_us: float, weights: float) -> float:
    """What is left of a piece's share of a net where it is timed alone: without so much of its weights' cost."""
    return share_us * 0.93 - weights * piece_us({kind: costs[kind] * (kind == WEIGHTS) for kind in KINDS}, piece)


@pytest.mark.parametrize(("count", "least"), [(12, 0.9), (30, 0.93), (100, 0.93), (300, 0.93)])
def test_intervals_hold_what_is_measured_alone(count: int, least: float) -> None:
    """Alone, weights lie in the caches: the classifier takes a fifth of its share. Nets cannot tell that."""
    held = []
    for truth, piece, factor, found in fitted_pieces(count):
        us = factor * piece_us(truth, piece)
        held.append(found.low_us <= alone_us(truth, piece, us, 0.6 * factor) <= found.high_us)
        assert found.low_us < found.latency_us < found.high_us
    assert sum(held) / len(held) >= least


def test_what_no_net_can_tell_is_within_the_intervals() -> None:
    """Every net runs the stem and one candidate of a layer that has no identity: a time moved from one to the other."""
    truth = device(1)
    layer = next(layer for layer in SPACE.layers if all(layer.operator(c).is_measured for c in layer.candidates))
    moved_from = [operator_piece(layer.operator(candidate), "int8") for candidate in layer.candidates]
    stem = next(piece for piece in PIECES if piece.name.startswith("stem"))
    least_us = min(piece_us(truth, piece) for piece in moved_from)
    factors = {piece.name: 1 - 0.5 * least_us / piece_us(truth, piece) for piece in moved_from}
    factors[stem.name] = 1 + 0.5 * least_us / piece_us(truth, stem)
    fit = fit_costs(nets_of(truth, 0.005, 300, factors), general_prior(KINDS))
    found = dict(zip(moved_from, fit.latencies(moved_from), strict=True))
    held = [
        us.latency_us / us.factor <= factors[piece.name] * piece_us(truth, piece) <= us.latency_us * us.factor
        for piece, us in found.items()
    ]
    assert sum(held) >= len(held) - 1
