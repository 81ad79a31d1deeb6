from __future__ import annotations

from pathlib import Path

import pytest

from lutbench.device_agents.fake import FakeAgent
from lutbench.measure.journal import Journal
from lutbench.measure.protocol import Canary, Cycle, Protocol
from lutbench.measure.rounds import (
    RoundPlan,
    is_done,
    measure_round,
    measure_rounds,
    rounds_in_a_batch,
    rounds_left,
)
from lutbench.measure.statistics import summarize

PROTOCOL = Protocol()
CANARIES = (Canary("canary", "canary", 1, 0.04),)
CYCLES = [Cycle((f"op{n}",), 0, 1, 3, "canary") for n in range(4)]
KEEP = {(f"op{n}", 0) for n in range(4)}


def constant(artifact: str, depth: int, invocation: int) -> int:
    del depth, invocation
    return 1000 * (1 + int(artifact[2:]))


def test_every_cycle_is_measured_and_journalled(tmp_path: Path) -> None:
    agent = FakeAgent(constant)
    with Journal(tmp_path / "j.jsonl", {}, CANARIES) as journal:
        report = measure_round(agent.measure, journal, CYCLES, KEEP, PROTOCOL)
    assert (report.number, report.disturbed) == (0, 0.0)
    assert [len(batch.cycles) for batch in agent.batches] == [2, 2]
    with Journal(tmp_path / "j.jsonl", {}, CANARIES) as again:
        assert [again.measurements.summary(f"op{n}", 0).latency_us for n in range(4)] == [1, 2, 3, 4]  # type: ignore[union-attr]
        assert again.measurements.current_round == 1


def test_context_is_not_kept(tmp_path: Path) -> None:
    agent = FakeAgent(constant)
    with Journal(tmp_path / "j.jsonl", {}, CANARIES) as journal:
        measure_round(agent.measure, journal, [Cycle(("op1", "op2"), 1, 1, 3, "canary")], {("op1", 1)}, PROTOCOL)
        assert journal.measurements.visits("op1", 1) == 1
        assert journal.measurements.visits("op2", 1) == 0


def test_the_quiet_canary_is_passed_on_once_it_is_known(tmp_path: Path) -> None:
    agent = FakeAgent(constant, canary=lambda _invocation: 50_000)
    with Journal(tmp_path / "j.jsonl", {}, CANARIES) as journal:
        for _ in range(2):
            measure_round(agent.measure, journal, CYCLES, KEEP, PROTOCOL)
    assert [batch.canaries[0].quiet_below_ns for batch in agent.batches] == [0, 0, 52_000]


@pytest.mark.parametrize(("ns", "sizes"), [(20_000_000, [2, 2, 2, 2]), (17_500_000, [2, 2, 4])])
def test_a_round_that_is_known_to_be_short_is_one_batch(tmp_path: Path, ns: int, sizes: list[int]) -> None:
    """Four cycles of two artifacts, four invocations of each: 640 ms are two batches of 320, 560 ms are one."""
    agent = FakeAgent(lambda *_: ns)
    cycles = [Cycle((f"op{n}", "op9"), 1, 1, 3, "canary") for n in range(4)]
    keep = {(f"op{n}", 1) for n in range(4)} | {("op9", 1)}
    with Journal(tmp_path / "j.jsonl", {}, CANARIES) as journal:
        for _ in range(2):
            measure_round(agent.measure, journal, cycles, keep, PROTOCOL)
    assert [len(batch.cycles) for batch in agent.batches] == sizes


@pytest.mark.parametrize(("ns", "rounds"), [(40_000_000, 1), (11_000_000, 3), (1, 8)])
def test_short_rounds_share_a_batch(tmp_path: Path, ns: int, rounds: int) -> None:
    """Two cycles of four invocations: 320, 88 and 0 ms a round."""
    agent = FakeAgent(lambda *_: ns)
    with Journal(tmp_path / "j.jsonl", {}, CANARIES) as journal:
        data = journal.measurements
        assert rounds_in_a_batch(CYCLES[:2], data) == 1  # how long they take is not known yet
        measure_round(agent.measure, journal, CYCLES[:2], {("op0", 0), ("op1", 0)}, PROTOCOL)
        assert rounds_in_a_batch(CYCLES[:2], data) == rounds
        assert rounds_in_a_batch([], data) == 1


