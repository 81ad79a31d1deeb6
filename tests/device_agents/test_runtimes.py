"""The real worker process with the runtimes that are not ONNX Runtime, and files that no runtime should be given."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from statistics import median

import pytest

from lutbench.device_agents.agent import AgentSettings
from lutbench.device_agents.host.agent import HostAgent
from lutbench.export.artifact import Artifact
from lutbench.export.cache import ArtifactCache
from lutbench.export.exporters import find_exporter
from lutbench.export.pool import export_all
from lutbench.measure.protocol import Batch, Canary, Cycle, Failure, Outcome, Samples
from lutbench.space.operator import OVERHEAD, parse_operator

BLOCK, CONV = "ir_k3_e6_g1_16x16x16_16_s1", "conv_k1_16x8x8_24_s2"
NAMES = (BLOCK, CONV, OVERHEAD.name)
RUNTIMES = ("executorch", "torchscript")


@pytest.fixture(scope="module", params=RUNTIMES)
def runtime(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def artifacts(runtime: str, shared_cache: Path) -> dict[str, Artifact]:
    operators = [parse_operator(name) for name in NAMES]
    found = [
        result
        for _, result in export_all(operators, find_exporter(runtime, "int8"), "int8", ArtifactCache(shared_cache))
    ]
    return {artifact.name: artifact for artifact in found if isinstance(artifact, Artifact)}


@pytest.fixture
def agent(runtime: str) -> HostAgent:
    return HostAgent(AgentSettings(runtime, "int8", 1))


def measured(agent: HostAgent, *names: str) -> list[Outcome]:
    """In one cycle, so that the same idle call is taken off all of them."""
    canaries = (Canary(OVERHEAD.name, OVERHEAD.name, 2, 1.0),)
    return list(agent.measure(Batch((Cycle(names, len(names) - 1, 2, 20, OVERHEAD.name),), canaries)))


def fastest_ns(outcomes: list[Outcome]) -> dict[str, int]:
    return {o.artifact: min(o.durations_ns) for o in outcomes if isinstance(o, Samples)}


def test_operators_are_timed_and_an_empty_program_is_the_fastest(
    agent: HostAgent, artifacts: dict[str, Artifact]
) -> None:
    with agent:
        assert list(agent.install(list(artifacts.values()))) == []
        # each cycle takes its own idle call off: one that another program slowed is not what this is about
        cycles = [fastest_ns(measured(agent, *NAMES)) for _ in range(5)]
    found = {name: median(cycle[name] for cycle in cycles) for name in NAMES}
    assert found[BLOCK] > found[CONV] > found[OVERHEAD.name]


def _cut(data: bytes) -> bytes:
    return data[: len(data) // 2]


def _zeros_inside(data: bytes) -> bytes:
    return data[:64] + bytes(len(data) - 128) + data[-64:]


def _another_version(data: bytes) -> bytes:
    """ExecuTorch's files name their format in bytes 4 to 8 (ET12), TorchScript's in a file called version."""
    if data[4:6] == b"ET":
        return data[:6] + b"99" + data[8:]
    changed = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as old, zipfile.ZipFile(changed, "w", zipfile.ZIP_STORED) as new:
        for name in old.namelist():
            new.writestr(name, b"999\n" if name.endswith("/version") else old.read(name))
    return changed.getvalue()


DAMAGES: dict[str, Callable[[bytes], bytes]] = {
    "empty": lambda _data: b"",
    "junk": lambda _data: b"\x00not a program" * 100,
    "cut": _cut,
    "zeros": _zeros_inside,
    "version": _another_version,
}


def test_files_that_cannot_run_cost_themselves(
    agent: HostAgent, artifacts: dict[str, Artifact], tmp_path: Path
) -> None:
    """Refused or fatal to the worker process, each is one reason in one line, and the others are measured."""
    whole = artifacts[BLOCK]
    bad = []
    for name, damage in DAMAGES.items():
        path = tmp_path / f"{name}{whole.path.suffix}"
        path.write_bytes(damage(whole.path.read_bytes()))
        bad.append(replace(whole, name=name, path=path))
    bad.append(replace(whole, name="absent", path=tmp_path / "absent"))
    with agent:
        failures = list(agent.install([artifacts[CONV], *bad, artifacts[OVERHEAD.name]]))
        assert [failure.artifact for failure in failures] == [artifact.name for artifact in bad]
        assert all(failure.reason and "\n" not in failure.reason for failure in failures)
        assert set(fastest_ns(measured(agent, CONV, OVERHEAD.name))) == {CONV, OVERHEAD.name}


def test_a_file_that_kills_the_worker_while_it_runs_costs_itself(
    agent: HostAgent, artifacts: dict[str, Artifact], monkeypatch: pytest.MonkeyPatch
) -> None:
    with agent:
        list(agent.install(list(artifacts.values())))
        send = agent._send

        def send_and_kill(request: dict[str, object]) -> None:
            if CONV in str(request.get("measure")):  # before it is sent: a quick worker might answer all the same
                assert agent._process is not None
                agent._process.kill()
                agent._process.wait()
            send(request)  # type: ignore[arg-type]

        monkeypatch.setattr(agent, "_send", send_and_kill)
        outcomes = measured(agent, *NAMES)
        assert [o.artifact for o in outcomes if isinstance(o, Failure)] == [CONV]
        monkeypatch.undo()
        assert set(fastest_ns(measured(agent, BLOCK, OVERHEAD.name))) == {BLOCK, OVERHEAD.name}


@pytest.mark.parametrize("runtime", ["torchscript"], indirect=True)  # ExecuTorch programs say what they take
def test_a_torchscript_file_of_somebody_else(tmp_path: Path, artifacts: dict[str, Artifact], runtime: str) -> None:
    path = tmp_path / "bare.pt"
    with zipfile.ZipFile(artifacts[BLOCK].path) as old, zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as new:
        for name in old.namelist():
            text = json.dumps({"engine": "abacus"}).encode() if name.endswith("lutbench.json") else old.read(name)
            new.writestr(name, text)
    with HostAgent(AgentSettings(runtime, "int8", 1)) as agent:
        (failure,) = agent.install([replace(artifacts[BLOCK], path=path)])
    assert "its description lacks channels_last" in failure.reason


COUNTED = {
    "executorch": "engine._library._threadpool_get_thread_count()",
    "torchscript": "__import__('torch').get_num_threads()",
}


def test_threads_are_set_before_the_runtime_starts(artifacts: dict[str, Artifact], runtime: str) -> None:
    """In a process of its own, for a pool can be set once; no default is three on two cores."""
    import subprocess
    import sys

    code = (
        "import sys\n"
        "from lutbench.device_agents.host.engines import ENGINES\n"
        "engine = ENGINES[sys.argv[1]](3)\n"
        "loaded = engine.load('x', sys.argv[2])\n"
        "loaded.rewrite_input(); loaded.invoke()\n"
        f"print({COUNTED[runtime]})\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, runtime, str(artifacts[BLOCK].path)], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "3"
