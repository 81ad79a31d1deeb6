"""What can be read of this machine's state: CPU model, governor, frequencies, temperatures, load."""

from __future__ import annotations

import os
import platform
from pathlib import Path
from typing import Any

from lutbench.device_agents.agent import UNREADABLE, DeviceInfo

_CPU = Path("/sys/devices/system/cpu")
_DMI = Path("/sys/class/dmi/id")
_THERMAL = Path("/sys/class/thermal")


def describe_host(cores: list[int]) -> DeviceInfo:
    """This machine.

    cores: those the worker is pinned to.
    """
    cpu = _cpu_model()
    first = cores[0] if cores else 0
    frequency = _CPU / f"cpu{first}" / "cpufreq"
    environment: dict[str, Any] = {
        "cpu": cpu,
        "cores": os.cpu_count() or 0,
        "pinned_to": cores or UNREADABLE,
        "os": platform.platform(),
        "governor": _read(frequency / "scaling_governor"),
        "frequency_khz": _read(frequency / "scaling_cur_freq"),
        "max_frequency_khz": _read(frequency / "cpuinfo_max_freq"),
        "temperature_c": _temperature(),
        "load_1min": _load(),
    }
    return DeviceInfo(
        make=_read(_DMI / "sys_vendor"),
        model=_read(_DMI / "product_name"),
        os=platform.platform(),
        cpu=cpu,
        cores=os.cpu_count() or 0,
        environment=environment,
    )


def _read(path: Path) -> str:
    try:
        return path.read_text().strip() or UNREADABLE
    except (OSError, UnicodeDecodeError):
        return UNREADABLE


def _cpu_model() -> str:
    for line in _read(Path("/proc/cpuinfo")).splitlines():
        if line.startswith("model name"):
            return line.split(":", 1)[1].strip()
    return platform.processor() or platform.machine() or UNREADABLE


def _temperature() -> float | str:
    """The hottest zone in degrees Celsius."""
    readings = []
    for zone in sorted(_THERMAL.glob("thermal_zone*/temp")):
        text = _read(zone)
        if text.lstrip("-").isdigit():
            readings.append(int(text) / 1000)
    return max(readings) if readings else UNREADABLE


def _load() -> float | str:
    try:
        return round(os.getloadavg()[0], 2)
    except OSError:
        return UNREADABLE
