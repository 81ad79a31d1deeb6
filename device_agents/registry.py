"""Devices by name: those built in, and those a user adds in a TOML file in the configuration folder.

[devices.bench-pi]
kind = "host"
threads = 2
lut = "luts/bench-pi.csv"

[devices.host-runner]
kind = "host"
bundle = "host-bundle"    # measured by that runner and not by a worker of Python

[devices.pixel]
kind = "android"
serial = "8A2X0T3BQ"      # or address = "192.168.1.20:5555"
cores = "little"

[devices.my-iphone]
kind = "ios"
udid = "00008030-001A2B3C4D5E6F70"    # or address = "192.168.1.21" and code = "7K2M-Q4XD-9RTP"
"""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import platformdirs

from lutbench.device_agents.agent import Agent, AgentSettings
from lutbench.device_agents.android.cores import check_choice
from lutbench.device_agents.android.find import (
    Attached,
    Wanted,
    attached,
    check_attached,
    choose,
    named,
    parse_address,
    state_of,
)
from lutbench.device_agents.android.limits import Limits
from lutbench.device_agents.ios.pairing import checked_code
from lutbench.errors import RegistryError, UsageError
from lutbench.reading.files import is_there
from lutbench.reading.kinds import DEVICES
from lutbench.reading.plain import show
from lutbench.reading.text import read_text
from lutbench.reading.toml_text import parse_toml

if TYPE_CHECKING:
    from lutbench.device_agents.ios.find import AttachedIphone, WantedIphone
    from lutbench.device_agents.remote.checklist import Check, PhoneReport
    from lutbench.export.artifact import Artifact

CONFIG_VARIABLE = "LUTBENCH_CONFIG"
KINDS = ("host", "android", "ios")
RUNNER_RUNTIMES = ("onnx", "executorch")
IPHONE_RUNTIMES = ("onnx", "executorch", "coreml")
APPLE_RUNTIMES = ("coreml",)  # part of Apple's systems, and of no other
_MOST_THREADS = 1024
_PHONE_KEYS = ("serial", "address", "usb", "transport_id", "cores", "model", "bundle", "udid", "code")
# kind -> what its entries may say beside what all say
_KEYS = {
    "host": ("bundle",),
    "android": ("serial", "address", "usb", "transport_id", "cores", "model", "bundle", "ignore_zones",
                "max_temperature_c", "least_battery_percent"),
    "ios": ("udid", "address", "code", "model", "least_battery_percent"),
}  # fmt: skip


@dataclass(frozen=True)
class Device:
    """A device by name: its kind, the LUT it is measured into, the threads it is measured with.

    Of phones: serial or address say which of those attached; none of them, the only one.

    usb, transport_id: as in Wanted, for phones of one serial.
    cores: they are measured on, as in AgentSettings.
    model: what it must be, a pattern such as SM-G950*, or "" for any.
    bundle: a folder that `lutbench runner build -o` wrote; "": the usual one of a phone, none of this machine.
    limits: of its heat and its battery.
    udid: of an iPhone, or code, the pairing code of one at an address.
    """

    name: str
    kind: str
    lut: Path
    description: str
    threads: int = 1
    built_in: bool = True
    serial: str = ""
    address: str = ""
    cores: str = ""
    model: str = ""
    bundle: str = ""
    usb: str = ""
    transport_id: str = ""
    limits: Limits = field(default_factory=Limits)
    udid: str = ""
    code: str = ""

    @property
    def lock_name(self) -> str:
        """What two runs must not share: every host device is the same machine."""
        return "host" if self.kind == "host" else self.name

    def cores_for(self, asked: str) -> str:
        """What AgentSettings.cores is where --cores was this, or ""; UsageError where cores cannot be chosen so."""
        if self.kind == "android":
            return check_choice(asked or self.cores or "big")
        if asked:
            raise UsageError(f"--cores is for Android phones, {self.name} is of kind {self.kind}")
        return ""

    def check_phone_only(self, fixed_performance: bool) -> None:
        """UsageError where what only phones have is asked for of something else."""
        if fixed_performance and self.kind != "android":
            raise UsageError(f"--fixed-performance is for Android phones, {self.name} is of kind {self.kind}")

    @property
    def can_measure(self) -> bool:
        return self.kind in _AGENTS


