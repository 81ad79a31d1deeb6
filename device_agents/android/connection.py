"""Connection: commands, pushes and pulls that survive a link that breaks and comes back."""

from __future__ import annotations

from lutbench.device_agents.agent import unheard
from lutbench.device_agents.android.link import Link
from lutbench.device_agents.android.shell import Answer, framed, new_marker, unframed
from lutbench.device_agents.remote.persist import RECONNECT_S, Persistence
from lutbench.errors import DeviceError
from lutbench.events import Report

COMMAND_TIMEOUT_S = 20.0


class Connection:
    """A phone. Every action is tried again, after reconnecting, until reconnect_s have passed without success.

    So scripts must be such that running them twice does no harm.

    report: hears that the phone is waited for.
    pushed_bytes: of all pushes that went through.
    losses: how often an action found the connection broken.
    """

    def __init__(self, link: Link, label: str, reconnect_s: float = RECONNECT_S, report: Report = unheard) -> None:
        self._link = link
        self._label = label
        self._persistence = Persistence(lambda: self._link.connect(), label, reconnect_s, report=report)
        self.pushed_bytes = 0

    @property
    def losses(self) -> int:
        return self._persistence.losses

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

        return self._persistence.persist(once)

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
        self._persistence.persist(lambda: self._link.push(data, path))
        self.pushed_bytes += len(data)

    def pull(self, path: str) -> bytes:
        return self._persistence.persist(lambda: self._link.pull(path))

    def give_up_early(self) -> None:
        """Makes calls wait no longer than a moment for a phone that does not answer."""
        self._persistence.give_up_early()

    def close(self) -> None:
        self._link.close()
