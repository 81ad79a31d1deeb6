"""Runs the real command in a process of its own."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

COMMAND = [sys.executable, "-m", "lutbench"]
START_TIMEOUT_S = 60.0


def run(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*COMMAND, *arguments], capture_output=True, text=True, cwd=cwd, timeout=120, check=False)


def one_line(done: subprocess.CompletedProcess[str], status: int) -> str:
    """The error, having checked that it is one line with the right status and no result."""
    assert done.returncode == status, done.stderr
    assert done.stdout == ""
    (line,) = done.stderr.splitlines()
    assert line.startswith("lutbench: ")
    return line


def started(*arguments: str, cwd: Path) -> subprocess.Popen[str]:
    """The command running; Ctrl-C reaches it even where the tests themselves run in the background."""
    return subprocess.Popen(
        [*COMMAND, *arguments],
        cwd=cwd,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