def test_what_is_measured_together_belongs_to_rounds_of_its_own(tmp_path: Path) -> None:
    """The second of three rounds lacks op1, which stands in it for another's sake."""
    agent = FakeAgent(lambda _artifact, _depth, invocation: 1000 + invocation)
    whole = {("op0", 0), ("op1", 0)}
    kept = (whole, {("op0", 0)}, whole)
    plans = [RoundPlan(number, tuple(CYCLES[:2]), frozenset(keep)) for number, keep in enumerate(kept)]
    with Journal(tmp_path / "j.jsonl", {}, CANARIES) as journal:
        report = measure_rounds(agent.measure, journal, plans, PROTOCOL)
    assert report.number == 2
    assert [len(batch.cycles) for batch in agent.batches] == [6]
    with Journal(tmp_path / "j.jsonl", {}, CANARIES) as again:
        data = again.measurements
        assert data.current_round == 3
        assert [[data.has(n, f"op{op}", 0) for n in range(3)] for op in range(2)] == [[True] * 3, [True, False, True]]
        first, *_, last = data.round_medians_us("op0", 0).values()
        assert first < last  # in the order in which they were measured


def test_rounds_that_are_cut_off_are_taken_up_again(tmp_path: Path) -> None:
    agent = FakeAgent(constant, crash_at=1)
    plans = [RoundPlan(n, tuple(CYCLES), frozenset(KEEP)) for n in range(2)]
    with Journal(tmp_path / "j.jsonl", {}, CANARIES) as journal:
        measure_round(agent.measure, journal, CYCLES[:1], {("op0", 0)}, PROTOCOL)
        later = [RoundPlan(plan.number + 1, plan.cycles, plan.keep) for plan in plans]
        with pytest.raises(KeyboardInterrupt):
            measure_rounds(agent.measure, journal, later, PROTOCOL)
    with Journal(tmp_path / "j.jsonl", {}, CANARIES) as again:
        assert again.measurements.current_round == 1


def test_a_disturbed_round_reports_its_share(tmp_path: Path) -> None:
    agent = FakeAgent(constant, canary=lambda invocation: 90_000 if 12 <= invocation < 18 else 50_000)
    with Journal(tmp_path / "j.jsonl", {}, CANARIES) as journal:
        shares = [measure_round(agent.measure, journal, CYCLES, KEEP, PROTOCOL).disturbed for _ in range(2)]
        assert shares == [0.0, 0.5]
        assert [journal.measurements.rounds(f"op{n}", 0) for n in range(4)] == [1, 1, 2, 2]


def test_an_interrupted_round_keeps_its_first_batch(tmp_path: Path) -> None:
    agent = FakeAgent(constant, crash_at=1)
    with Journal(tmp_path / "j.jsonl", {}, CANARIES) as journal, pytest.raises(KeyboardInterrupt):
        measure_round(agent.measure, journal, CYCLES, KEEP, PROTOCOL)
    with Journal(tmp_path / "j.jsonl", {}, CANARIES) as again:
        assert again.measurements.current_round == 0
        assert [again.measurements.has(0, f"op{n}", 0) for n in range(4)] == [True, True, False, False]


def test_done_is_the_target_or_the_most_visits(tmp_path: Path) -> None:
    agent = FakeAgent(lambda _artifact, _depth, invocation: 1000 + 100 * (invocation // 3 % 5))
    wide, narrow = Protocol(target=0.01, min_rounds=12, max_rounds=20), Protocol(target=0.3, min_rounds=12)
    done: list[tuple[bool, bool]] = []
    with Journal(tmp_path / "j.jsonl", {}, CANARIES) as journal:
        for _ in range(20):
            measure_round(agent.measure, journal, CYCLES[:1], {("op0", 0)}, PROTOCOL)
            done.append(
                (is_done(journal.measurements, "op0", 0, wide), is_done(journal.measurements, "op0", 0, narrow))
            )
    assert [wide_done for wide_done, _ in done] == [False] * 19 + [True]
    assert [narrow_done for _, narrow_done in done] == [False] * 11 + [True] * 9


def test_rounds_left_follow_the_square_of_the_interval() -> None:
    summary = summarize([[1000], [1040], [1020], [1000], [1040], [1020]])
    half_width = 20 / 1020
    assert summary.half_width == pytest.approx(half_width)
    expected = 6 * (half_width / 0.01) ** 2 - 6
    assert rounds_left(summary, Protocol(target=0.01, min_rounds=6)) == pytest.approx(expected)
    assert rounds_left(summary, Protocol(target=0.01, min_rounds=40)) == 40 - 6
    assert rounds_left(summary, Protocol(target=0.001, max_rounds=50)) == 50 - 6
    assert rounds_left(summary, Protocol(target=0.5, min_rounds=6)) == 1
