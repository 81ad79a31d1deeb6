"""Which phone a device's name means: the phones attached, told apart, and why one of them cannot be used."""

from __future__ import annotations

import os
import socket
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from lutbench.device_agents.agent import unheard
from lutbench.device_agents.android.connection import Connection
from lutbench.device_agents.android.direct import CONNECT_TIMEOUT_S, Ask, DirectLink, tcp_transport
from lutbench.device_agents.android.keys import signers
from lutbench.device_agents.android.limits import Limits
from lutbench.device_agents.android.link import Link, UnauthorizedError
from lutbench.device_agents.android.server import ServerAddress, ServerLink, has_adbutils, server_phones
from lutbench.device_agents.android.usb import usb_phones, usb_transport
from lutbench.device_agents.remote.address import split_address
from lutbench.device_agents.remote.link import LinkLostError
from lutbench.errors import DeviceError
from lutbench.events import Report

READY = "device"  # adb's word for a phone that can be used
UNREADABLE = "unreadable"
_ADB_PORT = 5555
_SWITCH_ON = "is it on, and is USB debugging (or adb over the network) switched on?"
# state, as adb calls it -> what to do
REMEDIES = {
    "unauthorized": "unlock it and tap Allow on it; where it does not ask, unplug it and plug it in again",
    "offline": "unplug it and plug it in again, or restart it; `adb reconnect` helps too",
    "no permissions": "this user may not open the USB device: install Android's udev rules (apt install"
    " android-sdk-platform-tools-common) and plug it in again",
    "held": "an adb server runs on this machine and holds the phones: pip install 'lutbench[adb-server]', or adb"
    " kill-server",
}
_LIST_AUTH_TIMEOUT_S = 1.0


@dataclass(frozen=True)
class Attached:
    """A phone as a list shows it.

    state: `device`, or why it cannot be used.
    through: usb, or adb server.

    usb, its path on this machine's USB such as 1-4.2, and transport_id, the adb server's number of it, tell phones of
    one serial apart; "" where unknown.
    """

    serial: str
    state: str
    through: str
    usb: str = ""
    transport_id: str = ""

    @property
    def label(self) -> str:
        """What messages call it where its serial is not enough."""
        more = [f"usb {self.usb}"] if self.usb else []
        more += [f"transport id {self.transport_id}"] if self.transport_id else []
        return f"{self.serial or 'no serial'} ({', '.join(more)})" if more else self.serial

    @property
    def remedy(self) -> str:
        known = [text for state, text in REMEDIES.items() if self.state.startswith(state)]
        return known[0] if known else ("" if self.state == READY else "adb says so; restart the phone")


@dataclass(frozen=True)
class Wanted:
    """Which phone: at an address, or of a serial, or (both empty) the one attached.

    name: of the device, for messages.
    model: what it must be, a pattern such as SM-G950*; "" for any.
    bundle: a folder with the runner to use on it; "" for the one that lutbench builds.
    usb, transport_id: as in Attached, for phones that share a serial; "" for any.
    limits: of its heat and its battery.
    """

    name: str
    serial: str = ""
    address: str = ""
    model: str = ""
    bundle: str = ""
    usb: str = ""
    transport_id: str = ""
    limits: Limits = field(default_factory=Limits)


def attached() -> list[Attached]:
    """The phones attached, by serial. An adb server that runs is asked, for it holds the USB devices."""
    server = ServerAddress.usual()
    if not server.answers():
        return [
            Attached(phone.serial, READY if phone.serial else "no permissions", "usb", phone.path)
            for phone in usb_phones()
        ]
    if not has_adbutils():
        return [Attached(phone.serial, "held", "usb", phone.path) for phone in usb_phones()]
    try:
        found = server_phones(server)
    except LinkLostError as error:
        raise DeviceError(f"the adb server does not answer: {error}", remedy="adb kill-server") from error
    phones = [Attached(phone.serial, phone.state, "adb server", phone.usb, phone.transport_id) for phone in found]
    return sorted(phones, key=lambda phone: (phone.serial, phone.usb, phone.transport_id))


