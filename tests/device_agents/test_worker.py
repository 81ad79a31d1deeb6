"""The worker's loop with an engine whose artifacts do what their names say."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from dataclasses import replace

import pytest

from lutbench.device_agents.host.engine import Loaded
from lutbench.device_agents.host.worker import Worker, preemptions


class ScriptedEngine:
    """Counts invocations; an artifact called `raises` raises at its third."""

    def __init__(self) -> None:
        self.calls: list[str] = []
        self.idle: Callable[[], object] = lambda: None

    def load(self, name: str, path: str, _given: object = None) -> Loaded:
        if path == "refused":
            raise RuntimeError("no such\nkernel")

        def invoke() -> None:
            self.calls.append(name)
            if name == "raises" and self.calls.count(name) == 3:
                raise RuntimeError("out of luck")

        return Loaded(invoke, lambda: None, self.idle, None)


@pytest.fixture
def engine() -> ScriptedEngine:
    return ScriptedEngine()


@pytest.fixture
def worker(engine: ScriptedEngine) -> Worker:
    made = Worker(engine)
    for name in ("canary", "a", "b", "raises"):
        answer = made.load(name, "path")
        assert answer["loaded"] == name and answer["first_ns"] > 0
    engine.calls.clear()
    return made


def answers(worker: Worker, cycles: list[list[object]], quiet_below_ns: int = 0) -> list[dict[str, object]]:
    out = io.StringIO()
    request = {"measure": cycles, "canaries": {"c": ["canary", 2, quiet_below_ns]}, "patience": 0.0}
    worker.measure(request, out)
    return [json.loads(line) for line in out.getvalue().splitlines()]


def test_a_refused_artifact_says_why_in_one_line(worker: Worker) -> None:
    assert worker.load("x", "refused") == {"failed": "x", "reason": "RuntimeError: no such kernel"}


def test_cycles_alternate_and_warm_ups_are_not_samples(worker: Worker, engine: ScriptedEngine) -> None:
    first, spent = answers(worker, [[["a", "b"], 1, 3, "c"]])
    assert [call for call in engine.calls if call != "canary"] == ["a", "b"] * 4
    assert first["cycle"] == 0
    assert [len(samples) for samples in first["ns"]] == [3, 3]  # type: ignore[attr-defined]
    assert len(first["canary_ns"]) == 3  # type: ignore[arg-type]
    assert spent["runtime_ns"] >= sum(map(sum, first["ns"]))  # type: ignore[call-overload, operator]


def test_what_the_binding_takes_is_no_part_of_a_sample(worker: Worker, monkeypatch: pytest.MonkeyPatch) -> None:
    """On a clock by which an invocation takes 70 and an idle call 50; one that took longer does not count."""
    now, idles = [0], iter([50, 900, 50])
    monkeypatch.setattr("lutbench.device_agents.host.worker.perf_counter_ns", lambda: now[0])

    def passing(ns: int) -> None:
        now[0] += ns

    loaded = worker._loaded["a"]
    worker._loaded["a"] = replace(loaded, invoke=lambda: passing(70), idle=lambda: passing(next(idles)))
    first, spent = answers(worker, [[["a"], 1, 3, "c"]])
    assert first["ns"] == [[20, 20, 20]] and spent["runtime_ns"] == 4 * 70
    worker._loaded["a"] = replace(loaded, invoke=lambda: passing(70), idle=lambda: passing(80))
    assert answers(worker, [[["a"], 0, 2, "c"]])[0]["ns"] == [[1, 1]]


def test_the_canary_stands_before_and_after(worker: Worker, engine: ScriptedEngine) -> None:
    answers(worker, [[["a"], 0, 3, "c"], [["b"], 0, 3, "c"]])
    assert engine.calls == ["canary"] * 2 + ["a"] * 3 + ["canary"] * 2 + ["b"] * 3 + ["canary"] * 2


def test_a_turn_that_lost_its_core_reads_as_disturbed(worker: Worker, monkeypatch: pytest.MonkeyPatch) -> None:
    """The count rises within the third of four turns, the second timed one."""
    counts = iter([0, 0, 0, 0, 1, 1, 1])  # before each turn; after each timed one
    monkeypatch.setattr("lutbench.device_agents.host.worker.preemptions", lambda: next(counts))
    monkeypatch.setattr(worker, "canary", lambda _name, _invocations: 1)
    first, _ = answers(worker, [[["a"], 1, 3, "c"]])
    readings = first["canary_ns"]
    assert isinstance(readings, list)
    assert (readings[0], readings[2]) == (1, 1) and readings[1] > 1


def test_preemptions_are_counted_where_the_system_tells() -> None:
    assert preemptions() >= 0


def test_what_raises_in_a_cycle_is_the_one_that_fails(worker: Worker) -> None:
    engine_answers = answers(worker, [[["a", "raises", "b"], 1, 3, "c"], [["a"], 0, 2, "c"]])
    assert engine_answers[0] == {"cycle": 0, "failed": "raises", "reason": "RuntimeError: out of luck"}
    assert engine_answers[1]["cycle"] == 1 and "ns" in engine_answers[1]


def test_waiting_for_quiet_ends(worker: Worker, engine: ScriptedEngine) -> None:
    """A canary that is never as quick as asked for is waited for a while, then the cycle is measured all the same."""
    first, _ = answers(worker, [[["a"], 0, 2, "c"]], quiet_below_ns=1)
    assert len(first["ns"][0]) == 2  # type: ignore[index]
    assert engine.calls.count("canary") > 10
