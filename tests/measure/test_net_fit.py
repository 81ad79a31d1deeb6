"""What nets of blocked layouts ask for: few terms or all of them, told by the nets themselves."""

from __future__ import annotations

import random
from statistics import fmean

import pytest

from lutbench.jobs.tuning import draw_tuning_nets
from lutbench.measure.in_net import KEPT, InNet, fitted_terms, term_sets
from lutbench.measure.net_fit import NetMeasurement, Problem, left_out_errors, problem_of, solve
from lutbench.space.fbnet import fbnet
from lutbench.space.net import Net
from lutbench.space.operator import OVERHEAD
from lutbench.space.sampling import random_nets

SPACE = fbnet(224, 1.0)
ROWS = {op.name: 5 + op.macs / 1e5 + op.touched / 3e3 for op in SPACE.operators if op.is_measured}
ROWS[OVERHEAD.name] = 2.0
BLOCK = 16
FEW = InNet(1.05, -3.0, {KEPT: -80.0, "macs": 0.5}, block_channels=BLOCK)
ALL = InNet(
    1.05,
    -3.0,
    {KEPT: -80.0, "macs": 0.5, "weights": 900.0, "inputs_outputs": -90.0, "grouped": 120.0, "residual": -150.0},
    block_channels=BLOCK,
)
TUNING = draw_tuning_nets((SPACE,), 0)
JUDGED = random_nets(SPACE, 40, 0, "judged", varied=True)


def problem(nets: tuple[Net, ...], truth: InNet, noise: float = 0.01) -> Problem:
    rng, measured = random.Random(7), []
    for net in nets:
        names = tuple(op.name for op in net.operators if op.is_measured)
        us = truth.net_us([(name, ROWS[name]) for name in names], ROWS[OVERHEAD.name])
        measured.append(NetMeasurement(net.key, names, us * (1 + rng.gauss(0, noise))))
    return problem_of(measured, ROWS, ROWS[OVERHEAD.name], BLOCK)


def error(truth: InNet) -> float:
    """Mean of unseen nets, timed without noise, under the fit to the tuning nets."""
    judged, found = problem(JUDGED, truth, 0.0), solve(problem(TUNING, truth))
    return fmean(map(abs, judged.columns @ found.unknowns - judged.targets))


def test_nets_that_ask_for_few_terms_and_nets_that_ask_for_all_are_each_told() -> None:
    few, every = solve(problem(TUNING, FEW)), solve(problem(TUNING, ALL))
    assert [len(fit.places) for fit in few.fits] == [4, 8]
    assert few.weights[0] > 0.5 and every.weights[1] > 0.99
    assert sum(few.weights) == pytest.approx(1)
    assert error(FEW) < 0.008 and error(ALL) < 0.008


def test_what_is_averaged_is_the_fits_by_their_weights() -> None:
    found = solve(problem(TUNING, FEW))
    few, every = found.fits
    assert found.unknowns[2] == pytest.approx(found.weights[0] * few.unknowns[2] + found.weights[1] * every.unknowns[2])
    only_in_all = 2 + fitted_terms(BLOCK).index("residual")
    assert found.unknowns[only_in_all] == pytest.approx(found.weights[1] * every.unknowns[only_in_all])
    assert set(found.in_net.terms) == set(fitted_terms(BLOCK))
    narrowest = min(fit.covariance[0, 0] for fit in found.fits)
    assert found.scale_spread >= narrowest**0.5


def test_without_blocks_there_is_one_set_of_terms() -> None:
    assert term_sets(0) == (fitted_terms(0),)
    assert set(term_sets(BLOCK)[0]) < set(term_sets(BLOCK)[1]) == set(fitted_terms(BLOCK))


def test_left_out_errors_are_of_nets_that_were_not_in_the_fit() -> None:
    tuned = problem(TUNING, ALL)
    found = solve(tuned)
    inside = tuned.columns @ found.unknowns - tuned.targets
    outside = left_out_errors(tuned, found)
    assert fmean(map(abs, outside)) > fmean(map(abs, inside))
    odd = problem(TUNING, ALL)
    odd.targets[3] += 0.5  # a net that is half as slow again is far from what the others say of it
    assert max(map(abs, left_out_errors(odd, solve(odd)))) == pytest.approx(0.5, abs=0.05)