def choose(wanted: Wanted, phones: Sequence[Attached]) -> Attached:
    """The phone that is meant; DeviceError where there is none, more than one, or it cannot be used."""
    if wanted.serial:
        phones = [phone for phone in phones if phone.serial == wanted.serial]
        if not phones:
            raise DeviceError(
                f"no phone of serial {wanted.serial!r} is attached", device=wanted.name,
                remedy="plug it in and switch USB debugging on; `lutbench devices` lists those that are",
            )  # fmt: skip
    for what, place in (("usb", wanted.usb), ("transport_id", wanted.transport_id)):
        if place:
            here = [phone for phone in phones if getattr(phone, what) == place]
            if not here:
                raise DeviceError(
                    f"no phone is attached at {what} {place!r}", device=wanted.name,
                    remedy="`lutbench devices` lists those that are, each with its place",
                )  # fmt: skip
            phones = here
    if not phones:
        raise DeviceError(
            "no Android phone is attached", device=wanted.name,
            remedy="plug one in and switch on Settings > Developer options > USB debugging, or give its address",
        )  # fmt: skip
    if len(phones) > 1:
        shared = len({phone.serial for phone in phones}) < len(phones)
        raise DeviceError(
            f"{len(phones)} phones are attached: {', '.join(p.label if shared else p.serial for p in phones)}",
            device=wanted.name,
            remedy="phones share a serial: name one's usb (or transport_id) in an entry of devices.toml"
            if shared
            else "name one as ANDROID_SERIAL, or as serial of an entry in devices.toml",
        )  # fmt: skip
    (phone,) = phones
    if phone.state != READY:
        raise DeviceError(f"{phone.state}: {phone.serial or phone.label}", device=wanted.name, remedy=phone.remedy)
    return phone


def check_attached(wanted: Wanted) -> None:
    """DeviceError where the phone that is meant is not there; a look, without a connection of adb's."""
    if not wanted.address:
        choose(named(wanted), attached())
        return
    host, port = parse_address(wanted.address)
    try:
        socket.create_connection((host, port), timeout=CONNECT_TIMEOUT_S).close()
    except OSError as error:
        raise DeviceError(
            f"nothing answers at {wanted.address}: {error.strerror or error}", device=wanted.name, remedy=_SWITCH_ON
        ) from error


def connect(wanted: Wanted, config: Path, ask: Ask, reconnect_s: float, report: Report = unheard) -> Connection:
    """A connection to the phone that is meant.

    config: the folder of the keys.
    ask: a person has to allow the key.
    report: hears that the phone is waited for.
    """
    link, label = _link(wanted, config, ask)
    try:
        link.connect()
    except LinkLostError as error:
        raise DeviceError(f"the phone does not answer: {error}", device=label, remedy=_SWITCH_ON) from error
    return Connection(link, label, reconnect_s, report)


def state_of(phone: Attached, config: Path) -> tuple[str, str]:
    """(state, model) of a listed phone as it answers now; the model is "unreadable" where it does not."""
    if phone.state != READY:
        return phone.state, UNREADABLE
    link: Link = (
        ServerLink(ServerAddress.usual(), phone.serial, phone.usb, phone.transport_id)
        if phone.through == "adb server"
        else _usb_link(phone.serial, phone.usb, config, lambda: None, _LIST_AUTH_TIMEOUT_S)
    )
    try:
        link.connect()
        return READY, link.execute("getprop ro.product.model", 5.0).decode("utf-8", "replace").strip() or UNREADABLE
    except UnauthorizedError:
        return "unauthorized", UNREADABLE
    except LinkLostError as error:
        denied = "LIBUSB_ERROR_ACCESS" in str(error)
        return ("no permissions" if denied else "offline"), UNREADABLE
    finally:
        link.close()


def _link(wanted: Wanted, config: Path, ask: Ask) -> tuple[Link, str]:
    if wanted.address:
        host, port = parse_address(wanted.address)
        keys = signers(config)
        return DirectLink("adb over TCP", wanted.address, lambda: tcp_transport(host, port), keys, ask), wanted.address
    phone = choose(named(wanted), attached())
    # a phone is found again by its serial, wherever it is plugged in then, unless its place was named
    if phone.through == "adb server":
        return ServerLink(ServerAddress.usual(), phone.serial, wanted.usb, wanted.transport_id), phone.serial
    return _usb_link(phone.serial, wanted.usb, config, ask), phone.serial


def named(wanted: Wanted) -> Wanted:
    """Names the phone by adb's own variable where the device says nothing of which phone."""
    if wanted.serial or wanted.usb or wanted.transport_id:
        return wanted
    return replace(wanted, serial=os.environ.get("ANDROID_SERIAL", ""))


def _usb_link(serial: str, path: str, config: Path, ask: Ask, auth_timeout_s: float | None = None) -> DirectLink:
    timeout = {} if auth_timeout_s is None else {"auth_timeout_s": auth_timeout_s}
    return DirectLink("adb over USB", serial, lambda: usb_transport(serial, path), signers(config), ask, **timeout)


def parse_address(text: str) -> tuple[str, int]:
    """The host and port of an address, of adb where it names none; UsageError where it is none."""
    return split_address(text, _ADB_PORT)
