from __future__ import annotations

import os
from pathlib import Path

import pytest

from lutbench.device_agents.agent import AgentSettings
from lutbench.device_agents.host import free_cores
from lutbench.device_agents.host.free_cores import busiest, check_free
from lutbench.device_agents.registry import find_device
from lutbench.errors import DeviceError
from lutbench.jobs.check import look_first_at_phone


@pytest.fixture
def stat(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine of four cores, of which this process may use 2 and 3; who sleeps there wakes up 100 ticks later."""
    path = tmp_path / "stat"
    monkeypatch.setattr(free_cores, "_STAT", path)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _pid: {2, 3}, raising=False)
    return path


def say(path: Path, busy: tuple[int, int, int, int], idle: tuple[int, int, int, int]) -> None:
    lines = [f"cpu{core} {busy[core]} 0 0 {idle[core]} 0 0 0 0 0 0" for core in range(4)]
    path.write_text("\n".join(["cpu 0 0 0 0 0 0 0 0 0 0", *lines, "intr 5"]) + "\n")


def later(monkeypatch: pytest.MonkeyPatch, path: Path, busy: tuple[int, int, int, int]) -> None:
    say(path, (0, 0, 0, 0), (0, 0, 0, 0))
    idle = tuple(100 - ticks for ticks in busy)
    monkeypatch.setattr(free_cores.time, "sleep", lambda _s: say(path, busy, idle))  # type: ignore[arg-type]


def test_only_the_cores_that_are_used_have_to_be_free(stat: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    later(monkeypatch, stat, (100, 100, 5, 3))
    check_free(2)
    later(monkeypatch, stat, (0, 0, 5, 60))
    check_free(1)
    with pytest.raises(DeviceError, match=r"2 threads cannot be timed: other programs use 60 % of one .*--force"):
        check_free(2)


def test_more_threads_than_cores_are_refused(stat: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    later(monkeypatch, stat, (0, 0, 0, 0))
    with pytest.raises(DeviceError, match="3 threads cannot be timed on 2 cores"):
        check_free(3)


def test_a_system_that_says_nothing_refuses_nothing(stat: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(free_cores.time, "sleep", lambda _s: None)
    assert not stat.exists()
    check_free(2)
    assert busiest({}, {}) == 0.0


def test_force_goes_on(stat: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    later(monkeypatch, stat, (0, 0, 90, 90))
    look_first_at_phone(find_device("host"), AgentSettings("onnx", "int8", 2, force=True), None)
    with pytest.raises(DeviceError, match="2 threads"):
        look_first_at_phone(find_device("host"), AgentSettings("onnx", "int8", 2), None)