_BUILT_IN = (
    Device("host", "host", Path("luts/host.csv"), "this machine"),
    Device("android", "android", Path("luts/android.csv"), "the one Android phone attached"),
    Device("android-s8", "android", Path("luts/s8.csv"), "Samsung Galaxy S8 (SM-G950*)", model="SM-G950*"),
    Device("ios", "ios", Path("luts/ios.csv"), "the one iPhone attached"),
    Device(
        "iphonex",
        "ios",
        Path("luts/iphonex.csv"),
        "iPhone X (iPhone10,3 and iPhone10,6)",
        model="iPhone10,3|iPhone10,6",
    ),
)


def config_folder() -> Path:
    """$LUTBENCH_CONFIG, or the user's configuration folder."""
    return Path(os.environ.get(CONFIG_VARIABLE) or platformdirs.user_config_dir("lutbench"))


def registry_path() -> Path:
    return config_folder() / "devices.toml"


def all_devices() -> dict[str, Device]:
    """Every known device by name; a user's entry stands before a built-in one of the same name."""
    devices = {device.name: device for device in _BUILT_IN}
    devices.update({device.name: device for device in _read_registry(registry_path())})
    return devices


def find_device(name: str) -> Device:
    """The device of this name; UsageError, with near names, where there is none."""
    devices = all_devices()
    if name in devices:
        return devices[name]
    near = difflib.get_close_matches(name, devices, n=2, cutoff=0.5)
    hint = f"did you mean {' or '.join(near)}?" if near else "`lutbench devices` lists them"
    raise UsageError(f"no device is called {name!r}", remedy=f"{hint} (your own go into {registry_path()})")


def check_measurable(device: Device, runtime: str) -> None:
    """DeviceError where the device cannot be measured now, UsageError where never with this runtime.

    Better known before anything is exported.
    """
    if device.kind == "ios":
        _check_iphone(device, runtime)
        return
    by_runner = device.kind == "android" or bool(device.bundle)
    if by_runner and runtime not in RUNNER_RUNTIMES:
        what = "phones run" if device.kind == "android" else f"a bundle's runner, which {device.name} has, runs"
        raise UsageError(f"{what} {' and '.join(RUNNER_RUNTIMES)}, not {runtime}", remedy="give another --runtime")
    if runtime in APPLE_RUNTIMES:
        raise UsageError(f"{runtime} runs on Apple's devices alone", remedy="give --device ios, or another --runtime")
    if device.kind == "android":
        check_attached(_wanted(device))


def open_agent(device: Device, settings: AgentSettings) -> Agent:
    """The agent that times artifacts on the device."""
    check_measurable(device, settings.runtime)
    return _AGENTS[device.kind](device, settings)


def _open_host(device: Device, settings: AgentSettings) -> Agent:
    if device.bundle:
        from lutbench.device_agents.host.native import NativeHostAgent
        from lutbench.device_agents.runner.bundle import read_bundle

        return NativeHostAgent(settings, read_bundle(Path(device.bundle)))
    from lutbench.device_agents.host.agent import HostAgent

    return HostAgent(settings)


def attached_iphones() -> list[AttachedIphone]:
    """The iPhones attached, each in the state it is in now. DeviceError where no usbmuxd answers."""
    from lutbench.device_agents.ios.find import attached as attached_to_usbmux

    return attached_to_usbmux()


def attached_phones() -> list[tuple[Attached, str]]:
    """The Android phones attached, in the state they are in now, and each one's model."""
    found = []
    for phone in attached():
        state, model = state_of(phone, config_folder())
        found.append((replace(phone, state=state), model))
    return found


