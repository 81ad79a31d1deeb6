"""Commands in processes of their own that need not import what a test run has imported a hundred times.

A server has torch and the rest loaded, and forks for every command: a real process, with its own streams, folder,
environment, signals and exit status, some seconds sooner. What is tested of starting up (how soon something is said,
what is loaded, signals) runs the command itself (running.started).
"""

from __future__ import annotations

import atexit
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import traceback
from pathlib import Path
from typing import Any, NoReturn

_LOADED = (
    *("torch", "onnx", "onnxruntime", "numpy", "pandas", "scipy.stats", "matplotlib.pyplot", "rich.live"),
    *("lightning_fabric", "sklearn.datasets"),
    *("lutbench.cli.main", "lutbench.cli.bench", "lutbench.cli.search", "lutbench.cli.train", "lutbench.cli.export"),
    *("lutbench.jobs.bench", "lutbench.jobs.search", "lutbench.jobs.train", "lutbench.jobs.export"),
    *("lutbench.jobs.profile", "lutbench.jobs.verify", "lutbench.search.train", "lutbench.search.dnas"),
)


class WarmServer:
    """Runs commands, one at a time."""

    def __init__(self) -> None:
        command = [sys.executable, "-c", "from tests.cli.warm import serve; serve()"]
        root = Path(__file__).parents[2]
        self._process = subprocess.Popen(command, cwd=root, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        atexit.register(self.close)

    def close(self) -> None:
        """Ends the server."""
        if self._process.stdin is not None:
            self._process.stdin.close()
        self._process.wait()

    def run(self, arguments: list[str], cwd: Path, timeout_s: float) -> subprocess.CompletedProcess[str]:
        """Like subprocess.run of `python -m lutbench`, with this process's environment; TimeoutExpired likewise."""
        assert self._process.stdin is not None and self._process.stdout is not None
        with tempfile.TemporaryDirectory() as name:
            paths = [str(Path(name) / stream) for stream in ("out", "err")]
            asked = {"arguments": arguments, "cwd": str(cwd), "environment": dict(os.environ), "paths": paths}
            self._process.stdin.write(json.dumps({**asked, "timeout_s": timeout_s}) + "\n")
            self._process.stdin.flush()
            status = json.loads(self._process.stdout.readline())
            output, errors = (Path(path).read_text() for path in paths)
        if status is None:
            raise subprocess.TimeoutExpired(arguments, timeout_s, output, errors)
        return subprocess.CompletedProcess(arguments, status, output, errors)


def serve() -> None:
    """The server: forks for each line of standard input, and answers with the exit status, null after the limit."""
    import importlib

    for module in _LOADED:
        importlib.import_module(module)
    for line in sys.stdin:
        asked = json.loads(line)
        pid = os.fork()
        if pid == 0:
            _become(asked)
        killer = threading.Timer(asked["timeout_s"], os.kill, (pid, signal.SIGKILL))
        killer.start()
        _, status = os.waitpid(pid, 0)
        in_time = killer.is_alive()
        killer.cancel()
        killer.join()
        print(json.dumps(os.waitstatus_to_exitcode(status) if in_time else None), flush=True)


def _become(asked: dict[str, Any]) -> NoReturn:
    """The command, in the process that was forked for it."""
    for number, place in ((0, os.devnull), *zip((1, 2), asked["paths"], strict=True)):
        descriptor = os.open(place, os.O_RDWR | os.O_CREAT)
        os.dup2(descriptor, number)
        os.close(descriptor)
    os.environ.clear()
    os.environ.update(asked["environment"])
    os.chdir(asked["cwd"])
    sys.argv = ["lutbench", *asked["arguments"]]
    status = 1
    try:
        from lutbench.cli.main import main

        main(asked["arguments"])
    except SystemExit as ended:
        status = ended.code if isinstance(ended.code, int) else 1
    except BaseException:  # noqa: BLE001 - as the interpreter does at the end of a program
        traceback.print_exc()
    finally:
        atexit._run_exitfuncs()
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
        os._exit(status)
