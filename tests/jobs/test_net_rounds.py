"""Whole nets in rounds, on a scripted device."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from lutbench.device_agents.fake import FakeAgent
from lutbench.jobs.net_rounds import measure_nets
from lutbench.measure.journal import Journal
from lutbench.measure.protocol import Canary, Protocol
from lutbench.measure.rounds import RoundReport

NETS = ["one", "two", "three"]
CANARY = Canary("nets", "canary", 1, 0.15)


def run(
    agent: FakeAgent, path: Path, rounds: int, visit: Callable[[str], tuple[int, int]] = lambda _net: (2, 2)
) -> list[RoundReport]:
    reports: list[RoundReport] = []
    with Journal(path, {}, [CANARY]) as journal:
        data = journal.measurements

        def unfinished() -> list[str]:
            return [name for name in NETS if data.visits(name, 0) < rounds]

        measure_nets(agent.measure, journal, unfinished, "nets", Protocol(), reports.append, visit)
    return reports


def order(agent: FakeAgent) -> list[str]:
    return [name for batch in agent.batches for cycle in batch.cycles for name in cycle.artifacts]


def agent(**options: object) -> FakeAgent:
    return FakeAgent(lambda _artifact, _depth, _invocation: 1000, **options)  # type: ignore[arg-type]


def test_every_net_once_a_round_in_another_order(tmp_path: Path) -> None:
    device = agent()
    assert [report.number for report in run(device, tmp_path / "a.jsonl", 20)] == list(range(20))
    names = order(device)
    rounds = {tuple(names[start : start + 3]) for start in range(0, 60, 3)}
    assert all(sorted(found) == sorted(NETS) for found in rounds) and len(rounds) > 3


def test_a_round_that_was_cut_off_is_finished_first(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        run(agent(crash_at=1), tmp_path / "a.jsonl", 4)
    device = agent()
    reports = run(device, tmp_path / "a.jsonl", 4)
    assert [report.number for report in reports] == [0, 1, 2, 3]
    assert len(order(device)) == 4 * 3 - 2  # the first batch of round 0 held two nets


def test_visits_as_long_as_asked_for(tmp_path: Path) -> None:
    device = agent()
    run(device, tmp_path / "a.jsonl", 2, visit=lambda name: (5, len(name)))
    cycles = [cycle for batch in device.batches for cycle in batch.cycles]
    assert {(cycle.artifacts[0], cycle.warmup, cycle.repeats) for cycle in cycles} == {(n, 5, len(n)) for n in NETS}


def test_a_round_visits_what_is_due(tmp_path: Path) -> None:
    device = agent()
    with Journal(tmp_path / "a.jsonl", {}, [CANARY]) as journal:
        data = journal.measurements

        def unfinished() -> list[str]:
            return [name for name in NETS if data.visits(name, 0) < 2]

        def due(number: int, names: Sequence[str]) -> Sequence[str]:
            return [name for name in names if name != "one" or number % 3 == 2]

        measure_nets(device.measure, journal, unfinished, "nets", Protocol(), lambda _: None, lambda _: (2, 2), due=due)
        rounds = {name: sorted(data.every_round_medians_us(name, 0)) for name in NETS}
    assert rounds == {"one": [2, 5], "two": [0, 1], "three": [0, 1]}
