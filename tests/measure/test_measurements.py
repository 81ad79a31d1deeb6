from __future__ import annotations

from collections.abc import Collection

import pytest

from lutbench.measure.measurements import Measurements
from lutbench.measure.protocol import Canary, Samples

CANARIES = (Canary("canary", "canary", 1, 0.04), Canary("memory", "memory", 1, 0.10))


def filled(slow: set[int], rounds: int = 20) -> Measurements:
    """An operator of 100 us and a canary of 50 us; in slow rounds both take 1.3 times that."""
    data = Measurements(CANARIES)
    for number in range(rounds):
        factor = 1.3 if number in slow else 1.0
        data.add(
            number,
            Samples("op", 0, "canary", tuple([round(100_000 * factor)] * 3), tuple([round(50_000 * factor)] * 3)),
        )
        data.end(number)
    return data


def test_samples_beside_a_slow_canary_do_not_count() -> None:
    data = filled(slow={1, 5, 6, 7, 12, 13, 14, 15, 16, 17, 18})
    summary = data.summary("op", 0)
    assert summary is not None
    assert (summary.latency_us, summary.rounds) == (100.0, 9)
    assert data.disturbed_share == pytest.approx(11 / 20)
    assert data.visits("op", 0) == 20


def test_a_machine_that_is_always_slow_is_measured_as_it_is() -> None:
    data = filled(slow=set(range(20)))
    summary = data.summary("op", 0)
    assert summary is not None
    assert (summary.latency_us, summary.rounds) == (130.0, 20)


def test_where_too_few_rounds_count_all_do() -> None:
    data = filled(slow=set())
    for number in range(20, 30):
        data.add(number, Samples("late", 0, "canary", (100_000 + number,), (90_000,)))
        data.end(number)
    assert data.summary("late", 0) is None
    summary = data.best_summary("late", 0)
    assert summary is not None and (summary.rounds, summary.min_us) == (10, 100.02)
    assert data.best_summary("op", 0) == data.summary("op", 0)


def test_rounds_of_which_hardly_one_counts_do_not_speak_for_the_others() -> None:
    data = filled(slow=set())
    for number in range(20, 60):
        quiet = number < 20 + 13  # of 40 rounds: one less than a third
        data.add(
            number, Samples("seldom", 0, "canary", (80_000 if quiet else 100_000,), (50_000 if quiet else 90_000,))
        )
        data.end(number)
    few = data.summary("seldom", 0)
    assert few is not None and (few.latency_us, few.rounds) == (80.0, 13)
    assert data.is_mostly_disturbed("seldom", 0)
    best = data.best_summary("seldom", 0)
    assert best is not None and (best.latency_us, best.rounds) == (100.0, 40)
    assert len(data.best_round_medians_us("seldom", 0)) == 40
    data.add(60, Samples("seldom", 0, "canary", (80_000,), (50_000,)))
    data.end(60)
    assert not data.is_mostly_disturbed("seldom", 0)
    assert data.best_summary("seldom", 0) == data.summary("seldom", 0)
    assert set(data.best_round_medians_us("seldom", 0).values()) == {80.0}


def test_a_few_quiet_rounds_are_what_it_takes_where_the_others_are_far_slower() -> None:
    data = filled(slow=set())
    for number in range(20, 60):
        quiet = number < 20 + 8
        data.add(
            number, Samples("shared", 0, "canary", (80_000 if quiet else 190_000,), (50_000 if quiet else 90_000,))
        )
        data.end(number)
    assert data.is_mostly_disturbed("shared", 0)
    best = data.best_summary("shared", 0)
    assert best is not None and (best.latency_us, best.rounds) == (80.0, 8)
    assert set(data.best_round_medians_us("shared", 0).values()) == {80.0}


def test_a_round_counts_with_a_third_of_its_samples() -> None:
    data = filled(slow=set())
    data.add(20, Samples("half", 0, "canary", (10, 20, 30), (50_000, 90_000, 90_000)))
    data.add(20, Samples("none", 0, "canary", (10, 20, 30, 40), (50_000, 90_000, 90_000, 90_000)))
    data.end(20)
    assert data.quiet_rounds_ns("half", 0) == {20: [10]}
    assert data.quiet_rounds_ns("none", 0) == {}
    assert data.summary("none", 0) is None


