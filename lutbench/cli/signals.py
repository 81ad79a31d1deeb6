"""Ctrl-C, SIGTERM and SIGHUP: the first one ends a run in order, a second one at once."""

from __future__ import annotations

import atexit
import contextlib
import os
import signal
import socket
import sys
import threading
import time
from types import FrameType
from typing import NoReturn

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
TOGETHER_S = 1.0  # `timeout` and terminals send one signal twice: what follows so closely is the first one
_NAMES = {signal.SIGINT: "interrupted", signal.SIGTERM: "ended by SIGTERM", signal.SIGHUP: "ended by SIGHUP"}


class _Received:
    """The first signal that ended this run, 0 for none yet."""

    number = 0


def handle_signals() -> None:
    """Makes the first of the signals raise KeyboardInterrupt; those that are ignored, as by nohup, stay so.

    A second one is seen by a thread, for the first may find this one inside a library's long call.
    """
    ours, theirs = socket.socketpair()
    theirs.setblocking(False)
    for number in SIGNALS:
        if signal.getsignal(number) != signal.SIG_IGN:
            signal.signal(number, _interrupt)
    signal.set_wakeup_fd(theirs.detach(), warn_on_full_buffer=False)
    threading.Thread(target=_end_at_second, args=(ours,), daemon=True).start()


def is_interrupted() -> bool:
    """Whether a signal has ended this run: what a library raises after one may be any error of its own."""
    return bool(_Received.number)


def interrupted_status() -> int:
    """What a run exits with that a signal ended: 130 after Ctrl-C, 143 after SIGTERM, 129 after SIGHUP."""
    return 128 + (_Received.number or signal.SIGINT)


def leave_at_once(status: int) -> NoReturn:
    """Ends this process, after a signal, without taking Python apart.

    PyTorch alone takes one to three seconds to give back its memory piece by piece, which the system does at once.
    What is registered to be done at the end (temporary folders, logs) is done.
    """
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError):  # nobody reads any more, or it is closed
            stream.flush()
    os._exit(status)


def _interrupt(number: int, frame: FrameType | None) -> None:
    del frame
    if not _Received.number:
        _Received.number = number
        raise KeyboardInterrupt


def _end_at_second(wakeups: socket.socket) -> None:
    first_s = 0.0
    while numbers := wakeups.recv(64):
        for number in numbers:
            if number not in _NAMES:
                continue
            if not first_s:
                first_s = time.monotonic()
            elif time.monotonic() - first_s >= TOGETHER_S:
                _end_at_once(number)


def _end_at_once(number: int) -> None:
    """Children end with this process, files are whole at any moment, and journals are on disk: nothing is lost."""
    text = f"lutbench: {_NAMES[signal.Signals(number)]} a second time: ended at once; what was measured is kept\n"
    try:
        os.write(2, text.encode())
    finally:
        os._exit(128 + number)
