"""Which thermal zones are the processor's, in what unit they count, and the hottest of them.

Makers name zones freely, and many are no temperatures: per cents of the battery, currents, limits, counters of steps,
sensors that are not fitted. So a zone counts only where its name, its unit, its range and how it behaves allow it.
"""

from __future__ import annotations

import fnmatch
import math
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

# words of a name (split at what is no letter, in lower case) that say processor
_PROCESSOR = re.compile(
    r"cpu(ss)?[a-z]{0,5}|acpu|apcpu|tcpu|mtktscpu|mtkts|tzts|kryo|silver|gold|goldplus|prime|apc"  # Qualcomm, MediaTek
    r"|mngs|apollo|atlas|big|little|lit|mid|middle|bigcore|midcore|litcore"  # Samsung, Google, Unisoc
    r"|cluster|tsens|soc|ank|prometheus|ap|pkg|coretemp"  # Huawei, older Qualcomm, boards, Unisoc, x86
)
# and words that say that it is something else, or nothing that is measured; they weigh more
_OTHER = re.compile(
    r"batt?.*|.*battery|chg.*|charg.*|gpu.*|g3d|wifi|wlan|wmt|conn|pa|modem|mdm.*|mmw|cam.*|usb|skin|quiet|xo|bcl|[iv]bat"
    r"|lvl|low|zeroc|socd|ddr|npu|tpu|isp|video|audio|hvx|nsp.*|lmh|dcvs|virt.*|trip|cdev|cool.*|hotplug|budget|power|odpm"
    r"|ocp|uvlo|smpl|v?droop|isense|emul|limit|thresh.*|flash|disp.*|lcd|speaker|spk|shell|case|board|pmic|buck|charger|front|back|frame"
)
_STEPS = re.compile(r"[-_](step|lowf)$")  # a second look at a sensor, for steps of cooling; or the step itself
_DEGREES, _TENTHS, _THOUSANDTHS = 1, 10, 1000
_COLDEST_C, _HOTTEST_C = -30.0, 125.0  # what is outside is a sensor parked at a limit, or none
_PARKED_C = (0.0, -40.0)  # what drivers say for "not there": nothing reads them for long
_COLDEST_START = 10  # as a whole number of degrees: below it is a counter, most likely

CPU, GPU, BATTERY, SKIN = 0, 1, 2, 3  # Android's types of temperatures


@dataclass(frozen=True)
class Zone:
    """A thermal zone as the phone shows it.

    raw: in the maker's unit.
    """

    name: str
    raw: int


@dataclass(frozen=True)
class Heat:
    """The hottest reading of the processor, and whose it is."""

    celsius: float
    name: str


def parse_zones(text: str) -> list[Zone]:
    """Reads lines thermal_zoneN/type:NAME and thermal_zoneN/temp:VALUE; what has no value is left out."""
    names = dict(re.findall(r"^thermal_zone(\d+)/type:(.*)$", text, re.MULTILINE))
    values = re.findall(r"^thermal_zone(\d+)/temp:\s*(-?\d{1,9})\s*$", text, re.MULTILINE | re.ASCII)
    return [Zone(names.get(number, "").strip() or f"thermal_zone{number}", int(raw)) for number, raw in values]


def parse_service(text: str) -> list[tuple[int, str, float]]:
    """(type, name, degrees) of what `dumpsys thermalservice` lists: as the hardware says now, else as it last said."""
    _, found, now = text.partition("Current temperatures from HAL:")
    section = re.split(r"^\S", now, maxsplit=1, flags=re.MULTILINE)[0] if found else ""
    readings = _service_lines(section)
    if not readings:
        _, _, cached = text.partition("Cached temperatures:")
        readings = _service_lines(re.split(r"^\S", cached, maxsplit=1, flags=re.MULTILINE)[0])
    return readings


def _service_lines(text: str) -> list[tuple[int, str, float]]:
    """Readings that are alive: what is not fitted is NaN or 0.0."""
    number = r"(-?\d{1,6}(?:\.\d+)?)"
    lines = re.findall(rf"Temperature\{{mValue={number}, mType=(-?\d{{1,3}}), mName=([^,}}]*)", text, re.ASCII)
    return [(int(kind), name.strip(), float(value)) for value, kind, name in lines if _alive(float(value))]


def is_processor(name: str) -> bool:
    """Whether a zone may be the processor's, by its name."""
    words = _words(name)
    return any(_PROCESSOR.fullmatch(word) for word in words) and not any(_OTHER.fullmatch(word) for word in words)


