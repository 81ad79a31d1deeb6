"""Runs the real command in a process of its own."""

from __future__ import annotations

import functools
import signal
import subprocess
import sys
from pathlib import Path

from tests.cli.warm import WarmServer

COMMAND = [sys.executable, "-m", "lutbench"]
START_TIMEOUT_S = 60.0


@functools.cache
def _server() -> WarmServer:
    return WarmServer()


def run(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    """The command to its end, in a process that has its imports behind it."""
    return _server().run(list(arguments), cwd, timeout_s=120)


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