def clean_device(device: Device) -> int:
    """Removes what lutbench keeps on a phone; bytes freed. UsageError for another kind of device."""
    from lutbench.device_agents.android.opening import clean_phone

    if device.kind == "ios":
        from lutbench.device_agents.ios.opening import clean_iphone

        return clean_iphone(_wanted_iphone(device))
    if device.kind != "android":
        raise UsageError(f"lutbench keeps nothing on devices of kind {device.kind}")
    return clean_phone(_wanted(device), config_folder())


def check_device(
    device: Device, settings: AgentSettings, artifact: Artifact, say: Callable[[Check], None]
) -> PhoneReport:
    """A phone's check list.

    say: hears each check as it is done. UsageError for another kind of device.
    """
    if device.kind == "ios":
        from lutbench.device_agents.ios.check import check_iphone

        return check_iphone(_wanted_iphone(device), settings, _iphone_runtime(settings.runtime), artifact, say)
    if device.kind != "android":
        raise UsageError(f"a check list is for phones, {device.name} is of kind {device.kind}")
    from lutbench.device_agents.android.check import check_phone

    return check_phone(_wanted(device), config_folder(), settings, artifact, say)


def phone_label(device: Device) -> str:
    """Which phone a device's name means now: its address, or its serial and place. DeviceError where it is not."""
    return device.address or choose(named(_wanted(device)), attached()).label


def _wanted(device: Device) -> Wanted:
    limits = device.limits
    which = (device.serial, device.address, device.model, device.bundle, device.usb, device.transport_id)
    return Wanted(device.name, *which, limits)


def _wanted_iphone(device: Device) -> WantedIphone:
    from lutbench.device_agents.ios.find import WantedIphone

    least = device.limits.least_battery_percent
    return WantedIphone(device.name, device.udid, device.address, device.model, device.code, least)


def _check_iphone(device: Device, runtime: str) -> None:
    from lutbench.device_agents.ios.find import check_attached as check_iphone

    if runtime not in IPHONE_RUNTIMES:
        raise UsageError(
            f"the iPhone's app runs {', '.join(IPHONE_RUNTIMES)}, not {runtime}", remedy="give another --runtime"
        )
    check_iphone(_wanted_iphone(device))


def _open_iphone(device: Device, settings: AgentSettings) -> Agent:
    from lutbench.device_agents.ios.opening import open_iphone

    return open_iphone(_wanted_iphone(device), settings, _iphone_runtime(settings.runtime))


def _iphone_runtime(runtime: str) -> str:
    """Name and version of what exports here for an iPhone; "" for a runtime of iOS itself."""
    from lutbench.device_agents.runner.wheels import RUNTIMES

    return next((f"{one.package} {version(one.package)}" for one in RUNTIMES if one.engine == runtime), "")


def _open_android(device: Device, settings: AgentSettings) -> Agent:
    from lutbench.device_agents.android.opening import open_phone

    return open_phone(_wanted(device), config_folder(), settings)


_AGENTS: dict[str, Callable[[Device, AgentSettings], Agent]] = {
    "host": _open_host,
    "android": _open_android,
    "ios": _open_iphone,
}


def _read_registry(path: Path) -> list[Device]:
    if not is_there(path):
        return []
    data = parse_toml(read_text(path, DEVICES), path, DEVICES)
    entries = data.get("devices", {})
    if set(data) - {"devices"} or not isinstance(entries, dict):
        raise RegistryError("holds something else than [devices.NAME] tables", path=path)
    return [_device(name, entry, path) for name, entry in entries.items()]


