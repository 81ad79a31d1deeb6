from __future__ import annotations

import math
import random
from statistics import median, pstdev

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lutbench.measure.statistics import median_ranks, quantile, robust_mean, summarize


@pytest.mark.parametrize("count", range(1, 6))
def test_too_few_values_have_no_interval(count: int) -> None:
    assert median_ranks(count) is None


@pytest.mark.parametrize("count", [6, 7, 12, 24, 25, 100, 150])
def test_ranks_enclose_the_median_with_95_percent_and_no_more_than_needed(count: int) -> None:
    """Coverage of [x_(low), x_(high)] is 1 - 2 P(Binomial(count, 1/2) <= low)."""
    ranks = median_ranks(count)
    assert ranks is not None
    low, high = ranks
    assert high == count - 1 - low
    assert 1 - 2 * binomial(low, count) >= 0.95
    assert 1 - 2 * binomial(low + 1, count) < 0.95


def binomial(most: int, count: int) -> float:
    """How likely at most so many of a number of tossed coins show heads."""
    return sum(math.comb(count, heads) for heads in range(most + 1)) / 2**count


def test_interval_covers_the_true_median_as_often_as_it_says() -> None:
    rng = random.Random(1)
    hits = 0
    for _ in range(1000):
        summary = summarize([[round(1e6 * rng.lognormvariate(0, 0.3))] for _ in range(24)])
        hits += summary.ci_low_us <= 1000.0 <= summary.ci_high_us
    assert hits >= 930


def test_summary_of_known_samples() -> None:
    rounds = [[1000 * value, 1000 * value, 9000 * value] for value in range(1, 8)]
    summary = summarize(rounds)
    assert summary.latency_us == 4.0
    assert (summary.ci_low_us, summary.ci_high_us) == (1.0, 7.0)
    assert summary.min_us == 1.0
    assert (summary.samples, summary.rounds) == (21, 7)
    assert summary.half_width == pytest.approx(0.75)


def test_one_disturbed_round_does_not_move_the_median_much() -> None:
    rounds = [[1000]] * 20 + [[50_000]]
    assert summarize(rounds).latency_us == 1.0


def test_few_rounds_have_an_unbounded_interval_not_a_guess() -> None:
    assert summarize([[1000], [1001]]).half_width == float("inf")


@given(st.lists(st.lists(st.integers(1, 10**9), min_size=1, max_size=5), min_size=1, max_size=30))
def test_figures_are_in_order(rounds: list[list[int]]) -> None:
    summary = summarize(rounds)
    assert summary.ci_low_us <= summary.latency_us <= summary.ci_high_us
    assert summary.min_us <= summary.p10_us <= summary.p90_us
    assert summary.latency_us == median([median(samples) for samples in rounds]) / 1000


@given(st.lists(st.floats(-1e6, 1e6), min_size=1), st.floats(0, 1))
def test_quantile_lies_within_the_values(values: list[float], share: float) -> None:
    ordered = sorted(values)
    assert ordered[0] <= quantile(ordered, share) <= ordered[-1] or quantile(ordered, share) == pytest.approx(
        ordered[0]
    )


def test_a_robust_mean_is_the_mean_of_usual_values_and_not_moved_by_others() -> None:
    rng = random.Random(0)
    found, medians = [], []
    for _ in range(400):
        values = [math.exp(rng.gauss(0, 0.02)) for _ in range(40)]
        found.append(math.log(robust_mean(values)))
        medians.append(math.log(median(values)))
    assert pstdev(found) < 0.9 * pstdev(medians)  # of the noise that a median has, a mean has 80 %
    values = [99.0, 100.0, 101.0, 100.5, 99.5]
    assert robust_mean(values) == pytest.approx(100, rel=1e-4)
    assert robust_mean([*values, 250.0]) == pytest.approx(100, rel=0.006)


@given(st.lists(st.floats(min_value=1e-3, max_value=1e9), min_size=1, max_size=50))
def test_a_robust_mean_lies_within_the_values(values: list[float]) -> None:
    assert min(values) * (1 - 1e-9) <= robust_mean(values) <= max(values) * (1 + 1e-9)


def test_values_that_are_mostly_the_same_are_their_mean_and_none_have_none() -> None:
    assert robust_mean([3.0, 3.0, 3.0, 8.0]) == pytest.approx(3)
    assert robust_mean([5.0]) == pytest.approx(5)
    with pytest.raises(ValueError, match="no value"):
        robust_mean([])
