"""The real worker process and the real ONNX Runtime."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from lutbench.device_agents.agent import AgentSettings
from lutbench.device_agents.host.agent import HostAgent
from lutbench.errors import DeviceError
from lutbench.export.artifact import Artifact
from lutbench.export.cache import ArtifactCache
from lutbench.export.exporters import EXPORTERS
from lutbench.export.pool import export_all
from lutbench.measure.protocol import Batch, Canary, Cycle, Failure, Samples, Spent
from lutbench.space.operator import OVERHEAD, parse_operator

NAMES = ["ir_k3_e6_g1_16x16x16_16_s1", "conv_k1_16x8x8_24_s2", OVERHEAD.name]
CANARY = NAMES[1]
CANARIES = (Canary(CANARY, CANARY, 4, 0.04),)


@pytest.fixture
def artifacts(shared_cache: Path) -> list[Artifact]:
    operators = [parse_operator(name) for name in NAMES]
    found = [result for _, result in export_all(operators, EXPORTERS["onnx"], "int8", ArtifactCache(shared_cache))]
    return sorted((a for a in found if isinstance(a, Artifact)), key=lambda artifact: artifact.name)


@pytest.fixture
def agent() -> Iterator[HostAgent]:
    with HostAgent(AgentSettings("onnx", "int8", 1)) as opened:
        yield opened


def samples_of(agent: HostAgent, batch: Batch) -> dict[str, Samples]:
    return {outcome.artifact: outcome for outcome in agent.measure(batch) if isinstance(outcome, Samples)}


def test_cycles_come_back_as_samples(agent: HostAgent, artifacts: list[Artifact]) -> None:
    assert list(agent.install(artifacts)) == []
    cycles = (Cycle((NAMES[0],), 0, 1, 5, CANARY), Cycle((NAMES[1], NAMES[2]), 1, 1, 4, CANARY))
    outcomes = list(agent.measure(Batch(cycles, CANARIES)))
    found = [outcome for outcome in outcomes if isinstance(outcome, Samples)]
    assert [(s.artifact, s.depth, len(s.durations_ns)) for s in found] == [
        (NAMES[0], 0, 5), (NAMES[1], 1, 4), (NAMES[2], 1, 4),
    ]  # fmt: skip
    (spent,) = (outcome for outcome in outcomes if isinstance(outcome, Spent))
    timed_ns = sum(sum(s.durations_ns) for s in found)
    assert spent.runtime_ns > timed_ns  # warm-ups and canaries are in it


def test_a_block_takes_longer_than_the_empty_graph(agent: HostAgent, artifacts: list[Artifact]) -> None:
    list(agent.install(artifacts))
    found = samples_of(agent, Batch(tuple(Cycle((name,), 0, 2, 20, CANARY) for name in NAMES), CANARIES))
    assert min(found[NAMES[0]].durations_ns) > min(found[OVERHEAD.name].durations_ns)


def test_a_corrupt_artifact_costs_itself(agent: HostAgent, artifacts: list[Artifact], tmp_path: Path) -> None:
    junk = tmp_path / "junk.onnx"
    junk.write_bytes(b"\x00not a model")
    failures = list(agent.install([*artifacts, replace(artifacts[0], name="junk", path=junk)]))
    assert [failure.artifact for failure in failures] == ["junk"]
    assert "Protobuf" in failures[0].reason or "ONNXRuntimeError" in failures[0].reason
    assert set(samples_of(agent, Batch((Cycle((NAMES[0],), 0, 1, 3, CANARY),), CANARIES))) == {NAMES[0]}


def test_a_cycle_with_something_not_installed_is_a_failure(agent: HostAgent, artifacts: list[Artifact]) -> None:
    list(agent.install(artifacts))
    batch = Batch((Cycle(("unknown",), 0, 1, 3, CANARY), Cycle((NAMES[0],), 0, 1, 3, CANARY)), CANARIES)
    assert set(samples_of(agent, batch)) == {NAMES[0]}
    failures = [outcome for outcome in agent.measure(batch) if isinstance(outcome, Failure)]
    assert failures == [Failure("unknown", "it is not loaded")]


def test_a_killed_worker_is_replaced_and_the_run_goes_on(agent: HostAgent, artifacts: list[Artifact]) -> None:
    list(agent.install(artifacts))
    assert agent._process is not None
    os.kill(agent._process.pid, signal.SIGKILL)
    batch = Batch((Cycle((NAMES[0],), 0, 1, 3, CANARY),), CANARIES)
    assert not [outcome for outcome in agent.measure(batch) if isinstance(outcome, Failure)]
    assert set(samples_of(agent, batch)) == {NAMES[0]}


def test_every_renewed_worker_loads_in_an_order_of_its_own(
    agent: HostAgent, artifacts: list[Artifact], monkeypatch: pytest.MonkeyPatch
) -> None:
    list(agent.install(artifacts))
    loads: list[str] = []
    ask = HostAgent._ask_to_load
    monkeypatch.setattr(HostAgent, "_ask_to_load", lambda self, one: loads.append(one.name) or ask(self, one))
    orders = []
    for _ in range(4):
        loads.clear()
        agent.renew(NAMES)
        orders.append(tuple(loads))
    assert all(sorted(order) == sorted(NAMES) for order in orders)
    assert len(set(orders)) > 1
    agent.renew(NAMES[:2])
    assert set(loads[-2:]) == set(NAMES[:2]) and len(loads) == len(NAMES) + 2
    assert set(samples_of(agent, Batch((Cycle((NAMES[2],), 0, 1, 3, CANARY),), CANARIES))) == {NAMES[2]}


def test_the_artifact_that_kills_its_worker_is_the_one_that_fails(
    agent: HostAgent, artifacts: list[Artifact], monkeypatch: pytest.MonkeyPatch
) -> None:
    """One artifact takes the worker process along whenever it is invoked; the others are innocent."""
    list(agent.install(artifacts))
    send = agent._send

    def send_and_kill(request: dict[str, object]) -> None:
        kills = NAMES[1] in str(request.get("measure"))
        assert agent._process is not None
        if kills:
            os.kill(agent._process.pid, signal.SIGSTOP)  # or it might have answered before it is killed
        send(request)  # type: ignore[arg-type]
        if kills:
            os.kill(agent._process.pid, signal.SIGKILL)

    monkeypatch.setattr(agent, "_send", send_and_kill)
    batch = Batch(
        tuple(Cycle((n,), 0, 1, 3, OVERHEAD.name) for n in NAMES), (Canary(OVERHEAD.name, OVERHEAD.name, 1, 1.0),)
    )
    failures = [outcome for outcome in agent.measure(batch) if isinstance(outcome, Failure)]
    assert [failure.artifact for failure in failures] == [NAMES[1]]
    assert "signal 9" in failures[0].reason
    assert set(samples_of(agent, batch)) == {NAMES[0], NAMES[2]}


def test_the_worker_does_not_get_the_terminals_interrupt(agent: HostAgent) -> None:
    assert agent._process is not None
    assert os.getpgid(agent._process.pid) != os.getpgid(0)


def test_describe_says_what_can_be_read(agent: HostAgent) -> None:
    info = agent.describe()
    assert info.cores == os.cpu_count()
    assert {"cpu", "governor", "temperature_c", "pinned_to", "os"} <= set(info.environment)
    assert all(value not in (None, "") for value in info.environment.values())


def test_an_unknown_runtime_does_not_start() -> None:
    with pytest.raises(DeviceError, match="did not start"):
        HostAgent(AgentSettings("bogus", "int8", 1))


def test_a_worker_that_is_killed_as_it_starts_is_started_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """As by a system that is short of memory just then; one that dies again ends the run."""
    real, started = subprocess.Popen, []

    def popen(*arguments: Any, **options: Any) -> Any:
        process = real(*arguments, **options)
        if any("worker" in str(word) for word in arguments[0]):
            started.append(process)
            if len(started) == 1:
                process.kill()
        return process

    monkeypatch.setattr("lutbench.device_agents.host.agent.subprocess.Popen", popen)
    with HostAgent(AgentSettings("onnx", "int8", 1)) as agent:
        assert agent.describe().cpu
    assert len(started) == 2
