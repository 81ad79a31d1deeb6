"""The app as what runs jobs: one at a time, by the runner's own core; records wait on the phone until they are read."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterator, Sequence

from lutbench.device_agents.ios.connection import AppConnection
from lutbench.device_agents.remote.process import Look

_SHORTEST_LOOK_S, _LONGEST_LOOK_S = 0.5, 5.0  # that a look waits on the phone for the job's end


class AppProcess:
    """Jobs of one app, as lutbench.device_agents.remote.process has it.

    A broken connection does not end a job here, so a job that ended is never the link's fault.
    """

    link_lost = False

    def __init__(self, connection: AppConnection) -> None:
        self._connection = connection
        self._nonce = ""
        self._offset = 0
        self._partial = b""

    def start(self, job: bytes, command: Sequence[str]) -> None:
        """Gives the job to the app, which knows it by its hash: given twice it runs once."""
        del command
        self._nonce = hashlib.sha256(job).hexdigest()[:32]  # a job holds a nonce of its own
        self._offset, self._partial = 0, b""
        self._connection.give_job(self._nonce, job)

    def follow(self, limit_s: Callable[[], float]) -> Iterator[Look]:
        began = heard = time.monotonic()
        while True:
            wait_s = min(max(time.monotonic() - began, _SHORTEST_LOOK_S), _LONGEST_LOOK_S, max(limit_s(), 0.0))
            losses = self._connection.losses
            look = self._look(wait_s)
            if look.lines or self._connection.losses != losses:  # an app that was away was not silent
                heard = time.monotonic()
            yield look
            if look.done or look.gone:
                return
            if time.monotonic() - heard > limit_s():
                self._connection.ask({"end": self._nonce})
                yield from self._ended()
                return

    def renew(self) -> None:
        """The next job is given to a new session of the runtime; the process stays the same."""
        self._connection.ask({"renew": True})

    def _ended(self) -> Iterator[Look]:
        """What a job that was told to end leaves: the app ends itself where the runtime does not come back."""
        until = time.monotonic() + _LONGEST_LOOK_S
        while True:
            look = self._look(_SHORTEST_LOOK_S)
            yield look
            if look.done or look.gone or time.monotonic() > until:
                return

    def _look(self, wait_s: float) -> Look:
        """One look, and more at once where the records do not fit into an answer."""
        lines: list[bytes] = []
        while True:
            entry = {"look": self._nonce, "offset": self._offset, "wait_ms": round(1000 * wait_s)}
            answer, data = self._connection.records(entry, wait_s)
            self._offset += len(data)
            *whole, self._partial = (self._partial + data).split(b"\n")
            lines += whole
            if not answer.get("more"):
                done = answer.get("done") is True
                return Look(tuple(lines), None, not done and answer.get("running") is not True, done)
            wait_s = 0.0
