"""How hot, and how empty, a phone may be while it is measured; what a device's entry says of its sensors."""

from __future__ import annotations

from dataclasses import dataclass

PROCESSOR_C = 70.0
LEAST_BATTERY_PERCENT = 15  # below it phones save power by themselves


@dataclass(frozen=True)
class Limits:
    """What a phone may be like and still be measured.

    processor_c, battery_c: the phone is waited for above them.
    ignored_zones: patterns of names of thermal zones.
    least_battery_percent: below it the phone is waited for where it charges, and refused where it does not; 0: never.
    """

    processor_c: float = PROCESSOR_C
    battery_c: float = 42.0
    least_battery_percent: int = LEAST_BATTERY_PERCENT
    ignored_zones: tuple[str, ...] = ()
