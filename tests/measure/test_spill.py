"""What large nets pay for weights that no cache keeps: a price, a size, and that nets tell both."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lutbench.measure.in_net import COLDER, WEIGHTS, InNet, Setting, weights_of
from lutbench.measure.net_fit import NetMeasurement, left_out_errors, problem_of, solve
from lutbench.measure.spill import Spill
from lutbench.measure.warmth import Warmth
from tests.measure import timed_nets
from tests.measure.test_in_net import SPACE, rows_us
from tests.measure.timed_nets import OVERHEAD_US, mean_error

FP32 = Setting(dtype="fp32", runtime="executorch")
spills = st.builds(Spill, st.floats(0, 1e4), st.floats(0, 1e3))
timed_spills = st.builds(Spill, st.floats(0, 1e4), st.floats(0, 1e3), st.floats(0, 10))


def timed(truth: InNet, count: int, seed: int, noise: float) -> list[NetMeasurement]:
    return timed_nets.timed(SPACE, truth, rows_us(), count, seed, purpose="spilling", noise=noise)


def usual_spill(price: float, quantile: float, is_time_counted: bool) -> Spill:
    """Nets pay that are larger than this share of them, by weights, or by weights and time alike."""
    nets, rows = timed(InNet(), 100, 9, 0.0), rows_us()
    weights = np.array([weights_of(net.operators) for net in nets])
    work_ms = np.array([sum(rows[name] - OVERHEAD_US for name in net.operators) for net in nets]) / 1000
    per_ms = float(np.median(weights) / np.median(work_ms)) if is_time_counted else 0.0
    return Spill(price, float(np.quantile(weights + per_ms * work_ms, quantile)), per_ms)


@given(spills, st.floats(0, 1e3), st.floats(0, 1e3))
def test_only_weights_beyond_the_size_are_paid_for(spill: Spill, one: float, other: float) -> None:
    few, many = sorted((one, other))
    assert 0 <= spill.us(few) <= spill.us(many) <= spill.us_per_million * many
    assert spill.us(spill.beyond) == 0
    assert spill.times(2.0).us(many) == pytest.approx(2 * spill.us(many))


@given(timed_spills, st.floats(0, 1e3), st.floats(0, 1e6))
def test_a_millisecond_counts_as_so_many_weights(spill: Spill, weights: float, work_us: float) -> None:
    more = weights + spill.million_per_ms * work_us / 1000
    assert spill.us(weights, work_us) == Spill(spill.us_per_million, spill.beyond).us(more)
    assert spill.us(weights, work_us) >= spill.us(weights)


@pytest.mark.parametrize(
    ("price", "beyond", "per_ms"),
    [(-1.0, 2.0, 0.0), (1.0, -2.0, 0.0), (1.0, 2.0, -1.0), (float("nan"), 2.0, 0.0), (1.0, float("inf"), 0.0)],
)
def test_what_is_no_spill(price: float, beyond: float, per_ms: float) -> None:
    with pytest.raises(ValueError, match="no net pays"):
        Spill(price, beyond, per_ms)


@pytest.mark.parametrize("warmth", [Warmth(), Warmth(0.5, 3000.0)])
@pytest.mark.parametrize("terms", [{}, {WEIGHTS: 20.0, COLDER: 1.5, "alike": -5.0}])
@pytest.mark.parametrize("is_time_counted", [False, True])
def test_a_net_takes_the_largest_of_the_sums(warmth: Warmth, terms: dict[str, float], is_time_counted: bool) -> None:
    rows = rows_us()
    fit = InNet(1.1, 2.0, terms, warmth=warmth, spill=usual_spill(300.0, 0.5, is_time_counted))
    larger = 0
    for net in timed(InNet(), 50, 3, 0.0):
        named = [(name, rows[name]) for name in net.operators]
        (plain, none_us), (of_all, added_us) = fit.sums
        assert none_us == 0 and not plain.spill and not of_all.spill
        of_each = [plain.net_us(named, OVERHEAD_US), of_all_us(of_all, added_us, named)]
        assert fit.net_us(named, OVERHEAD_US) == pytest.approx(max(of_each), rel=1e-12)
        larger += of_each[1] > of_each[0]
    assert 10 < larger < 40


def of_all_us(fit: InNet, added_us: float, named: list[tuple[str, float]]) -> float:
    """What is added counts with the sum that warmth is of."""
    sum_us = replace(fit, warmth=Warmth()).net_us(named, OVERHEAD_US) - OVERHEAD_US
    return OVERHEAD_US + fit.warmth.net_us(sum_us + added_us)


@pytest.mark.parametrize("is_time_counted", [False, True])
@pytest.mark.parametrize("quantile", [0.5, 0.75])
def test_nets_tell_what_large_ones_pay_and_from_which_size(quantile: float, is_time_counted: bool) -> None:
    rows = rows_us()
    truth = InNet(1.1, 1.0, spill=usual_spill(800.0, quantile, is_time_counted))
    nets, unseen = timed(truth, 32, 1, 0.004), timed(truth, 200, 2, 0.0)
    found = solve(problem_of(nets, rows, OVERHEAD_US, FP32, {}))
    assert found.in_net.spill.us_per_million == pytest.approx(800, rel=0.35)
    assert found.in_net.spill.beyond == pytest.approx(truth.spill.beyond, rel=0.15)
    assert found.in_net.spill.million_per_ms == pytest.approx(truth.spill.million_per_ms, rel=0.15)
    without = mean_error(replace(found.in_net, spill=Spill()), rows, unseen)
    assert mean_error(found.in_net, rows, unseen) < min(0.008, without / 2)
    # what each net is said to be off is what the fit says of it
    errors = [float(e) for e in found.problem.columns @ found.unknowns - found.problem.targets]
    predicted = [found.in_net.net_us([(name, rows[name]) for name in net.operators], OVERHEAD_US) for net in nets]
    said = [us / net.latency_us - 1 for us, net in zip(predicted, nets, strict=True)]
    assert errors == pytest.approx(said, abs=0.002)
    assert max(map(abs, left_out_errors(found))) < 0.05


def test_where_no_net_pays_it_costs_nothing() -> None:
    rows, truth = rows_us(), InNet(1.1, 1.0)
    unseen = timed(truth, 100, 1, 0.0)
    fits = [solve(problem_of(timed(truth, 32, seed, 0.01), rows, OVERHEAD_US, FP32, {})).in_net for seed in range(4, 8)]
    assert sum(bool(fit.spill) for fit in fits) <= 1
    assert sum(mean_error(fit, rows, unseen) for fit in fits) / len(fits) < 0.008


def test_nets_whose_weights_are_not_known_pay_nothing() -> None:
    rows = {"of_a_table": 10.0, "another": 30.0}
    nets = [NetMeasurement(str(n), ("of_a_table",) * n + ("another",) * (9 - n), 300.0 - 20 * n) for n in range(1, 9)]
    assert not solve(problem_of(nets, rows, 0.0, FP32, {})).in_net.spill
