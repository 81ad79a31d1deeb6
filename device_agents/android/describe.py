"""What can be read of a phone without root, in one command; what cannot be read is "unreadable"."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from lutbench.device_agents.agent import UNREADABLE, DeviceInfo
from lutbench.device_agents.android.connection import Connection

_CPU = "/sys/devices/system/cpu"
# name of a section -> the command that prints it
_SECTIONS = {
    "properties": "getprop",
    "kernel": "uname -r",
    "cpuinfo": "cat /proc/cpuinfo",
    "online": f"cat {_CPU}/online",
    "possible": f"cat {_CPU}/possible",
    # one process for all files; a file that may not be read costs its line
    "frequencies": f"cd {_CPU} && grep -H '' cpu[0-9]*/cpufreq/scaling_governor cpu[0-9]*/cpufreq/*_freq",
    "zones": "cd /sys/class/thermal && grep -H '' thermal_zone*/type thermal_zone*/temp",
    "battery": "dumpsys battery",
    "thermal": "dumpsys thermalservice",
}
_HEAT_SECTIONS = ("frequencies", "zones", "battery", "thermal")
_CPU_ZONE = re.compile(r"cpu|big|little|mid|cluster|soc|tsens|ap[-_]?therm|mtktscpu", re.IGNORECASE)
_NOT_CPU_ZONE = re.compile(r"batt|chg|charg|gpu|wifi|pa[-_]|modem|cam|usb|skin", re.IGNORECASE)
_CHARGING = {"1": "unknown", "2": "charging", "3": "discharging", "4": "not charging", "5": "full"}


@dataclass(frozen=True)
class State:
    """The sections as the phone printed them; one that it could not print is empty."""

    sections: dict[str, str]

    @property
    def properties(self) -> dict[str, str]:
        return dict(re.findall(r"^\[([^\]]+)\]: \[(.*)\]\r?$", self.sections.get("properties", ""), re.MULTILINE))

    @property
    def cores(self) -> list[int]:
        """Those on line; where that cannot be read, those that /proc/cpuinfo lists."""
        for section in ("online", "possible"):
            cores = parse_ranges(self.sections.get(section, ""))
            if cores:
                return cores
        return [int(n) for n in re.findall(r"^processor\s*:\s*(\d+)", self.sections.get("cpuinfo", ""), re.MULTILINE)]

    def frequency(self, core: int, file: str) -> str:
        """Content of a core's cpufreq file; "unreadable" where so."""
        found = re.search(rf"^cpu{core}/cpufreq/{file}:(.*)$", self.sections.get("frequencies", ""), re.MULTILINE)
        return found[1].strip() if found and found[1].strip() else UNREADABLE

    @property
    def speeds(self) -> dict[int, int]:
        """The highest frequency of each core in kHz, 0 where it is unreadable."""
        found = {core: self.frequency(core, "cpuinfo_max_freq") for core in self.cores}
        return {core: int(text) if text.isdigit() else 0 for core, text in found.items()}

    @property
    def zones(self) -> dict[str, float]:
        """Degrees Celsius by zone type; makers write thousandths, tenths or degrees."""
        text = self.sections.get("zones", "")
        types = dict(re.findall(r"^(thermal_zone\d+)/type:(.+)$", text, re.MULTILINE))
        temps = re.findall(r"^(thermal_zone\d+)/temp:\s*(-?\d+)\s*$", text, re.MULTILINE)
        return {f"{types.get(zone, zone).strip()}": celsius(int(value)) for zone, value in temps}

    @property
    def cpu_temperature_c(self) -> float | None:
        """The hottest zone of the processor."""
        values = [value for name, value in self.zones.items() if is_cpu_zone(name)]
        return max(values) if values else None

    def battery(self, key: str) -> str:
        found = re.search(rf"^\s*{key}:\s*(\S+)\s*$", self.sections.get("battery", ""), re.MULTILINE)
        return found[1] if found else UNREADABLE

    @property
    def battery_temperature_c(self) -> float | None:
        text = self.battery("temperature")
        return int(text) / 10 if text.lstrip("-").isdigit() else None

    @property
    def thermal_status(self) -> int | None:
        """0 (none) to 6 (shutdown), as Android 10 and later say."""
        found = re.search(r"Thermal Status:\s*(\d)", self.sections.get("thermal", ""))
        return int(found[1]) if found else None

    @property
    def is_emulated(self) -> bool:
        properties = self.properties
        return "1" in (properties.get("ro.kernel.qemu"), properties.get("ro.boot.qemu")) or properties.get(
            "ro.hardware"
        ) in ("goldfish", "ranchu")


