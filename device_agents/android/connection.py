"""Connection: commands, pushes and pulls that survive a link that breaks and comes back."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

from lutbench.device_agents.android.link import Link, LinkLostError
from lutbench.device_agents.android.shell import Answer, CutOffError, framed, new_marker, unframed
from lutbench.errors import DeviceError

T = TypeVar("T")
COMMAND_TIMEOUT_S = 20.0
RECONNECT_S = 60.0  # how long a phone may be away before the run gives up
_LAST_RECONNECT_S = 3.0
_FIRST_PAUSE_S = 0.2
_LONGEST_PAUSE_S = 5.0


class Connection:
    """A phone. Every action is tried again, after reconnecting, until reconnect_s have passed without success.

    So scripts must be such that running them twice does no harm. pushed_bytes: of all pushes that went through.
    losses: how often an action found the connection broken.
    """

    def __init__(self, link: Link, label: str, reconnect_s: float = RECONNECT_S) -> None:
        self._link = link
        self._label = label
        self._reconnect_s = reconnect_s
        self.pushed_bytes = 0
        self.losses = 0

    @property
    def kind(self) -> str:
        return self._link.kind

    @property
    def label(self) -> str:
        """What messages call the phone."""
        return self._label

    def run(self, script: str, timeout_s: float = COMMAND_TIMEOUT_S) -> Answer:
        """The script's output and status. DeviceError where the phone stays away."""

        def once() -> Answer:
            marker = new_marker()
            return unframed(self._link.execute(framed(script, marker), timeout_s), marker)

        return self._persist(once)

    def check(self, script: str, timeout_s: float = COMMAND_TIMEOUT_S) -> Answer:
        """Runs a command as `run` does, but a status other than 0 is a DeviceError."""
        answer = self.run(script, timeout_s)
        if answer.status:
            first = script.strip().splitlines()[0][:80]
            raise DeviceError(
                f"`{first}` failed on the phone with status {answer.status}: {answer.text[-200:]}", device=self._label
            )
        return answer

    def push(self, data: bytes, path: str) -> None:
        """PushError where the phone cannot store it."""
        self._persist(lambda: self._link.push(data, path))
        self.pushed_bytes += len(data)

    def pull(self, path: str) -> bytes:
        return self._persist(lambda: self._link.pull(path))

    def give_up_early(self) -> None:
        """Makes calls wait no longer than a moment for a phone that does not answer."""
        self._reconnect_s = min(self._reconnect_s, _LAST_RECONNECT_S)

    def close(self) -> None:
        self._link.close()

    def _persist(self, action: Callable[[], T]) -> T:
        pause_s = _FIRST_PAUSE_S
        deadline: float | None = None  # counted from the first failure, for an action may take long and be well
        lost = False
        while True:
            try:
                if lost:
                    self._link.connect()
                return action()
            except (LinkLostError, CutOffError) as error:
                lost = True
                self.losses += 1
                now = time.monotonic()
                deadline = deadline or now + self._reconnect_s
                if now + pause_s > deadline:
                    raise DeviceError(
                        f"the phone does not answer any more ({error})", device=self._label,
                        remedy="check its cable or network; what was measured is kept, the same command goes on",
                    ) from error  # fmt: skip
                time.sleep(pause_s)
                pause_s = min(2 * pause_s, _LONGEST_PAUSE_S)
