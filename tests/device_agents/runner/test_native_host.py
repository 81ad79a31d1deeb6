"""This machine measured by the runner: the host agent with another program in its worker's place."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from lutbench.device_agents.agent import BUNDLE, AgentSettings
from lutbench.device_agents.host.native import NativeHostAgent
from lutbench.device_agents.registry import Device, check_measurable, open_agent
from lutbench.device_agents.runner.bundle import Bundle
from lutbench.device_agents.runner.job import RunnerJob
from lutbench.device_agents.runner.records import Records, read_records
from lutbench.errors import DeviceError, UsageError
from lutbench.export.artifact import Artifact
from lutbench.measure.protocol import Batch, Canary, Cycle, Failure, Samples, Spent
from lutbench.space.operator import OVERHEAD
from tests.device_agents.runner.phone import BATCH, BLOCK, CONV, ENDLESS, ENGINES, LONG_S, NAMES, Phone


def device(bundle: Bundle) -> Device:
    return Device("mine", "host", Path("mine.csv"), "", bundle=str(bundle.folder))


@pytest.fixture
def agent(host_bundle: Bundle) -> Iterator[NativeHostAgent]:
    opened = open_agent(device(host_bundle), AgentSettings("onnx", "int8", 1))
    assert isinstance(opened, NativeHostAgent)
    with opened:
        yield opened


@pytest.fixture
def onnx(artifacts: dict[str, dict[str, Artifact]]) -> list[Artifact]:
    return list(artifacts["onnx"].values())


@pytest.mark.parametrize("engine", ENGINES)
def test_cycles_come_back_as_samples_and_the_environment_says_what_measured(
    engine: str, host_bundle: Bundle, artifacts: dict[str, dict[str, Artifact]]
) -> None:
    with open_agent(device(host_bundle), AgentSettings(engine, "int8", 1)) as agent:
        assert list(agent.install(list(artifacts[engine].values()))) == []
        outcomes = list(agent.measure(BATCH))
        environment = agent.describe().environment
    found = [outcome for outcome in outcomes if isinstance(outcome, Samples)]
    assert [(s.artifact, s.depth, len(s.durations_ns)) for s in found] == [
        (BLOCK, 1, 3), (CONV, 1, 3), (OVERHEAD.name, 0, 2),
    ]  # fmt: skip
    (spent,) = (outcome for outcome in outcomes if isinstance(outcome, Spent))
    assert spent.runtime_ns > sum(sum(s.durations_ns) for s in found)
    assert environment[BUNDLE].startswith("host (") and environment[BUNDLE].endswith(host_bundle.runtimes[engine])
    assert environment["pinned_to"] == [max(os.sched_getaffinity(0))]
    assert 0 < environment["clock_ns"] < 100_000


def test_a_corrupt_artifact_costs_itself(agent: NativeHostAgent, onnx: list[Artifact], tmp_path: Path) -> None:
    path = tmp_path / "broken.onnx"
    path.write_bytes(b"no model")
    broken = replace(onnx[0], name="broken", path=path)
    (failure,) = agent.install([broken, *onnx])
    assert failure.artifact == "broken" and "sha256" in failure.reason
    outcomes = list(agent.measure(Batch((Cycle(("broken",), 0, 1, 3, "c"), *BATCH.cycles), BATCH.canaries)))
    assert [(o.artifact, o.reason) for o in outcomes if isinstance(o, Failure)] == [("broken", "it is not loaded")]
    assert len([outcome for outcome in outcomes if isinstance(outcome, Samples)]) == 3


def test_a_killed_runner_is_replaced_and_the_run_goes_on(agent: NativeHostAgent, onnx: list[Artifact]) -> None:
    list(agent.install(onnx))
    assert agent._process is not None
    os.kill(agent._process.pid, signal.SIGKILL)
    batch = Batch((Cycle((BLOCK,), 0, 1, 3, "c"),), BATCH.canaries)
    assert list(agent.measure(batch)) == []  # none of it is known to be sound
    assert {o.artifact for o in agent.measure(batch) if isinstance(o, Samples)} == {BLOCK}


def test_the_artifact_that_kills_its_runner_is_the_one_that_fails(
    agent: NativeHostAgent, onnx: list[Artifact], monkeypatch: pytest.MonkeyPatch
) -> None:
    list(agent.install(onnx))
    send = agent._send_line

    def send_and_kill(line: bytes) -> None:
        assert agent._process is not None
        deadly = CONV.encode() in line.partition(b'"cycles":')[2]
        if deadly:  # stopped first: it may not be done before it is killed
            os.kill(agent._process.pid, signal.SIGSTOP)
        send(line)
        if deadly:
            os.kill(agent._process.pid, signal.SIGKILL)

    monkeypatch.setattr(agent, "_send_line", send_and_kill)
    batch = Batch(tuple(Cycle((n,), 0, 1, 3, "c") for n in NAMES), (Canary("c", OVERHEAD.name, 1, 1.0),))
    (failure,) = (outcome for outcome in agent.measure(batch) if isinstance(outcome, Failure))
    assert failure.artifact == CONV and "signal 9" in failure.reason
    assert {o.artifact for o in agent.measure(batch) if isinstance(o, Samples)} == {BLOCK, OVERHEAD.name}


def test_a_runner_that_is_none_is_one_line(host_bundle: Bundle) -> None:
    settings = AgentSettings("onnx", "int8", 1)
    with pytest.raises(DeviceError, match="cannot be started: No such file"):
        NativeHostAgent(settings, replace(host_bundle, start={"onnx": ["/nothing/here"]}))
    with pytest.raises(DeviceError, match="did not start"):
        NativeHostAgent(settings, replace(host_bundle, start={"onnx": ["/bin/false"]}))
    with pytest.raises(DeviceError, match="cannot run the job: ONNX Runtime's library cannot be opened"):
        NativeHostAgent(settings, replace(host_bundle, libraries={"onnx": "nothing.so"}))


def test_a_runtime_that_no_runner_has_is_refused(host_bundle: Bundle) -> None:
    with pytest.raises(
        UsageError, match="a bundle's runner, which mine has, runs onnx and executorch, not torchscript"
    ):
        check_measurable(device(host_bundle), "torchscript")


Start = Callable[[], "subprocess.Popen[bytes]"]


@pytest.fixture
def start(phone: Phone) -> Iterator[Start]:
    started: list[subprocess.Popen[bytes]] = []

    def make() -> subprocess.Popen[bytes]:
        pipe = subprocess.PIPE
        started.append(subprocess.Popen(phone.command("--jobs", "-"), stdin=pipe, stdout=pipe))
        return started[-1]

    yield make
    for process in started:
        process.kill()
        process.wait()


def ask(process: subprocess.Popen[bytes], job: bytes) -> Records:
    """The records of a job, up to the one that ends it."""
    assert process.stdin is not None and process.stdout is not None
    process.stdin.write(job)
    process.stdin.flush()
    data = b""
    while not (found := read_records(data)).end and not found.fatal:
        line = process.stdout.readline()
        assert line
        data += line
    return found


def test_jobs_of_standard_input_one_after_the_other(phone: Phone, start: Start) -> None:
    process, job = start(), phone.job
    assert ask(process, job.encoded()).complete("n1")
    assert ask(process, b"no job\n").fatal is not None
    second = ask(process, replace(job, nonce="n2").encoded())
    assert second.complete("n2") and not second.loaded  # nothing is loaded again


def test_a_runner_ends_with_its_input_in_the_midst_of_a_job(phone: Phone, start: Start) -> None:
    """As where lutbench is killed."""
    process = start()
    endless: RunnerJob = replace(phone.job, batch=ENDLESS)
    assert process.stdin is not None
    process.stdin.write(endless.encoded())
    process.stdin.flush()
    time.sleep(0.3)
    assert process.poll() is None
    process.stdin.close()
    assert process.wait(LONG_S) == 0


def test_all_sessions_of_onnx_runtime_share_one_pool_of_threads(phone: Phone, start: Start) -> None:
    """A session's own threads would go on looking for work while the next session's run, on the same cores."""
    process = start()
    tasks = Path(f"/proc/{process.pid}/task")

    def running(threads: int) -> int:
        nonce = f"n{threads}"
        assert ask(process, replace(phone.job, nonce=nonce, threads=threads).encoded()).complete(nonce)
        return len(list(tasks.iterdir()))

    alone = running(1)
    assert [running(3) - alone, running(2) - alone, running(1) - alone] == [2, 1, 0]
