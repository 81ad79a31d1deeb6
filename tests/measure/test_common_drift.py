from __future__ import annotations

import random
from statistics import median

import pytest

from lutbench.measure.common_drift import every_round_us, summary_of, usual_rounds_us, without_common_drift
from lutbench.measure.measurements import Measurements
from lutbench.measure.protocol import Canary, Samples

QUIET_NS, SLOW_NS = 50_000, 80_000  # readings of the canary


def test_what_all_nets_of_a_round_have_in_common_is_taken_out() -> None:
    factors = {0: 1.0, 1: 1.2, 2: 0.9, 3: 1.0, 4: 1.05}
    rounds = {f"net{n}": {r: (100.0 + n) * factor for r, factor in factors.items()} for n in range(10)}
    found = without_common_drift(rounds)
    for n in range(10):
        assert found[f"net{n}"] == pytest.approx(dict.fromkeys(factors, 100.0 + n))


def test_rounds_of_few_nets_are_left_alone() -> None:
    assert without_common_drift({"a": {0: 1.0, 1: 2.0, 2: 3.0}}) == {"a": {0: 1.0, 1: 2.0, 2: 3.0}}


def test_what_was_done_in_fast_rounds_and_what_was_not_are_comparable() -> None:
    """The machine is 20 % slower from round 6 on, when two thirds of the operators are done."""
    rounds = {
        f"op{n}": {r: (100.0 + n) * (1.2 if r >= 6 else 1.0) for r in range(6 if n < 20 else 18)} for n in range(30)
    }
    found = without_common_drift(rounds)
    early, late = median(found["op0"].values()), median(found["op29"].values())
    assert late / early == pytest.approx(1.29, rel=1e-3)


def measured(slow_from: int, slower: dict[str, float], rounds: int = 12) -> Measurements:
    """Ten operators of 100 to 109 us; from a round on, their canary is disturbed and each is so many times slower."""
    data = Measurements([Canary("small", "conv", 1, 0.1)])
    for number in range(rounds):
        is_slow = number >= slow_from
        for n in range(10):
            name = f"op{n}"
            us = (100 + n) * (slower.get(name, 1.1) if is_slow else 1.0)
            samples = (round(1e3 * us), round(1e3 * us), round(1.1e3 * us))
            data.add(number, Samples(name, 0, "small", samples, (SLOW_NS if is_slow else QUIET_NS,) * 3))
        data.end(number)
    return data


def test_all_rounds_have_a_say_at_the_level_of_the_quiet_ones() -> None:
    data = measured(6, {"op3": 1.2})
    found = every_round_us(data, [*(f"op{n}" for n in range(10)), "never timed"], 0)
    assert sorted(found) == [f"op{n}" for n in range(10)]
    assert len(found["op0"]) == 12 and len(data.round_medians_us("op0", 0)) == 6
    for n in (0, 9):
        assert median(found[f"op{n}"].values()) == pytest.approx(100 + n, rel=1e-3)
    assert max(found["op3"].values()) == pytest.approx(103 * 1.2 / 1.1, rel=1e-3)


def test_where_too_few_rounds_are_quiet_the_level_is_that_of_all() -> None:
    found = every_round_us(measured(3, {}), [f"op{n}" for n in range(10)], 0)
    assert median(found["op9"].values()) / median(found["op0"].values()) == pytest.approx(1.09, rel=1e-3)
    assert median(found["op0"].values()) == pytest.approx(110, rel=0.05)


def test_samples_move_with_their_round() -> None:
    data = measured(6, {})
    rounds_us = every_round_us(data, [f"op{n}" for n in range(10)], 0)["op0"]
    summary = summary_of(data, "op0", 0, rounds_us)
    assert summary.latency_us == pytest.approx(100, rel=1e-3)
    assert (summary.rounds, summary.samples) == (12, 36)
    assert (summary.min_us, summary.p90_us) == pytest.approx((100, 110), rel=1e-3)
    assert summary.half_width < 0.001


def test_disturbed_rounds_have_a_say_unless_a_workload_was_slowed_by_itself() -> None:
    """Six rounds count; in the twelve others all are 1.5 times as slow, and in three of them op3 twice that."""
    rng = random.Random(0)
    data = Measurements([Canary("nets", "classifier", 1, 0.1)])
    for number in range(18):
        is_slow = number >= 6
        for n in range(10):
            alone = 2 if n == 3 and number in (7, 9, 11) else 1
            us = (100 + n) * rng.gauss(1, 0.01) * (1.5 if is_slow else 1) * alone
            data.add(number, Samples(f"op{n}", 0, "nets", (round(1e3 * us),), (SLOW_NS if is_slow else QUIET_NS,)))
        data.end(number)
    found = usual_rounds_us(data, [*(f"op{n}" for n in range(10)), "never timed"])
    assert sorted(found) == [f"op{n}" for n in range(10)]
    assert not {7, 9, 11} & found["op3"].keys() and {0, 8, 10} <= found["op3"].keys()
    assert sum(map(len, found.values())) > 0.95 * (10 * 18 - 3)
    for n in range(10):
        assert median(found[f"op{n}"].values()) == pytest.approx(100 + n, rel=0.02)


def test_rounds_that_count_say_how_fast_a_workload_is_where_others_agree_on_nothing() -> None:
    """In the rounds that do not count half of the workloads are slow."""
    data = measured(6, {f"op{n}": 1.4 if n % 2 else 1.0 for n in range(10)})
    found = usual_rounds_us(data, [f"op{n}" for n in range(10)])
    for n in range(10):
        assert min(found[f"op{n}"]) == 0 and max(found[f"op{n}"].values()) == pytest.approx(100 + n, rel=1e-3)


def test_a_workload_without_a_round_that_counts_is_not_among_them() -> None:
    assert usual_rounds_us(measured(0, {"op3": 1.2}), ["op3"])["op3"]  # the canary's fast state is what there was
    data = measured(6, {})
    data.add(12, Samples("late", 0, "small", (100_000,), (SLOW_NS,)))
    data.end(12)
    assert list(usual_rounds_us(data, ["late", "op0"])) == ["op0"]
