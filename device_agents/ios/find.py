"""Which iPhone a device's name means: those attached, told apart, and why one of them cannot be used now."""

from __future__ import annotations

import fnmatch
import os
import socket
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from lutbench.device_agents.agent import UNREADABLE
from lutbench.device_agents.ios import lockdown
from lutbench.device_agents.ios.describe import model_name
from lutbench.device_agents.ios.link import OPEN_THE_APP, PORT, WIFI_PORT
from lutbench.device_agents.ios.pairing import checked_code
from lutbench.device_agents.ios.usbmux import (
    MuxDevice,
    RefusedError,
    connect,
    has_pair_record,
    list_devices,
    same_udid,
)
from lutbench.device_agents.remote.address import split_address
from lutbench.device_agents.remote.link import LinkLostError
from lutbench.errors import DeviceError, UsageError

READY = "ready"
CODE_VARIABLE = "LUTBENCH_PAIRING_CODE"
# state -> what to do
REMEDIES = {
    "not trusted": "unlock it, plug it in again, tap Trust on it and enter its passcode",
    "locked": "unlock it and keep it unlocked, with lutbench in front",
    "app not running": f"{OPEN_THE_APP}; docs/how-to/iphone.md says how it is built and installed",
    "gone": "plug it in again",
}
_WIFI = "open lutbench on the iPhone, switch its Wi-Fi on there, and compare the address and the code that it shows"
_CONNECT_TIMEOUT_S = 10.0


@dataclass(frozen=True)
class WantedIphone:
    """Which iPhone: of a UDID, or at an address, or (both empty) the one attached.

    name: of the device, for messages.
    model: what it must be, a pattern such as iPhone10,3; patterns may be alternatives with |. "" for any.
    code: the pairing code of one at an address; "" for the environment's.
    least_battery_percent: as in Limits.
    """

    name: str
    udid: str = ""
    address: str = ""
    model: str = ""
    code: str = ""
    least_battery_percent: int = 15

    def fits(self, machine: str) -> bool:
        """Whether the phone is the model that is meant."""
        return not self.model or any(fnmatch.fnmatchcase(machine, one) for one in self.model.split("|"))

    def pairing_code(self) -> str:
        """UsageError where there is none, or it cannot be one."""
        code = self.code or os.environ.get(CODE_VARIABLE, "")
        if not code:
            raise UsageError(
                f"{self.name} is on Wi-Fi, and there is no pairing code",
                remedy=f"give the one that the app shows as `code` in devices.toml, or as {CODE_VARIABLE}",
            )
        return checked_code(code)


@dataclass(frozen=True)
class AttachedIphone:
    """An iPhone as a list shows it.

    state: READY, or why it cannot be used.
    """

    udid: str
    state: str
    model: str
    system: str
    through: str

    @property
    def remedy(self) -> str:
        return REMEDIES.get(self.state, "")


def attached() -> list[AttachedIphone]:
    """The iPhones attached, each in the state it is in now. DeviceError where no usbmuxd answers."""
    return [look_at(device) for device in list_devices()]


def look_at(device: MuxDevice) -> AttachedIphone:
    """A phone as a list shows it: not trusted, locked, no app in front, in this order, for each hides the next."""
    said = lockdown.values(device)
    machine = said.get("ProductType")
    version = said.get("ProductVersion")
    model = model_name(machine) if isinstance(machine, str) else UNREADABLE
    system = f"iOS {version}" if isinstance(version, str) else UNREADABLE
    return AttachedIphone(
        device.udid, _state(device, said.get("PasswordProtected") is True), model, system, device.through
    )


def _state(device: MuxDevice, locked: bool) -> str:
    try:
        connect(device, PORT).close()
    except RefusedError:
        if not has_pair_record(device.udid):
            return "not trusted"
        return "locked" if locked else "app not running"
    except LinkLostError:
        return "gone"
    return READY


def choose(wanted: WantedIphone, phones: Sequence[MuxDevice]) -> MuxDevice:
    """The phone that is meant; DeviceError where there is none, or more than one."""
    if wanted.udid:
        phones = [phone for phone in phones if same_udid(phone.udid, wanted.udid)]
        if not phones:
            raise DeviceError(
                f"no iPhone of UDID {wanted.udid!r} is attached", device=wanted.name,
                remedy="plug it in; `lutbench devices` lists those that are",
            )  # fmt: skip
    if not phones:
        raise DeviceError(
            "no iPhone is attached", device=wanted.name,
            remedy="plug one in, or give its address (docs/how-to/iphone.md)",
        )  # fmt: skip
    if len(phones) > 1:
        raise DeviceError(
            f"{len(phones)} iPhones are attached: {', '.join(phone.udid for phone in phones)}", device=wanted.name,
            remedy="name one as `udid` of an entry in devices.toml",
        )  # fmt: skip
    return phones[0]


def check_attached(wanted: WantedIphone) -> None:
    """DeviceError where the phone that is meant cannot be used now; a look, without a connection to its app."""
    if wanted.address:
        wanted.pairing_code()
        try:
            _by_network(wanted).close()
        except LinkLostError as error:
            raise DeviceError(str(error), device=wanted.name, remedy=_WIFI) from error
        return
    phone = look_at(choose(wanted, list_devices()))
    if phone.state != READY:
        raise DeviceError(f"{phone.state}: {phone.udid}", device=wanted.name, remedy=phone.remedy)


def reach(wanted: WantedIphone) -> tuple[str, str, Callable[[], socket.socket]]:
    """(what messages call the phone, the kind of connection, what makes one to its app).

    A phone is found again by its UDID, whatever number it has once it is plugged in again.
    """
    if wanted.address:
        return wanted.address, "Wi-Fi", lambda: _by_network(wanted)
    udid = choose(wanted, list_devices()).udid
    return udid, "USB", lambda: _by_cable(replace(wanted, udid=udid))


def _by_cable(wanted: WantedIphone) -> socket.socket:
    try:
        phones = [phone for phone in list_devices() if same_udid(phone.udid, wanted.udid)]
    except DeviceError as error:
        raise LinkLostError(error.problem) from error
    if not phones:
        raise LinkLostError("it is not attached")
    try:
        return connect(phones[0], PORT)
    except RefusedError as error:
        raise LinkLostError("the app is not running") from error


def _by_network(wanted: WantedIphone) -> socket.socket:
    host, port = parse_address(wanted.address)
    try:
        return socket.create_connection((host, port), _CONNECT_TIMEOUT_S)
    except OSError as error:
        raise LinkLostError(f"nothing answers at {wanted.address}: {error.strerror or error}") from error


def parse_address(text: str) -> tuple[str, int]:
    """The host and port of an address, of the app where it names none; UsageError where it is none."""
    return split_address(text, WIFI_PORT)
