"""Children end with their parent, however it ends."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from lutbench.children import Child, run_tied

PARENT = """
import sys, time
from lutbench.children import Child, run_tied
from tests.test_children import {target}
if __name__ == "__main__":
    child = Child({target})
    print(child.connection.recv(), flush=True)
    time.sleep(100)
"""
WAIT_S = 20.0


def sleeps(connection: object) -> None:
    connection.send(os.getpid())  # type: ignore[attr-defined]
    time.sleep(100)


def sleeps_where_the_system_does_not_help(connection: object) -> None:
    """As on macOS: only the pipe tells that the parent is gone."""
    if sys.platform == "linux":
        import ctypes

        ctypes.CDLL(None).prctl(1, 0)
    sleeps(connection)


def dies(_connection: object) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def is_running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    try:
        return ") Z " not in Path(f"/proc/{pid}/stat").read_text()  # nobody in a container may reap orphans
    except OSError:
        return False


def ended(pid: int) -> bool:
    deadline = time.monotonic() + WAIT_S
    while is_running(pid):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.01)
    return True


@pytest.mark.parametrize("target", [sleeps, sleeps_where_the_system_does_not_help])
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_a_child_ends_with_its_parent(target: object, number: signal.Signals, tmp_path: Path) -> None:
    script = tmp_path / "parent.py"
    script.write_text(PARENT.format(target=target.__name__))  # type: ignore[attr-defined]
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parent.parent)}
    with subprocess.Popen([sys.executable, str(script)], stdout=subprocess.PIPE, env=environment) as parent:
        assert parent.stdout is not None
        child = int(parent.stdout.readline())
        assert is_running(child)
        parent.send_signal(number)
    assert ended(child)


TIES = """
import sys
from lutbench.children import run_tied
run_tied(["sh", "-c", "sleep 100 & echo $! > pid.part; mv pid.part pid; wait"])
"""


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
def test_a_program_and_what_it_started_end_with_the_caller(number: signal.Signals, tmp_path: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", TIES], cwd=tmp_path, stderr=subprocess.DEVNULL) as parent:
        deadline = time.monotonic() + WAIT_S
        while not (tmp_path / "pid").exists():
            assert time.monotonic() < deadline
            time.sleep(0.01)
        parent.send_signal(number)
    assert ended(int((tmp_path / "pid").read_text()))


def test_a_programs_output_status_and_time_are_its_own() -> None:
    done = run_tied(["sh", "-c", "echo out; echo err >&2; exit 3"])
    assert (done.returncode, done.stdout, done.stderr) == (3, "out\n", "err\n")
    with pytest.raises(subprocess.TimeoutExpired):
        run_tied(["sleep", "100"], 0.2)


def test_a_childs_own_end_is_told() -> None:
    child = Child(dies)
    with pytest.raises(EOFError):
        child.connection.recv()
    assert child.death() == "signal 9"
    child.kill()
