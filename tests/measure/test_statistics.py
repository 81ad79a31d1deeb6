from __future__ import annotations

import math
import random
from statistics import median

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lutbench.measure.statistics import median_ranks, quantile, summarize


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
