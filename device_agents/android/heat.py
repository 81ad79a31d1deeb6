"""What says that a phone is hot, or not as it should be: it is slower then than it will be in use."""

from __future__ import annotations

from lutbench.device_agents.android.describe import State, processor_heat
from lutbench.device_agents.android.limits import Limits
from lutbench.device_agents.android.zones import Thermometer
from lutbench.device_agents.remote.waiting import Hindrance
from lutbench.reading.numbers import whole

COOL_BY_C = 5.0  # below the limit before it goes on: at the limit it would be hot again at once
COOL_DOWN = "take it out of its case, off its charger and out of the sun, and close what runs on it"


def heat_hindrance(
    state: State, thermometer: Thermometer, limits: Limits, capped_from_the_start: bool, margin_c: float = 0.0
) -> Hindrance | None:
    """What says that the phone is hot; None where nothing does."""
    heat, battery, status = processor_heat(state, thermometer), state.battery_temperature_c, state.thermal_status

    def hot(why: str, sensor: str = "") -> Hindrance:
        return Hindrance(f"the phone is hot ({why})", COOL_DOWN, is_heat=True, sensor=sensor)

    if status:
        return hot(f"Android's thermal status is {status}")
    if heat is not None and heat.celsius > limits.processor_c - margin_c:
        return hot(f"its processor is at {heat.celsius:.0f} °C by {heat.name}", heat.name)
    if battery is not None and battery > limits.battery_c - margin_c:
        return hot(f"its battery is at {battery:.0f} °C")
    if not capped_from_the_start and is_capped(state):
        return hot("it holds its processor below its highest frequency")
    return None


def battery_hindrance(state: State, limits: Limits) -> Hindrance | None:
    """What says that the battery is too empty; None where it is not, or cannot be read."""
    percent = state.battery_percent
    if percent is None or percent >= limits.least_battery_percent:
        return None
    what = f"the phone's battery is at {percent} %, {limits.least_battery_percent} % is the least"
    lower = "or give its entry another least_battery_percent"
    if state.is_charging:
        return Hindrance(what, f"let it charge, {lower}")
    return Hindrance(f"{what}, and it does not charge", f"charge it, {lower}", hopeless=True)


def is_capped(state: State) -> bool:
    """Whether a core may not reach its highest frequency."""
    pairs = [
        (state.frequency(core, "scaling_max_freq"), state.frequency(core, "cpuinfo_max_freq")) for core in state.cores
    ]
    known = [(whole(limit), whole(top)) for limit, top in pairs]
    return any(limit < top for limit, top in known if limit is not None and top is not None)
