"""Looking at an iPhone between jobs: heat, low-power mode, the battery, and whether the app is in front."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

from lutbench.device_agents.ios.connection import AppConnection
from lutbench.device_agents.remote.waiting import NO_HEAT_WAIT, Hindrance, Waiting
from lutbench.device_agents.runner.records import State
from lutbench.events import Report

NOMINAL = "nominal"
_THERMAL = ("nominal", "fair", "serious", "critical")
_COOL_DOWN = "take it out of its case, off its charger and out of the sun, and close what runs on it"


class AppWatch:
    """Looks at the phone before each job; the app itself ends a job in which one of these things changes.

    least_battery_percent: below it the phone is waited for where it charges, and refused where it does not.
    heat_wait: whether heat is waited for at all.
    """

    cores: Sequence[int] | None = None  # iOS lets nobody choose
    is_due = True  # before every job

    def __init__(
        self,
        connection: AppConnection,
        report: Report,
        least_battery_percent: int,
        heat_wait: bool = True,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._connection = connection
        self._report = report
        self._least = least_battery_percent
        self._heat_wait = heat_wait
        self._clock = clock
        self._sleep = sleep
        self._waited_s = 0.0
        self._hottest = NOMINAL
        if not heat_wait:
            report(NO_HEAT_WAIT)

    def wait(self) -> None:
        """Returns once the phone is as it should be; DeviceError where it stays otherwise."""
        hindrance = self._look()
        if hindrance is not None:
            waiting = Waiting(self._connection.label, self._report, self._clock, self._sleep)
            self._waited_s += waiting.wait_out(hindrance, self._look)

    def moved(self, cores: Sequence[int]) -> bool:
        """Never known: iOS does not say which core it is."""
        del cores
        return False

    def raise_if_moved(self) -> None:
        """Nothing to say, see `moved`."""

    def note(self, *states: State) -> None:
        """Records from iOS hold no temperatures: an app may not read them."""

    def seen(self) -> dict[str, Any]:
        """What the LUT says of the run: how hot it was at most, and for how long it was waited for."""
        found: dict[str, Any] = {"hottest_thermal_state": self._hottest}
        if self._waited_s:
            found["waited_s"] = round(self._waited_s)
        if not self._heat_wait:
            found["heat_wait"] = False
        return found

    def _look(self) -> Hindrance | None:
        state = self._connection.state()
        found = hindrance_of(state, self._least, self._heat_wait)
        thermal = state.get("thermal")
        if found is None and thermal in _THERMAL and _THERMAL.index(thermal) > _THERMAL.index(self._hottest):
            self._hottest = thermal
        return found


def hindrance_of(state: dict[str, Any], least_battery_percent: int, heat_wait: bool) -> Hindrance | None:
    """Why the phone is not measured now; None where nothing speaks against it."""
    if state.get("foreground") is False:
        return Hindrance("the app is not in front", "unlock the iPhone and open lutbench on it")
    if state.get("low_power") is True:
        return Hindrance("low-power mode is on, which slows it", "switch it off in Settings > Battery")
    thermal = state.get("thermal")
    if heat_wait and thermal != NOMINAL:
        return Hindrance(f"the phone is hot (its thermal state is {thermal})", _COOL_DOWN, is_heat=True)
    level = state.get("battery")
    if isinstance(level, int | float) and not isinstance(level, bool) and 0 <= 100 * level < least_battery_percent:
        what = f"the phone's battery is at {100 * level:.0f} %, {least_battery_percent} % is the least"
        lower = "or give its entry another least_battery_percent"
        if state.get("charging") is True:
            return Hindrance(what, f"let it charge, {lower}")
        return Hindrance(f"{what}, and it does not charge", f"charge it, {lower}", hopeless=True)
    return None
