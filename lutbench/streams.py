"""Standard streams that never stop a run: what cannot be printed is let go of, and the exit status says so."""

from __future__ import annotations

import errno
import io
import os
import select
import sys
from typing import TextIO

from lutbench.errors import OutputError

READER_GONE = 141  # as a program has it that SIGPIPE ends
_AGAIN = "free some space and run the same command again"
_STDIN, _STDOUT, _STDERR = 0, 1, 2


class _Sink(io.RawIOBase):
    """A descriptor. After the first write that fails all others are dropped; problem: that failure."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self.problem: OSError | None = None

    def writable(self) -> bool:
        return True

    def fileno(self) -> int:
        return self._descriptor

    def isatty(self) -> bool:
        return os.isatty(self._descriptor)

    def write(self, data: object, /) -> int:
        view = memoryview(data)  # type: ignore[arg-type]
        while self.problem is None:
            try:
                return os.write(self._descriptor, view)
            except BlockingIOError:  # somebody else made the pipe non-blocking, and its reader is slow
                select.select([], [self._descriptor], [])
            except OSError as error:
                self.problem = error
        return view.nbytes


def guard_streams() -> None:
    """Puts such streams in the place of standard output and error, and the null device where one is closed.

    A closed one is what the caller asked for. Its number must not go to the next file that is opened: libraries print
    to it, and a journal could be there.
    """
    for descriptor in (_STDIN, _STDOUT, _STDERR):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # the lowest number that is free: this one
    if sys.stdout is sys.__stdout__:
        sys.stdout = _guarded(sys.stdout, _STDOUT, "replace")
    if sys.stderr is sys.__stderr__:
        sys.stderr = _guarded(sys.stderr, _STDERR, "backslashreplace")


def _guarded(stream: TextIO | None, descriptor: int, errors: str) -> io.TextIOWrapper:
    encoding = getattr(stream, "encoding", None) or "utf-8"
    sink = _Sink(descriptor)
    at_once = descriptor == _STDERR or sink.isatty()
    return io.TextIOWrapper(io.BufferedWriter(sink), encoding, errors, line_buffering=at_once)


def check_output() -> None:
    """OutputError where what was printed until now could not be written, as on a full disk.

    A reader that has gone is no error: it had what it wanted.
    """
    sink = _output()
    if sink is None or sink.problem is None or sink.problem.errno == errno.EPIPE:
        return
    problem, sink.problem = sink.problem, None
    raise OutputError(f"standard output: cannot write: {problem.strerror or problem}", remedy=_AGAIN)


def status_of_output() -> int:
    """READER_GONE where standard output had no reader, else 0; OutputError as from check_output."""
    check_output()
    sink = _output()
    return READER_GONE if sink is not None and sink.problem is not None else 0


def _output() -> _Sink | None:
    """Standard output with nothing left in its buffer; None where another stream is in its place."""
    sink = getattr(getattr(sys.stdout, "buffer", None), "raw", None)
    if not isinstance(sink, _Sink):
        return None
    sys.stdout.flush()
    return sink
