"""What an iPhone is, of what its app says; what it does not say is "unreadable"."""

from __future__ import annotations

from typing import Any

from lutbench.device_agents.agent import UNREADABLE, DeviceInfo
from lutbench.device_agents.ios.link import Opened

# hw.machine -> (the name that it is sold under, its chip)
_MODELS = {
    "iPhone8,1": ("iPhone 6s", "A9"), "iPhone8,2": ("iPhone 6s Plus", "A9"), "iPhone8,4": ("iPhone SE", "A9"),
    "iPhone9,1": ("iPhone 7", "A10"), "iPhone9,2": ("iPhone 7 Plus", "A10"), "iPhone9,3": ("iPhone 7", "A10"),
    "iPhone9,4": ("iPhone 7 Plus", "A10"), "iPhone10,1": ("iPhone 8", "A11"), "iPhone10,2": ("iPhone 8 Plus", "A11"),
    "iPhone10,3": ("iPhone X", "A11"), "iPhone10,4": ("iPhone 8", "A11"), "iPhone10,5": ("iPhone 8 Plus", "A11"),
    "iPhone10,6": ("iPhone X", "A11"), "iPhone11,2": ("iPhone XS", "A12"), "iPhone11,4": ("iPhone XS Max", "A12"),
    "iPhone11,6": ("iPhone XS Max", "A12"), "iPhone11,8": ("iPhone XR", "A12"), "iPhone12,1": ("iPhone 11", "A13"),
    "iPhone12,3": ("iPhone 11 Pro", "A13"), "iPhone12,5": ("iPhone 11 Pro Max", "A13"),
    "iPhone12,8": ("iPhone SE (2nd generation)", "A13"), "iPhone13,1": ("iPhone 12 mini", "A14"),
    "iPhone13,2": ("iPhone 12", "A14"), "iPhone13,3": ("iPhone 12 Pro", "A14"),
    "iPhone13,4": ("iPhone 12 Pro Max", "A14"), "iPhone14,2": ("iPhone 13 Pro", "A15"),
    "iPhone14,3": ("iPhone 13 Pro Max", "A15"), "iPhone14,4": ("iPhone 13 mini", "A15"),
    "iPhone14,5": ("iPhone 13", "A15"), "iPhone14,6": ("iPhone SE (3rd generation)", "A15"),
    "iPhone14,7": ("iPhone 14", "A15"), "iPhone14,8": ("iPhone 14 Plus", "A15"),
    "iPhone15,2": ("iPhone 14 Pro", "A16"), "iPhone15,3": ("iPhone 14 Pro Max", "A16"),
    "iPhone15,4": ("iPhone 15", "A16"), "iPhone15,5": ("iPhone 15 Plus", "A16"),
    "iPhone16,1": ("iPhone 15 Pro", "A17 Pro"), "iPhone16,2": ("iPhone 15 Pro Max", "A17 Pro"),
    "iPhone17,1": ("iPhone 16 Pro", "A18 Pro"), "iPhone17,2": ("iPhone 16 Pro Max", "A18 Pro"),
    "iPhone17,3": ("iPhone 16", "A18"), "iPhone17,4": ("iPhone 16 Plus", "A18"), "iPhone17,5": ("iPhone 16e", "A18"),
}  # fmt: skip


def model_name(machine: str) -> str:
    """iPhone10,3 -> iPhone X; a machine that is not known keeps its own name."""
    return _MODELS.get(machine, (machine, ""))[0]


def describe(opened: Opened, state: dict[str, Any], kind: str) -> DeviceInfo:
    """The phone.

    kind: of the connection.
    """

    def text(key: str) -> str:
        value = opened.device.get(key)
        return value if isinstance(value, str) and value else UNREADABLE

    def whole(key: str) -> int | str:
        value = opened.device.get(key)
        return value if isinstance(value, int) and not isinstance(value, bool) else UNREADABLE

    def plain(value: object) -> Any:
        return value if isinstance(value, str | int | float | bool) else UNREADABLE

    machine = text("machine")
    name, chip = _MODELS.get(machine, (machine, UNREADABLE))
    cores = whole("cores")
    environment: dict[str, Any] = {
        "make": text("make"),
        "model": machine,
        "model_name": name,
        "cpu": chip if machine in _MODELS else text("cpu"),
        "cores": cores,
        "memory_bytes": whole("memory_bytes"),
        "os": text("os"),
        "build": text("build"),
        "qos": text("qos"),
        "app": opened.app,
        "app_runtimes": dict(opened.runtimes),
        "thermal_state": plain(state.get("thermal")),
        "low_power": plain(state.get("low_power")),
        "battery_level": plain(state.get("battery")),
        "battery_charging": plain(state.get("charging")),
        "pinned_to": UNREADABLE,  # iOS lets nobody choose cores, nor see them
        "connection": kind,
    }
    return DeviceInfo(
        environment["make"], name, environment["os"], environment["cpu"], cores if isinstance(cores, int) else 0,
        environment,
    )  # fmt: skip