def _words(name: str) -> list[str]:
    return [word for word in re.split(r"[^a-z]+", name.lower()) if word]


class Thermometer:
    """The processor's zones of one phone, found among those it showed before anything ran.

    zones: those.
    ignored: patterns of names that do not count. dropped: names that were found not to be alive.
    """

    def __init__(self, zones: Sequence[Zone], ignored: Sequence[str] = ()) -> None:
        self._ignored = tuple(ignored)
        self._divisors = _divisors([zone for zone in zones if self._may_count(zone.name)])
        self.dropped: set[str] = set()

    @property
    def names(self) -> list[str]:
        """Those that count."""
        return sorted(set(self._divisors) - self.dropped)

    def _may_count(self, name: str) -> bool:
        return is_processor(name) and not any(fnmatch.fnmatchcase(name, pattern) for pattern in self._ignored)

    def hottest(self, zones: Iterable[Zone]) -> Heat | None:
        """The hottest of the processor's zones that are alive; None where there is none."""
        found = [Heat(c, zone.name) for zone in zones if (c := self._celsius(zone)) is not None]
        return max(found, key=lambda heat: heat.celsius, default=None)

    def readings(self, zones: Iterable[Zone]) -> dict[str, tuple[int, ...]]:
        """The raw readings of each name that counts, as a stuck one is told by them."""
        found: dict[str, list[int]] = {}
        for zone in zones:
            if self._celsius(zone) is not None:
                found.setdefault(zone.name, []).append(zone.raw)
        return {name: tuple(values) for name, values in found.items()}

    def hottest_of_service(self, readings: Iterable[tuple[int, str, float]]) -> Heat | None:
        """The hottest that Android itself calls a processor's, where that is not ignored."""
        found = [
            Heat(celsius, name)
            for kind, name, celsius in readings
            if kind == CPU and not any(_OTHER.fullmatch(word) for word in _words(name))
            and name not in self.dropped
            and not any(fnmatch.fnmatchcase(name, pattern) for pattern in self._ignored)
        ]  # fmt: skip
        return max(found, key=lambda heat: heat.celsius, default=None)

    def _celsius(self, zone: Zone) -> float | None:
        name = (
            zone.name if zone.name in self._divisors else re.sub(r"/\d+$", "", zone.name)
        )  # the runner's, of a second
        divisor = self._divisors.get(name)
        if divisor is None or name in self.dropped:
            return None
        celsius = zone.raw / divisor
        return celsius if _alive(celsius) else None


def _alive(celsius: float) -> bool:
    return _COLDEST_C < celsius <= _HOTTEST_C and celsius not in _PARKED_C and not math.isnan(celsius)


def _divisors(zones: Sequence[Zone]) -> dict[str, int]:
    """What a raw value of each name is divided by to be degrees; a name is left out whose unit says that it is none."""
    names = {zone.name for zone in zones}
    families: dict[str, list[int]] = {}
    for zone in zones:
        families.setdefault(_family(zone.name), []).append(zone.raw)
    units = {zone.name: unit for zone in zones if (unit := _unit(families[_family(zone.name)])) is not None}
    sure = Counter(unit for name, unit in units.items() if not _doubtful(name))
    usual = max(sure, key=lambda unit: (sure[unit], unit), default=None)  # a phone's processor speaks in one unit
    return {
        name: unit
        for name, unit in units.items()
        if usual in (None, unit)
        and not (_doubtful(name) and unit == _DEGREES)
        and not (_STEPS.search(name) and _STEPS.sub("-usr", name) in names)
    }


def _family(name: str) -> str:
    """Zones of one driver: cpu-0-1-usr and cpu-1-3-step are."""
    return re.sub(r"\d+", "#", re.sub(r"[-_](usr|step|lowf)$", "", name))


def _doubtful(name: str) -> bool:
    """soc is the system on a chip or the battery's state of charge; a step is a temperature or a number."""
    return "soc" in _words(name) or bool(_STEPS.search(name))


def _unit(raws: Iterable[int]) -> int | None:
    """The unit of a family; None where none of it is alive. One family is read together, for 100 alone says little."""
    largest = max(raws)
    if largest >= 2 * _THOUSANDTHS:
        return _THOUSANDTHS
    if largest > 150:
        return _TENTHS
    return _DEGREES if largest >= _COLDEST_START else None