def _device(name: str, entry: Any, path: Path) -> Device:
    def wrong(problem: str) -> RegistryError:
        return RegistryError(problem, path=path, device=name)

    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}", name):
        raise wrong("a name is letters, digits, _ . and -")
    if not isinstance(entry, dict):
        raise wrong("is not a table")
    kind = entry.get("kind")
    known = ("kind", "lut", "description", "threads", *(_KEYS.get(kind, ()) if isinstance(kind, str) else ()))
    unknown = set(entry) - set(known)
    if unknown:
        raise wrong(f"unknown key {', '.join(sorted(unknown))} (known: {', '.join(known)})")
    if entry.get("kind") not in KINDS:
        raise wrong(f"kind {show(entry.get('kind'))} is none of {', '.join(KINDS)}")
    threads = entry.get("threads", 1)
    if not isinstance(threads, int) or isinstance(threads, bool) or not 1 <= threads <= _MOST_THREADS:
        raise wrong(f"threads {show(threads)} is not a whole number between 1 and {_MOST_THREADS}")
    lut, description = entry.get("lut", f"luts/{name}.csv"), entry.get("description", "")
    if not isinstance(lut, str) or not isinstance(description, str):
        raise wrong("lut and description must be strings")
    return Device(
        name,
        entry["kind"],
        Path(lut),
        description,
        threads,
        built_in=False,
        **_phone_keys(entry, wrong),
        limits=_limits(entry, wrong),
    )


def _phone_keys(entry: dict[str, Any], wrong: Callable[[str], RegistryError]) -> dict[str, str]:
    """What an entry says of a phone, each checked."""
    found = {key: entry.get(key, "") for key in _PHONE_KEYS}
    for key, value in found.items():
        if not isinstance(value, str) or "\0" in value:
            raise wrong(f"{key} must be a string")
    if found["serial"] and found["address"]:
        raise wrong("serial and address: give one of them")
    if found["address"] and (found["usb"] or found["transport_id"]):
        raise wrong("address: a phone on the network has no usb nor transport_id")
    if found["udid"] and found["address"]:
        raise wrong("udid and address: give one of them")
    if not re.fullmatch(r"|[0-9A-Fa-f-]{20,60}", found["udid"]):
        raise wrong(f"udid {show(found['udid'])} is none: `lutbench devices` lists those attached")
    if not re.fullmatch(r"|\d+-\d+(\.\d+)*|\w+", found["usb"]):
        raise wrong(f"usb {found['usb']!r} is no path such as 1-4.2")
    if not re.fullmatch(r"|\d+", found["transport_id"]):
        raise wrong(f'transport_id {found["transport_id"]!r} is no number, such as "7"')
    try:
        if found["address"]:
            _parse_address(entry["kind"], found["address"])
        if found["code"]:
            found["code"] = checked_code(found["code"])
        if found["cores"]:
            found["cores"] = check_choice(found["cores"])
    except UsageError as error:
        raise wrong(error.problem) from error
    return found


def _parse_address(kind: str, address: str) -> None:
    """UsageError where a phone's address is none; its example has the port of that kind."""
    if kind == "ios":
        from lutbench.device_agents.ios.find import parse_address as parse_iphone_address

        parse_iphone_address(address)
    else:
        parse_address(address)


def _limits(entry: dict[str, Any], wrong: Callable[[str], RegistryError]) -> Limits:
    usual = Limits()
    zones = entry.get("ignore_zones", [])
    if not isinstance(zones, list) or not all(isinstance(zone, str) and zone for zone in zones):
        raise wrong('ignore_zones must be a list of names of thermal zones, or patterns such as "soc*"')
    hottest = _number(entry.get("max_temperature_c", usual.processor_c), 30.0, 120.0)
    if hottest is None:
        raise wrong("max_temperature_c must be a number of degrees between 30 and 120")
    least = _number(entry.get("least_battery_percent", usual.least_battery_percent), 0, 100)
    if least is None or least != int(least):
        raise wrong("least_battery_percent must be a whole number between 0 and 100")
    return Limits(processor_c=hottest, least_battery_percent=int(least), ignored_zones=tuple(zones))


def _number(value: object, least: float, most: float) -> float | None:
    """The value as a number within these; None where it is none."""
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not least <= value <= most:
        return None
    return float(value)
