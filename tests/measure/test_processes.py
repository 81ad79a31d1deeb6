from __future__ import annotations

import random
from statistics import fmean

import pytest

from lutbench.measure.processes import (
    common_variance,
    half_width,
    halves_us,
    process_medians,
    widened,
)
from lutbench.measure.statistics import summarize

STARTS = [0, 4, 8]


def run(rng: random.Random, between: float, within: float, us: float = 100.0) -> dict[int, float]:
    """12 rounds in three processes, each of which has a place in memory of its own."""
    places = [rng.gauss(0, between) for _ in STARTS]
    return {number: us * (1 + places[number // 4] + rng.gauss(0, within)) for number in range(12)}


def test_rounds_go_to_the_process_that_they_were_measured_in() -> None:
    found = process_medians({0: 1.0, 3: 1.0, 4: 2.0, 5: 2.0, 7: 2.0, 8: 9.0}, STARTS)
    assert found.logs == pytest.approx((0.0, 0.6931), abs=1e-4)  # one round of the third process says nothing


@pytest.mark.parametrize(("between", "within"), [(0.0, 0.005), (0.01, 0.002), (0.01, 0.01)])
def test_intervals_hold_what_other_runs_measure(between: float, within: float) -> None:
    """Of 40 runs of 100 operators, 95 % of the true latencies; one process's interval would hold a few of them."""
    rng = random.Random(3)
    held = []
    for _ in range(40):
        medians = [process_medians(run(rng, between, within), STARTS) for _ in range(100)]
        common = common_variance(medians)
        held += [
            abs(fmean(one.logs) - 4.60517) <= half_width(one, common) for one in medians
        ]  # the logarithm of 100 us
    assert 0.92 <= fmean(held) <= 0.985


def test_one_process_says_nothing_of_others() -> None:
    alone = process_medians({0: 1.0, 1: 1.1}, [0])
    assert half_width(alone, common_variance([alone, alone])) == 0.0


def test_a_single_net_has_its_own_spread_alone() -> None:
    net = process_medians(run(random.Random(0), 0.01, 0.0), STARTS)
    assert common_variance([net]).freedom == 0
    assert half_width(net, common_variance([net])) > 0.01


def test_an_interval_is_never_made_narrower() -> None:
    summary = summarize([[100_000], [101_000], [99_000], [100_500], [99_500], [100_000]])
    assert widened(summary, 0.0) == summary
    wide = widened(summary, 0.1)
    assert (wide.ci_low_us, wide.ci_high_us) == (pytest.approx(90.0), pytest.approx(110.0))


def test_halves_are_of_different_processes_where_there_are_several() -> None:
    rounds_us = {number: 1.0 if number < 4 or number >= 8 else 2.0 for number in range(12)}
    assert sorted(halves_us(rounds_us, STARTS) or ()) == [1.0, 2.0]
    assert halves_us({0: 1.0, 1: 2.0}, [0]) == (1.0, 2.0)
    assert halves_us({0: 1.0}, STARTS) is None
