"""Child processes that end with their parent, however it ends.

A parent that is killed runs no line more, so each child sees to it itself: on Linux the system kills it
(PR_SET_PDEATHSIG), and everywhere a thread of it waits at a pipe that only the parent holds open.
"""

from __future__ import annotations

import contextlib
import ctypes
import multiprocessing
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from multiprocessing.connection import Connection, wait
from typing import Any, Literal

from lutbench.streams import guard_streams

_PR_SET_PDEATHSIG = 1
_HELD = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_ORPHANED = 1  # exit status that nobody is left to read
Method = Literal["spawn", "fork"]


class Child:
    """A process that runs target(connection, *arguments), started anew: it shares nothing with this one.

    method: "fork" instead makes it a copy of this process, with all that it has loaded; only this thread goes on in it.
    """

    def __init__(self, target: Callable[..., None], *arguments: Any, method: Method = "spawn") -> None:
        context: Any = multiprocessing.get_context(method)
        self.connection, theirs = context.Pipe()
        self._process = context.Process(target=_run, args=(target, theirs, *arguments), daemon=True)
        try:
            with _signals_held():  # one that arrives while the child starts must not reach it before it is ready
                self._process.start()
        except BaseException:
            if self._process.pid is not None:
                self._process.kill()
            self.connection.close()
            raise
        finally:
            theirs.close()

    @property
    def pid(self) -> int:
        return self._process.pid or 0

    def kill(self) -> None:
        """Ends the process at once; nothing waits for what it was doing."""
        self._process.kill()
        self._process.join()
        self.connection.close()

    def death(self) -> str:
        """Says how a process that is gone ended: `signal 9`, `status 1`."""
        self._process.join()
        return ending(self._process.exitcode or 0)


def ending(status: int) -> str:
    """A child's exit status in words."""
    return f"signal {-status}" if status < 0 else f"status {status}"


def run_tied(words: Sequence[str], timeout_s: float | None = None) -> subprocess.CompletedProcess[str]:
    """Runs another program to its end, as subprocess.run does; it and what it starts end with this process.

    subprocess.TimeoutExpired where it takes longer.
    """
    end, lifeline = os.pipe()
    try:
        command = [sys.executable, "-P", "-m", "lutbench.tied", str(end), *words]
        with subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",
            pass_fds=[end],
            start_new_session=True,  # Ctrl-C is this process's to handle
        ) as process:
            os.close(end)
            end = -1
            try:
                output, errors = process.communicate(timeout=timeout_s)
            finally:
                os.close(lifeline)  # before the process is waited for
                lifeline = -1
            return subprocess.CompletedProcess(list(words), process.returncode, output, errors)
    finally:
        for descriptor in (end, lifeline):
            if descriptor >= 0:
                os.close(descriptor)


def _run(target: Callable[..., None], connection: Connection, *arguments: Any) -> None:
    end_with_parent()
    guard_streams()
    target(connection, *arguments)


def end_with_parent(_worker: int = 0) -> None:
    """Makes a process that multiprocessing has started end with its parent; it is called there before all else.

    Ctrl-C and a hang-up are the parent's to handle.

    _worker: the number that torch's DataLoader gives.
    """
    signal.set_wakeup_fd(-1)  # a forked process has the parent's
    for number in (signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _HELD)
    parent = multiprocessing.parent_process()
    if parent is None:
        return
    _ask_system_to_end_it()
    if os.getppid() != parent.pid:  # it ended before the system was asked
        os._exit(_ORPHANED)
    threading.Thread(target=_end_at, args=(lambda: wait([parent.sentinel]),), daemon=True).start()


def end_with_pipe(descriptor: int) -> None:
    """Makes any other process end with its parent, which gave it the reading end of a pipe of its own.

    The pipe stays open as long as the parent lives.

    The thread that waits at it holds no lock and takes no time of what is measured.
    """
    _ask_system_to_end_it()
    threading.Thread(target=_end_at, args=(lambda: os.read(descriptor, 1),), daemon=True).start()


def _end_at(parent_gone: Callable[[], object]) -> None:
    parent_gone()
    os._exit(_ORPHANED)


def _ask_system_to_end_it() -> None:
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


@contextlib.contextmanager
def _signals_held() -> Iterator[None]:
    """Signals reach neither a child that starts inside, until it is ready, nor this process before it has started.

    Blocking is what a child inherits; here another thread may be given the signal, so the handlers wait as well.
    """
    held: list[int] = []
    before = signal.pthread_sigmask(signal.SIG_BLOCK, _HELD)
    main = threading.current_thread() is threading.main_thread()
    handlers = {number: signal.getsignal(number) for number in _HELD} if main else {}
    handlers = {number: handler for number, handler in handlers.items() if callable(handler)}
    for number in handlers:
        signal.signal(number, lambda number, _: held.append(number))
    try:
        yield
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
    if held:
        signal.raise_signal(held[0])
