"""When a phone counts as hot, and what happens while it does."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from lutbench.device_agents.android import heat
from lutbench.device_agents.android.connection import Connection
from lutbench.device_agents.android.describe import State
from lutbench.device_agents.android.heat import wait_until_cool, why_hot
from lutbench.errors import DeviceError
from lutbench.events import Event, Note

COOL = {
    "frequencies": "cpu0/cpufreq/scaling_max_freq:2000000\ncpu0/cpufreq/cpuinfo_max_freq:2000000",
    "zones": "thermal_zone0/type:cpu-0-0\nthermal_zone1/type:battery\nthermal_zone0/temp:41000\nthermal_zone1/temp:300",
    "battery": "  level: 80\n  temperature: 300",
    "thermal": "Thermal Status: 0",
}


def state(**changes: str) -> State:
    return State({**COOL, **changes})


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({}, ""),
        ({"zones": "thermal_zone0/type:cpu-0-0\nthermal_zone0/temp:70500"}, "processor is at 70 °C"),
        ({"zones": "thermal_zone0/type:BIG\nthermal_zone0/temp:88"}, "processor is at 88 °C"),
        ({"zones": "thermal_zone0/type:chg_therm\nthermal_zone0/temp:90000"}, ""),
        ({"battery": "temperature: 431"}, "battery is at 43 °C"),
        ({"thermal": "Thermal Status: 2"}, "thermal status is 2"),
        ({"frequencies": COOL["frequencies"].replace("max_freq:2000000", "max_freq:1500000", 1)}, "below its highest"),
        ({"frequencies": "", "zones": "", "battery": "", "thermal": ""}, ""),  # nothing can be read: nothing says hot
    ],
)
def test_what_says_that_a_phone_is_hot(changes: dict[str, str], reason: str) -> None:
    found = why_hot(state(**changes))
    assert reason in found and bool(found) == bool(reason)


def test_a_phone_held_back_before_anything_ran_is_not_hot() -> None:
    capped = state(frequencies="cpu0/cpufreq/scaling_max_freq:1500000\ncpu0/cpufreq/cpuinfo_max_freq:2000000")
    assert why_hot(capped) and not why_hot(capped, capped_from_the_start=True)


def waiting(states: list[State], monkeypatch: pytest.MonkeyPatch, longest_s: float) -> tuple[float, list[Event]]:
    """Waits through the states, 10 s apart; the last one lasts."""
    left: Iterator[State] = iter(states)
    last = [states[0]]
    now = [0.0]

    def read(_connection: object, heat_only: bool) -> State:
        assert heat_only
        last[0] = next(left, last[0])
        return last[0]

    def sleep(seconds: float) -> None:
        now[0] += seconds

    monkeypatch.setattr(heat, "read_state", read)
    events: list[Event] = []
    connection = Connection(None, "phone")  # type: ignore[arg-type]
    return wait_until_cool(connection, events.append, False, 10.0, longest_s, lambda: now[0], sleep), events


def test_waiting_is_said_and_ends_well_below_the_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    at = lambda celsius: state(zones=f"thermal_zone0/type:cpu\nthermal_zone0/temp:{celsius}000")  # noqa: E731
    waited_s, events = waiting([at(80), at(75), at(68), at(64)], monkeypatch, 100)
    assert waited_s == 30
    assert [event.text for event in events if isinstance(event, Note)] == [
        "waiting: the phone is hot (its processor is at 80 °C)", "the phone has cooled down after 30 s",
    ]  # fmt: skip


def test_a_cool_phone_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    assert waiting([state()], monkeypatch, 100) == (0.0, [])


def test_a_phone_that_stays_hot_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(DeviceError, match="stays hot: Android's thermal status is 3 after 2 minutes"):
        waiting([state(thermal="Thermal Status: 3")], monkeypatch, 120)
