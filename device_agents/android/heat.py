"""Waiting for a hot phone to cool down: it is slower then than it will be in use, and no two samples are alike."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Sequence

from lutbench.device_agents.android.connection import Connection
from lutbench.device_agents.android.describe import State, celsius, is_cpu_zone, read_state
from lutbench.device_agents.runner.records import State as RunnerState
from lutbench.errors import DeviceError
from lutbench.events import Note, Report

CPU_LIMIT_C = 70.0
BATTERY_LIMIT_C = 42.0
COOL_BY_C = 5.0  # below the limit before it goes on: at the limit it would be hot again at once
LONGEST_WAIT_S = 1200.0
_LOOK_EVERY_S = 5.0  # while it is hot
_ASK_EVERY_S = 30.0  # while it is not


def why_hot(state: State, capped_from_the_start: bool = False, margin_c: float = 0.0) -> str:
    """One clause on what says that the phone is hot; "" where nothing does."""
    cpu, battery, status = state.cpu_temperature_c, state.battery_temperature_c, state.thermal_status
    if status:
        return f"Android's thermal status is {status}"
    if cpu is not None and cpu > CPU_LIMIT_C - margin_c:
        return f"its processor is at {cpu:.0f} °C"
    if battery is not None and battery > BATTERY_LIMIT_C - margin_c:
        return f"its battery is at {battery:.0f} °C"
    if not capped_from_the_start and is_capped(state):
        return "it holds its processor below its highest frequency"
    return ""


def is_capped(state: State) -> bool:
    """Whether a core may not reach its highest frequency."""
    pairs = [
        (state.frequency(core, "scaling_max_freq"), state.frequency(core, "cpuinfo_max_freq")) for core in _cores(state)
    ]
    return any(limit.isdigit() and top.isdigit() and int(limit) < int(top) for limit, top in pairs)


def _cores(state: State) -> list[int]:
    return sorted({int(n) for n in re.findall(r"^cpu(\d+)/", state.sections.get("frequencies", ""), re.MULTILINE)})


class HeatWatch:
    """Looks at the phone's heat before a batch, and remembers what the runner's records say of it.

    state: the phone's before anything ran. alive: done now and then while waiting.
    """

    def __init__(
        self, connection: Connection, report: Report, state: State, alive: Callable[[], None] = lambda: None
    ) -> None:
        self._alive = alive
        self._connection = connection
        self._report = report
        self._capped = is_capped(state)  # by battery saving, say: then that says nothing of heat
        self._look_at = 0.0
        self._hottest_c: float | None = None
        self._slowest_khz: dict[str, int] = {}

    def wait(self) -> None:
        """Returns once the phone is cool. It is asked now and then, and at once where a record was hot."""
        if time.monotonic() >= self._look_at:
            wait_until_cool(self._connection, self._report, self._capped, alive=self._alive)
            self._look_at = time.monotonic() + _ASK_EVERY_S

    def note(self, *states: RunnerState) -> None:
        """Takes in what the runner read around a cycle."""
        for state in states:
            zones = [celsius(value) for name, value in state.temperature_mc.items() if is_cpu_zone(name)]
            if zones:
                self._hottest_c = max([*zones, self._hottest_c or -273.0])
                if max(zones) > CPU_LIMIT_C:
                    self._look_at = 0.0
            for core, khz in state.khz.items():
                self._slowest_khz[core] = min(khz, self._slowest_khz.get(core, khz))

    def seen(self, cores: Sequence[int]) -> dict[str, float]:
        """For the LUT: how hot the processor was at most, and how slow the cores were at least, while measuring."""
        khz = [self._slowest_khz[str(core)] for core in cores if str(core) in self._slowest_khz]
        found: dict[str, float] = {"slowest_khz": min(khz)} if khz else {}
        return found if self._hottest_c is None else {**found, "hottest_c": self._hottest_c}


def wait_until_cool(
    connection: Connection,
    report: Report,
    capped_from_the_start: bool,
    look_every_s: float | None = None,
    longest_s: float = LONGEST_WAIT_S,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
    alive: Callable[[], None] = lambda: None,
) -> float:
    """Seconds waited; DeviceError where the phone stays hot.

    capped_from_the_start: its processor was held back before anything ran (battery saving), so that says nothing.
    """
    reason = why_hot(read_state(connection, heat_only=True), capped_from_the_start)
    if not reason:
        return 0.0
    report(Note(f"waiting: the phone is hot ({reason})", warning=True))
    started = clock()
    while reason:
        if clock() - started > longest_s:
            raise DeviceError(
                f"the phone stays hot: {reason} after {longest_s / 60:.0f} minutes", device=connection.label,
                remedy="take it out of its case and off its charger; the same command goes on",
            )  # fmt: skip
        alive()
        sleep(_LOOK_EVERY_S if look_every_s is None else look_every_s)
        reason = why_hot(read_state(connection, heat_only=True), capped_from_the_start, COOL_BY_C)
    waited_s = clock() - started
    report(Note(f"the phone has cooled down after {waited_s:.0f} s"))
    return waited_s
