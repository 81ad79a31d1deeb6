"""Looking at a phone between batches: heat, battery, cores and sleep; waiting until it is as it should be."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

from lutbench.device_agents.android.awake import StayAwake
from lutbench.device_agents.android.connection import Connection
from lutbench.device_agents.android.describe import State, processor_heat, read_state
from lutbench.device_agents.android.heat import (
    COOL_BY_C,
    battery_hindrance,
    heat_hindrance,
    is_capped,
)
from lutbench.device_agents.android.limits import Limits
from lutbench.device_agents.android.zones import Heat, Thermometer, Zone
from lutbench.device_agents.remote.waiting import LOOK_EVERY_S, NO_HEAT_WAIT, Hindrance, Waiting
from lutbench.device_agents.runner.records import State as RunnerState
from lutbench.errors import DeviceError
from lutbench.events import Note, Report

_ASK_EVERY_S = 30.0  # while it is not
# a processor that does nothing does not keep its temperature for so long, a minute where others change, else five
_STUCK_LOOKS, _STUCK_LOOKS_ALONE = 13, 61


class PhoneWatch:
    """Looks at the phone before a batch, and remembers what the runner's records say of it.

    state: the phone's before anything ran.
    cores: those measured on, threads of which have to be there.
    awake: keeps it awake.
    alive: done now and then while waiting.
    heat_wait: whether heat is waited for at all.
    """

    def __init__(
        self,
        connection: Connection,
        report: Report,
        state: State,
        cores: Sequence[int],
        threads: int = 1,
        limits: Limits | None = None,
        awake: StayAwake | None = None,
        alive: Callable[[], None] = lambda: None,
        heat_wait: bool = True,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._connection = connection
        self._report = report
        self._limits = limits or Limits()
        self.cores = list(cores)
        self._threads = threads
        self._awake = awake
        self._alive = alive
        self._heat_wait = heat_wait
        self._clock = clock
        self._sleep = sleep
        self.thermometer = Thermometer(state.zones, self._limits.ignored_zones)
        self._at_first = self._last = state
        self._capped_from_the_start = is_capped(state)  # by battery saving, or by heat: looked at again once it is cool
        self._unpowered = state.is_powered is False
        self._look_at = -1.0
        self._waited_s = 0.0
        self._heat_seen = processor_heat(state, self.thermometer) is not None
        self._hottest: Heat | None = None
        self._slowest_khz: dict[str, int] = {}
        self._moved_to: list[int] = []
        self._moved_cycles = 0
        self._say_what_is_odd(state)

    def _say_what_is_odd(self, state: State) -> None:
        if not self._heat_seen:
            self._report(Note(
                "none of the phone's thermal sensors is known to be its processor's: heat is seen by its battery,"
                " Android's thermal status and held-back frequencies alone; the LUT says so", warning=True,
            ))  # fmt: skip
        if state.low_power:
            self._report(Note(
                "battery saving is on, which holds the processor back: switch it off (Settings > Battery); the LUT says"
                " so", warning=True,
            ))  # fmt: skip
        elif self._capped_from_the_start:
            self._report(Note(
                "the phone holds its processor below its highest frequency, though battery saving is off: heat from"
                " before, or its maker's performance settings; looked at again before each batch", warning=True,
            ))  # fmt: skip
        if not self._heat_wait:
            self._report(NO_HEAT_WAIT)

    @property
    def is_due(self) -> bool:
        """Whether it is time to look at the phone."""
        return self._clock() >= self._look_at

    def wait(self) -> None:
        """Returns once the phone is as it should be. It is asked now and then, and at once where a record was hot.

        DeviceError where it stays otherwise, or where waiting would not help.
        """
        if self.is_due:
            self._wait()
            # without power nothing keeps the screen on, so it is looked at before every batch
            self._look_at = self._clock() + (0.0 if self._unpowered else _ASK_EVERY_S)

    def _wait(self) -> None:
        state = self._look()
        hindrance = self._hindrance(state)
        if hindrance is None:
            self._note_heat(processor_heat(state, self.thermometer))
            return
        stuck = _Stuck(self.thermometer)

        def pause_s(now: Hindrance) -> float:
            dead = stuck.found(self._last, now)
            if dead:
                self.thermometer.dropped.add(dead)
                self._report(Note(f"the sensor {dead} does not change: it is not counted any more", warning=True))
            return 0.0 if dead else LOOK_EVERY_S

        waiting = Waiting(self._connection.label, self._report, self._clock, self._sleep, self._alive)
        self._waited_s += waiting.wait_out(hindrance, lambda: self._hindrance(self._look(), COOL_BY_C), pause_s)
        self._note_heat(processor_heat(self._last, self.thermometer))

    def _look(self) -> State:
        state = read_state(self._connection, changing_only=True).within(self._at_first)
        self._unpowered = state.is_powered is False
        if self._awake is not None:
            self._awake.look(state)
        self._last = state
        return state

    def _hindrance(self, state: State, margin_c: float = 0.0) -> Hindrance | None:
        heat = heat_hindrance(state, self.thermometer, self._limits, self._capped_from_the_start, margin_c)
        if heat is None and not is_capped(state):
            self._capped_from_the_start = False  # from now on it says something
        found = heat if self._heat_wait else None
        return found or battery_hindrance(state, self._limits) or self._cores_hindrance(state)

    def _cores_hindrance(self, state: State) -> Hindrance | None:
        gone = [core for core in self.cores if core in state.away]
        if not gone or len(self.cores) - len(gone) >= self._threads:
            return None
        text = ", ".join(map(str, gone))
        return Hindrance(
            f"the phone has taken the cores {text} away, on which it is measured",
            "keep its screen on and it cool, and close what runs on it",
        )

    def moved(self, cores: Sequence[int]) -> bool:
        """Whether a cycle ran on other cores than it was to, where the phone moved it; such a cycle does not count."""
        elsewhere = set(cores) - set(self.cores)
        if elsewhere:
            self._moved_to = sorted({*self._moved_to, *elsewhere})
            self._moved_cycles += 1
            self._look_at = -1.0
        return bool(elsewhere)

    def raise_if_moved(self) -> None:
        """DeviceError where cycles ran on other cores."""
        if self._moved_to:
            moved, wanted = (", ".join(map(str, cores)) for cores in (self._moved_to, self.cores))
            raise DeviceError(
                f"the phone runs what is measured on its cores {moved}, not on {wanted}", device=self._connection.label,
                remedy="keep its screen on and battery saving off, or choose other --cores; the same command goes on",
            )  # fmt: skip

    def note(self, *states: RunnerState) -> None:
        """Takes in what the runner read around a cycle."""
        for state in states:
            heat = self.thermometer.hottest(Zone(name, raw) for name, raw in state.temperature_mc.items())
            self._note_heat(heat)
            if heat is not None and heat.celsius > self._limits.processor_c:
                self._look_at = -1.0
            for core, khz in state.khz.items():
                self._slowest_khz[core] = min(khz, self._slowest_khz.get(core, khz))

    def _note_heat(self, heat: Heat | None) -> None:
        """Of a moment when it measures or is about to, not of one when it waits."""
        if heat is not None and (self._hottest is None or heat.celsius > self._hottest.celsius):
            self._hottest = heat

    def seen(self) -> dict[str, Any]:
        """What the LUT says of the run: how hot the processor was at most, how slow the cores were at least, what was
        waited for.
        """
        khz = [self._slowest_khz[str(core)] for core in self.cores if str(core) in self._slowest_khz]
        found: dict[str, Any] = {"heat_seen": self._heat_seen or self._hottest is not None}
        if khz:
            found["slowest_khz"] = min(khz)
        if self._hottest is not None:
            found["hottest_c"] = self._hottest.celsius
        if self.thermometer.dropped:
            found["stuck_sensors"] = sorted(self.thermometer.dropped)
        if self._waited_s:
            found["waited_s"] = round(self._waited_s)
        if not self._heat_wait:
            found["heat_wait"] = False
        if self._moved_cycles:
            found["cycles_on_other_cores"] = self._moved_cycles
        return {**found, **(self._awake.seen() if self._awake else {})}


class _Stuck:
    """Tells a sensor that says the same for a minute, while the processor does nothing, from one that is hot."""

    def __init__(self, thermometer: Thermometer) -> None:
        self._thermometer = thermometer
        self._last: dict[str, tuple[int, ...]] = {}
        self._same: dict[str, int] = {}  # looks in a row at which it said the same
        self._looks = 0

    def found(self, state: State, hindrance: Hindrance) -> str:
        """The name of the sensor that the hindrance is about, where it is stuck, else ""."""
        now = self._thermometer.readings(state.zones)
        if not now:  # Android's service alone is heard
            now = {name: (round(celsius * 1000),) for _, name, celsius in state.service_temperatures}
        for name, raws in now.items():
            self._same[name] = self._same.get(name, 0) + 1 if self._last.get(name) == raws else 1
        self._last = now
        self._looks += 1
        others_change = any(same < self._looks for name, same in self._same.items() if name != hindrance.sensor)
        enough = _STUCK_LOOKS if others_change else _STUCK_LOOKS_ALONE
        return hindrance.sensor if self._same.get(hindrance.sensor, 0) >= enough else ""
