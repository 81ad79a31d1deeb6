"""What can be read of a phone without root, in one command; what cannot be read is "unreadable"."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from lutbench.device_agents.agent import UNREADABLE, DeviceInfo
from lutbench.device_agents.android.connection import Connection
from lutbench.device_agents.android.zones import SKIN, Heat, Thermometer, Zone, parse_service, parse_zones

_CPU = "/sys/devices/system/cpu"
# name of a section -> the command that prints it
_SECTIONS = {
    "properties": "getprop",
    "kernel": "uname -r",
    "cpuinfo": "cat /proc/cpuinfo",
    "online": f"cat {_CPU}/online",
    "possible": f"cat {_CPU}/possible",
    "present": f"cat {_CPU}/present",
    # one process for all files; a file that may not be read costs its line
    "frequencies": f"cd {_CPU} && grep -H '' cpu[0-9]*/cpufreq/scaling_governor cpu[0-9]*/cpufreq/*_freq"
    " cpu[0-9]*/cpufreq/related_cpus cpu[0-9]*/cpu_capacity",
    "zones": "cd /sys/class/thermal && grep -H '' thermal_zone*/type thermal_zone*/temp",
    "battery": "dumpsys battery",
    "thermal": "dumpsys thermalservice",
    "power": "dumpsys power | grep -i -e '^ *mWakefulness=' -e mIsPowered= -e mLowPowerModeEnabled="
    " -e 'battery saver is currently'",
    "settings": "echo low_power=$(settings get global low_power);"
    " echo stay_on_while_plugged_in=$(settings get global stay_on_while_plugged_in)",
    # of the shell that adb starts, which the runner is started from
    "process": "cat /proc/self/cpuset /proc/self/cgroup; grep Cpus_allowed_list /proc/self/status",
}
_MOST_CORES = 1024
_CHANGING = ("online", "frequencies", "zones", "battery", "thermal", "power", "process")
_CHARGING = {"1": "unknown", "2": "charging", "3": "discharging", "4": "not charging", "5": "full"}


@dataclass(frozen=True)
class State:
    """The sections as the phone printed them; one that it could not print is empty."""

    sections: dict[str, str]

    @property
    def properties(self) -> dict[str, str]:
        return dict(re.findall(r"^\[([^\]]+)\]: \[(.*)\]\r?$", self.sections.get("properties", ""), re.MULTILINE))

    @property
    def api_level(self) -> int | None:
        text = self.properties.get("ro.build.version.sdk", "")
        return int(text) if re.fullmatch(r"\d{1,4}", text, re.ASCII) else None

    def within(self, whole: State) -> State:
        """This, where only what changes was read, with the rest of a whole one."""
        return State({**whole.sections, **self.sections})

    @property
    def cores(self) -> list[int]:
        """Every core that the phone has, on line or not; where that cannot be read, those that /proc/cpuinfo lists."""
        possible, present = (parse_ranges(self.sections.get(section, "")) for section in ("possible", "present"))
        found = [core for core in possible if core in present] or possible or present or self.online
        if found:
            return found
        listed = re.findall(r"^processor\s*:\s*([0-9]{1,4})\b", self.sections.get("cpuinfo", ""), re.MULTILINE)
        return [int(number) for number in listed]

    @property
    def online(self) -> list[int]:
        """[] where it cannot be read."""
        return parse_ranges(self.sections.get("online", ""))

    @property
    def allowed(self) -> list[int]:
        """The cores that the phone lets our processes use; [] where it cannot be read."""
        found = re.search(r"^Cpus_allowed_list:\s*(\S+)", self.sections.get("process", ""), re.MULTILINE)
        return parse_ranges(found[1]) if found else []

    @property
    def away(self) -> list[int]:
        """Cores that are off line, or that our processes may not use."""
        online, allowed = self.online or self.cores, self.allowed or self.cores
        return [core for core in self.cores if core not in online or core not in allowed]

    @property
    def usable(self) -> list[int]:
        away = set(self.away)
        return [core for core in self.cores if core not in away]

    def frequency(self, core: int, file: str) -> str:
        """Content of a core's cpufreq file; "unreadable" where so."""
        return self._of_core(core, f"cpufreq/{file}")

    def _of_core(self, core: int, file: str) -> str:
        text = self.sections.get("frequencies", "")
        found = re.search(rf"^cpu{core}/{re.escape(file)}:(.*)$", text, re.MULTILINE)
        return found[1].strip() if found and found[1].strip() else UNREADABLE

    @property
    def speeds(self) -> dict[int, int]:
        """What tells clusters apart: each core's highest frequency in kHz, or its capacity; 0 where unreadable.

        A core that is off line has its siblings' frequency.
        """
        found = {core: _whole(self.frequency(core, "cpuinfo_max_freq")) for core in self.cores}
        for core in [core for core, khz in found.items() if khz]:
            siblings = self.frequency(core, "related_cpus").split()
            found |= {n: found[core] for n in map(_whole, siblings) if found.get(n) == 0}
        if all(found.values()):
            return found
        capacities = {core: _whole(self._of_core(core, "cpu_capacity")) for core in self.cores}
        return capacities if all(capacities.values()) else found

    @property
    def zones(self) -> list[Zone]:
        return parse_zones(self.sections.get("zones", ""))

    @property
    def service_temperatures(self) -> list[tuple[int, str, float]]:
        """(type, name, degrees) as Android 10 and later say."""
        return parse_service(self.sections.get("thermal", ""))

    @property
    def wakefulness(self) -> str:
        """Awake, Dreaming, Dozing or Asleep."""
        found = re.search(r"^\s*mWakefulness=([A-Za-z]+)", self.sections.get("power", ""), re.MULTILINE)
        return found[1] if found else UNREADABLE

    @property
    def is_powered(self) -> bool | None:
        return _said(r"mIsPowered=(true|false)", self.sections.get("power", ""))

    @property
    def low_power(self) -> bool | None:
        """Whether battery saving is on; the setting alone does not say it, for charging overrules that."""
        power = self.sections.get("power", "")
        said = _said(r"(?i)battery saver is currently:\s*(on|off|adaptive)", power)
        if said is None:
            said = _said(r"mLowPowerModeEnabled=(true|false)", power)
        return _said(r"low_power=([01])\b", self.sections.get("settings", "")) if said is None else said

    @property
    def stay_on_setting(self) -> str:
        """stay_on_while_plugged_in as it is kept: a number, or null; "" where it cannot be read."""
        found = re.search(
            r"stay_on_while_plugged_in=(\d{1,4}|null)\s*$", self.sections.get("settings", ""), re.MULTILINE
        )
        return found[1] if found else ""

    @property
    def scheduling_group(self) -> str:
        """The cpuset and the cpu control group of our processes, such as /foreground and cpu:/system."""
        text = self.sections.get("process", "")
        groups = re.findall(r"^\d*:([\w,=]*:/.*)$", text, re.MULTILINE)
        return ", ".join([*re.findall(r"^/.*$", text, re.MULTILINE), *groups]) or UNREADABLE

    @property
    def battery_percent(self) -> int | None:
        text = self.battery("level")
        return int(text) if re.fullmatch(r"\d{1,3}", text, re.ASCII) else None

    @property
    def is_charging(self) -> bool:
        return self.battery("status") in ("2", "5")

    def battery(self, key: str) -> str:
        found = re.search(rf"^\s*{key}:\s*(\S+)\s*$", self.sections.get("battery", ""), re.MULTILINE)
        return found[1] if found else UNREADABLE

    @property
    def battery_temperature_c(self) -> float | None:
        text = self.battery("temperature")
        return int(text) / 10 if re.fullmatch(r"-?\d{1,6}", text, re.ASCII) else None

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