def test_depths_are_kept_apart() -> None:
    data = filled(slow=set())
    data.add(20, Samples("op", 3, "canary", (200_000,), (50_000,)))
    data.end(20)
    deep, shallow = data.summary("op", 3), data.summary("op", 0)
    assert deep and shallow and (deep.latency_us, shallow.latency_us) == (200.0, 100.0)


def test_the_round_that_was_cut_off_is_the_one_to_measure() -> None:
    data = Measurements(CANARIES)
    assert data.current_round == 0
    data.add(0, Samples("op", 0, "canary", (1,), (1,)))
    assert data.current_round == 0
    data.end(0)
    assert data.current_round == 1
    data.end(1)  # in which nothing was due
    assert data.current_round == 2


def test_canary_drift_compares_last_with_first_third() -> None:
    data = Measurements(CANARIES)
    for number in range(9):
        data.add(number, Samples("op", 0, "canary", (100,), (1000 + 10 * number,)))
        data.end(number)
    assert data.canary_drift("canary") == pytest.approx(1064 / 1004 - 1, abs=2e-3)


def test_each_canary_has_its_own_reference_and_limit() -> None:
    data = Measurements(CANARIES)
    for number in range(10):
        data.add(number, Samples("op", 0, "canary", (100,), (1000,)))
        data.add(number, Samples("net", 0, "memory", (9000,), (3000 + 50 * number,)))
        data.end(number)
    assert [canary.quiet_below_ns for canary in data.canaries] == [1040, 3399]
    assert (data.canary_reference_us("canary"), data.canary_reference_us("memory")) == (1.0, pytest.approx(3.09))
    assert data.rounds("op", 0) == 10
    assert data.rounds("net", 0) == 8
    assert data.disturbed_share == pytest.approx(2 / 20)


def test_a_canary_s_usual_state_is_that_of_a_usual_round_and_not_of_the_fastest_ones() -> None:
    data = Measurements(CANARIES)
    assert data.canary_usual_us("canary") == 0.0
    for number, ns in enumerate([800, 810, 1000, 1010, 1020, 1030, 1040]):
        slow = () if number % 2 else (5 * ns, 6 * ns)
        data.add(number, Samples("op", 0, "canary", (100,) * (6 + len(slow)), (*(ns,) * 6, *slow)))
        data.end(number)
    assert data.canary_usual_us("canary") == pytest.approx(1.010)
    assert data.canary_reference_us("canary") == pytest.approx(0.810)


def beside(artifacts: dict[str, int], rounds: int, busy: Collection[int] = ()) -> Measurements:
    """Three samples a round of each artifact, beside a canary of so many ns; twice as many in busy rounds."""
    data = Measurements(CANARIES)
    for number in range(rounds):
        factor = 2 if number in busy else 1
        for name, canary_ns in artifacts.items():
            data.add(number, Samples(name, 0, "memory", (100_000,) * 3, (factor * canary_ns,) * 3))
        data.end(number)
    return data


def test_an_artifact_that_slows_its_canary_itself_is_not_disturbed() -> None:
    artifacts = {f"op{n}": 50_000 for n in range(4)} | {"large": 70_000}
    data = beside(artifacts, 20, busy={3, 4, 5})
    assert data.rounds("large", 0) == data.rounds("op0", 0) == 17
    assert data.disturbed_share == pytest.approx(3 / 20)
    assert (data.disturbed_share_of(3), data.disturbed_share_of(6)) == (1, 0)


def test_a_canary_that_is_far_slower_beside_one_artifact_stands_beside_another_program() -> None:
    data = beside({f"op{n}": 50_000 for n in range(4)} | {"unlucky": 130_000}, 20)
    assert (data.rounds("unlucky", 0), data.rounds("op0", 0)) == (0, 20)
    assert data.disturbed_share == pytest.approx(1 / 5)


def test_few_readings_do_not_say_what_an_artifact_does_to_its_canary() -> None:
    data = beside({f"op{n}": 50_000 for n in range(4)} | {"large": 70_000}, 9)
    assert (data.rounds("large", 0), data.rounds("op0", 0)) == (0, 9)
