"""Keeping a phone awake while it is measured: asleep it schedules otherwise, and over Wi-Fi it does not answer."""

from __future__ import annotations

from typing import Any

from lutbench.device_agents.agent import UNREADABLE
from lutbench.device_agents.android.changes import Changes
from lutbench.device_agents.android.describe import State
from lutbench.events import Note, Report

AWAKE = "Awake"


class StayAwake:
    """Keeps one phone awake.

    found: how awake it was at first.

    state: the phone's before anything was changed.
    """

    def __init__(self, changes: Changes, report: Report, state: State) -> None:
        self._changes = changes
        self._report = report
        self.found = state.wakefulness
        self._slept = 0  # looks between batches at which it had fallen asleep
        self._said = False

    def begin(self, state: State) -> None:
        """Keeps the screen on while the phone is powered, and wakes it."""
        self._changes.stay_on(state.stay_on_setting)
        if self.found != AWAKE:
            self._changes.wake(was_asleep=self.found != UNREADABLE)

    def look(self, state: State) -> None:
        """Between batches: wakes the phone where it sleeps, and says once that it does."""
        if state.wakefulness in (AWAKE, UNREADABLE):
            return
        self._slept += 1
        self._changes.wake(was_asleep=False)
        if not self._said:
            self._said = True
            self._report(Note(why_asleep(state), warning=True))

    def seen(self) -> dict[str, Any]:
        """What the LUT says of it."""
        return {"wakefulness_found": self.found, **({"fell_asleep": self._slept} if self._slept else {})}


def why_asleep(state: State) -> str:
    """That a phone sleeps though it was woken, and what to do."""
    power = "; plug it into power, so that its screen can stay on" if state.is_powered is False else ""
    return (
        f"the phone is {state.wakefulness.lower()} while it is measured, and is woken again{power}; where it refuses"
        " that, switch on Stay awake in its developer options (Xiaomi: USB debugging (Security settings) too)"
    )
