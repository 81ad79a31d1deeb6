"""Actions on a device that are tried again where the link breaks, until the device has been away for too long."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

from lutbench.device_agents.agent import unheard
from lutbench.device_agents.remote.link import LinkLostError
from lutbench.errors import DeviceError
from lutbench.events import Note, Report

T = TypeVar("T")
CHECK_CABLE = "check its cable or network, and that it is on"
RECONNECT_S = 60.0  # how long a device may be away before the run gives up
_LAST_RECONNECT_S = 3.0
_FIRST_PAUSE_S = 0.2
_LONGEST_PAUSE_S = 5.0
_FAILURES_SAID = 2  # in a row: a link that is back at once is not worth a word


class Persistence:
    """Tries actions again, after reconnecting, until reconnect_s have passed without success.

    So actions must be such that doing them twice does no harm.

    connect: makes the link anew; LinkLostError where the device is not there yet.
    bring_back: what a person does for it to answer again.
    report: hears once that the device is waited for, where it is not back at once.
    losses: how often an action found the link broken.
    """

    def __init__(
        self,
        connect: Callable[[], None],
        label: str,
        reconnect_s: float = RECONNECT_S,
        bring_back: str = CHECK_CABLE,
        report: Report = unheard,
    ) -> None:
        self._connect = connect
        self._label = label
        self._reconnect_s = reconnect_s
        self._bring_back = bring_back
        self._report = report
        self.losses = 0

    def give_up_early(self) -> None:
        """Makes actions wait no longer than a moment for a device that does not answer."""
        self._reconnect_s = min(self._reconnect_s, _LAST_RECONNECT_S)

    def persist(self, action: Callable[[], T], lost: bool = False) -> T:
        """What the action returns. DeviceError where the device stays away.

        lost: the link is known to be broken, or was never made.
        """
        pause_s = _FIRST_PAUSE_S
        deadline: float | None = None  # counted from the first failure, for an action may take long and be well
        failures = 0
        while True:
            try:
                if lost:
                    self._connect()
                found = action()
            except LinkLostError as error:
                lost = True
                self.losses += 1
                now = time.monotonic()
                deadline = deadline or now + self._reconnect_s
                if now + pause_s > deadline:
                    raise DeviceError(
                        f"the phone does not answer any more ({error})", device=self._label,
                        remedy=f"{self._bring_back}; what was measured is kept, the same command goes on",
                    ) from error  # fmt: skip
                failures += 1
                if failures == _FAILURES_SAID:
                    self._report(Note(
                        f"waiting: the phone does not answer ({error}): {self._bring_back} (waits"
                        f" {self._reconnect_s:.0f} s at most)", warning=True,
                    ))  # fmt: skip
                time.sleep(pause_s)
                pause_s = min(2 * pause_s, _LONGEST_PAUSE_S)
            else:
                if failures >= _FAILURES_SAID:
                    self._report(Note("the phone answers again"))
                return found