def read_state(connection: Connection, heat_only: bool = False) -> State:
    """heat_only: just what changes while measuring, which costs the phone less."""
    names = _HEAT_SECTIONS if heat_only else tuple(_SECTIONS)
    script = "\n".join(f"echo '==={name}==='\n({_SECTIONS[name]}) 2>/dev/null" for name in names)
    text = connection.run(script).text
    parts = re.split(r"^===(\w+)===\r?$", text, flags=re.MULTILINE)
    return State({name: body.strip("\n") for name, body in zip(parts[1::2], parts[2::2], strict=True)})


def describe(state: State, kind: str, pinned_to: list[int]) -> DeviceInfo:
    """The phone. kind: of the connection; pinned_to: the cores that a job stays on."""
    properties = state.properties

    def prop(*names: str) -> str:
        return next((properties[name] for name in names if properties.get(name)), UNREADABLE)

    make, model = prop("ro.product.manufacturer", "ro.product.brand"), prop("ro.product.model")
    soc = prop("ro.soc.model", "ro.hardware.chipname", "ro.board.platform", "ro.hardware")
    system = f"Android {prop('ro.build.version.release')} (API {prop('ro.build.version.sdk')})"
    first = pinned_to[0] if pinned_to else 0
    environment: dict[str, Any] = {
        "make": make,
        "model": model,
        "cpu": soc,
        "cores": len(state.cores) or UNREADABLE,
        "pinned_to": pinned_to or UNREADABLE,
        "os": system,
        "build": prop("ro.build.fingerprint", "ro.build.display.id"),
        "kernel": state.sections.get("kernel", "").strip() or UNREADABLE,
        "abi": prop("ro.product.cpu.abi"),
        "governor": state.frequency(first, "scaling_governor"),
        "frequency_khz": state.frequency(first, "scaling_cur_freq"),
        "max_frequency_khz": state.frequency(first, "cpuinfo_max_freq"),
        "limit_frequency_khz": state.frequency(first, "scaling_max_freq"),
        "temperature_c": _or_unreadable(state.cpu_temperature_c),
        "battery_temperature_c": _or_unreadable(state.battery_temperature_c),
        "battery_level": state.battery("level"),
        "battery_status": _CHARGING.get(state.battery("status"), UNREADABLE),
        "thermal_status": _or_unreadable(state.thermal_status),
        "connection": kind,
        **({"emulated": True} if state.is_emulated else {}),
    }
    return DeviceInfo(make, model, system, soc, len(state.cores), environment)


def parse_ranges(text: str) -> list[int]:
    """0-3,6 -> [0, 1, 2, 3, 6]; [] for anything else."""
    cores: list[int] = []
    for part in text.strip().split(","):
        found = re.fullmatch(r"(\d{1,4})(?:-(\d{1,4}))?", part.strip())
        if not found:
            return []
        cores += range(int(found[1]), int(found[2] or found[1]) + 1)
    return cores


def is_cpu_zone(name: str) -> bool:
    """Whether a thermal zone of this type is the processor's; makers name them freely."""
    return bool(_CPU_ZONE.search(name)) and not _NOT_CPU_ZONE.search(name)


def celsius(value: int) -> float:
    """A zone's value in degrees; makers write thousandths, tenths or degrees."""
    if abs(value) > 1000:
        return value / 1000
    return value / 10 if abs(value) > 150 else float(value)


def _or_unreadable(value: float | None) -> float | str:
    return UNREADABLE if value is None else value
