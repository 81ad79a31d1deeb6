"""Signals to the real command: it ends in order, a second one never hangs it, and no process stays behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.cli.running import COMMAND, START_TIMEOUT_S, started
from tests.test_children import ended

STATUSES = {signal.SIGINT: 130, signal.SIGTERM: 143, signal.SIGHUP: 129}
STUCK = """
import time
from lutbench.cli.signals import handle_signals
handle_signals()
try:
    print("ready", flush=True)
    time.sleep(100)
except KeyboardInterrupt:
    print("first", flush=True)
    time.sleep(100)
"""


def children(pid: int) -> list[int]:
    """Process numbers, by Linux's list."""
    found = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [int(child) for child in found]


def exporting(folder: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[subprocess.Popen[str], list[int]]:
    """A profile with an empty cache as it exports, and its workers."""
    monkeypatch.setenv("LUTBENCH_CACHE", str(folder / "cache"))
    process = started("profile", "--space", "tiny.toml", "-o", "out.csv", cwd=folder)
    deadline = time.monotonic() + START_TIMEOUT_S
    while len(found := children(process.pid)) < min(3, 1 + (os.cpu_count() or 1)):  # workers and Python's own helper
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline, "the export did not start"
        time.sleep(0.01)
    return process, found


linux = pytest.mark.skipif(sys.platform != "linux", reason="children are found by Linux's list")


@linux
def test_no_export_worker_outlives_a_killed_parent(tiny_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    process, workers = exporting(tiny_file.parent, monkeypatch)
    process.kill()
    process.communicate()
    assert all(ended(worker) for worker in workers)


@linux
@pytest.mark.parametrize("number", STATUSES)
def test_a_signal_twice_while_exporting(
    number: signal.Signals, tiny_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    process, workers = exporting(tiny_file.parent, monkeypatch)
    process.send_signal(number)
    process.send_signal(number)
    output, errors = process.communicate(timeout=30)
    assert (process.returncode, output) == (STATUSES[number], "")
    assert "the same command goes on" in errors.splitlines()[-1]
    assert all(ended(worker) for worker in workers)


@pytest.mark.parametrize("number", STATUSES)
def test_a_second_signal_ends_what_the_first_did_not(number: signal.Signals) -> None:
    with subprocess.Popen([sys.executable, "-c", STUCK], stdout=-1, stderr=-1, text=True) as process:
        assert process.stdout is not None and process.stderr is not None
        assert process.stdout.readline() == "ready\n"
        process.send_signal(number)
        assert process.stdout.readline() == "first\n"
        time.sleep(1.1)  # what follows at once is the first signal sent twice, as `timeout` does
        process.send_signal(number)
        assert process.wait(timeout=30) == STATUSES[number]
        assert "a second time" in process.stderr.read()


def test_what_nohup_ignores_stays_ignored(tmp_path: Path) -> None:
    code = "import signal\nfrom lutbench.cli.main import main\ntry: main(['nets', '--json'])\nfinally:"
    code += " assert signal.getsignal(signal.SIGHUP) == signal.SIG_IGN"
    command = ["nohup", sys.executable, "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path)
    assert done.returncode == 0, done.stderr


@linux
def test_the_measuring_worker_ends_with_a_killed_parent(measured: Path, tiny_file: Path) -> None:
    assert measured.exists()  # its artifacts are in the cache: this run measures at once
    endless = ("--target", "0.0001", "--max-rounds", "100000")
    process = started("profile", "--space", "tiny.toml", "-o", "out.csv", *endless, cwd=tiny_file.parent)
    journal = tiny_file.parent / "out.journal" / "r1.jsonl"
    deadline = time.monotonic() + START_TIMEOUT_S
    while not (journal.exists() and journal.read_bytes().count(b"\n") > 20):
        assert process.poll() is None and time.monotonic() < deadline, process.communicate()
        time.sleep(0.01)
    (worker,) = [child for child in children(process.pid) if "host.worker" in command_of(child)]
    process.kill()
    process.communicate()
    assert ended(worker)


def command_of(pid: int) -> str:
    return Path(f"/proc/{pid}/cmdline").read_bytes().decode()


def test_the_command_is_the_one_that_is_tested() -> None:
    assert COMMAND[-1] == "lutbench"


@pytest.mark.parametrize("number", STATUSES)
def test_what_a_library_makes_of_a_signal_is_no_traceback(number: signal.Signals) -> None:
    """A module in C whose import a signal cuts short raises an ImportError."""
    code = f"""
import os, time
from lutbench.cli import main

def run_command(arguments):
    try:
        os.kill(os.getpid(), {int(number)})
        time.sleep(30)
    except KeyboardInterrupt:
        raise ImportError("initialization failed") from None

main.run_command = run_command
main.main(["nets"])
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (STATUSES[number], "lutbench: interrupted\n")


LEAVING = """
import atexit, os, signal, sys
from lutbench.cli.main import main
class Slow:
    def __del__(self):
        os.write(2, b"taken apart")
sys.modules["kept"] = Slow()
atexit.register(lambda: print("registered"))
import lutbench.cli.main as module
def stopped(arguments):
    os.kill(os.getpid(), signal.SIGTERM)
    signal.pause()
module.run_command = stopped
main(["demo"])
"""


def test_an_interrupted_command_does_what_is_registered_and_is_not_taken_apart() -> None:
    """PyTorch gives back its memory for seconds, while the person who pressed Ctrl-C waits."""
    done = subprocess.run([sys.executable, "-c", LEAVING], capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout) == (143, "registered\n")
    assert "taken apart" not in done.stderr and done.stderr.count("\n") == 1
