"""When a phone counts as hot."""

from __future__ import annotations

import pytest

from lutbench.device_agents.android.describe import State
from lutbench.device_agents.android.heat import heat_hindrance
from lutbench.device_agents.android.limits import Limits
from lutbench.device_agents.android.zones import Thermometer

COOL = {
    "possible": "0",
    "frequencies": "cpu0/cpufreq/scaling_max_freq:2000000\ncpu0/cpufreq/cpuinfo_max_freq:2000000",
    "zones": "thermal_zone0/type:cpu-0-0\nthermal_zone1/type:battery\nthermal_zone0/temp:41000\nthermal_zone1/temp:300",
    "battery": "  level: 80\n  temperature: 300",
    "thermal": "Thermal Status: 0",
}


def state(**changes: str) -> State:
    return State({**COOL, **changes})


def why_hot(found: State, capped_from_the_start: bool = False) -> str:
    hindrance = heat_hindrance(found, Thermometer(found.zones), Limits(), capped_from_the_start)
    return hindrance.what if hindrance else ""


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