def read_state(connection: Connection, changing_only: bool = False) -> State:
    """Reads how the phone is now.

    changing_only: just what changes while measuring, which costs the phone less.
    """
    names = _CHANGING if changing_only else tuple(_SECTIONS)
    script = "\n".join(f"echo; echo '==={name}==='\n({_SECTIONS[name]}) 2>/dev/null" for name in names)
    text = connection.run(script).text
    parts = re.split(r"^===(\w+)===\r?$", text, flags=re.MULTILINE)
    return State({name: body.strip("\n") for name, body in zip(parts[1::2], parts[2::2], strict=True)})


def describe(state: State, kind: str, pinned_to: list[int], thermometer: Thermometer | None = None) -> DeviceInfo:
    """The phone.

    kind: of the connection.
    pinned_to: the cores that a job stays on.
    thermometer: what its processor's temperature is read with; None: one that knows this state alone.
    """
    heat = processor_heat(state, thermometer or Thermometer(state.zones))
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
        "temperature_c": heat.celsius if heat else UNREADABLE,
        "temperature_of": heat.name if heat else UNREADABLE,
        "battery_temperature_c": _or_unreadable(state.battery_temperature_c),
        "battery_level": state.battery("level"),
        "battery_status": _CHARGING.get(state.battery("status"), UNREADABLE),
        "thermal_status": _or_unreadable(state.thermal_status),
        "skin_temperature_c": _or_unreadable(_skin_c(state)),
        "wakefulness": state.wakefulness,
        "low_power": _or_unreadable(state.low_power),
        "scheduling_group": state.scheduling_group,
        "cpus_allowed": state.allowed or UNREADABLE,
        **({"cores_away": state.away} if state.away else {}),
        "connection": kind,
        **({"emulated": True} if state.is_emulated else {}),
    }
    return DeviceInfo(make, model, system, soc, len(state.cores), environment)


def parse_ranges(text: str) -> list[int]:
    """0-3,6 -> [0, 1, 2, 3, 6]; [] for anything else."""
    cores: list[int] = []
    for part in text.strip().split(","):
        found = re.fullmatch(r"([0-9]{1,4})(?:-([0-9]{1,4}))?", part.strip())
        if not found:
            return []
        cores += range(int(found[1]), int(found[2] or found[1]) + 1)
        if len(cores) > _MOST_CORES:
            return []
    return cores


def processor_heat(state: State, thermometer: Thermometer) -> Heat | None:
    """The processor's temperature: by the kernel's zones, where those can be read, else as Android's service says."""
    heat = thermometer.hottest(state.zones)
    return heat or thermometer.hottest_of_service(state.service_temperatures)


def _skin_c(state: State) -> float | None:
    found = [celsius for kind, _, celsius in state.service_temperatures if kind == SKIN]
    return max(found, default=None)


def _said(pattern: str, text: str) -> bool | None:
    """What the first group of a pattern says; None where it is not there."""
    found = re.search(pattern, text)
    return found[1].lower() in ("true", "1", "on", "adaptive") if found else None


def _whole(text: str) -> int:
    return int(text) if re.fullmatch(r"\d{1,9}", text, re.ASCII) else 0


def _or_unreadable(value: float | None) -> float | str:
    return UNREADABLE if value is None else value
