"""usbmux: a port of an iPhone on a cable, through Apple's daemon (usbmuxd), by its protocol of property lists.

A message is 16 bytes, little-endian (length with these, version 1, kind 8, a tag that the answer repeats), and a
property list. Once a Connect has been answered, the connection is the phone's port's, and no messages pass any more.
"""

from __future__ import annotations

import os
import plistlib
import socket
import struct
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from xml.parsers.expat import ExpatError

from lutbench.device_agents.remote.link import LinkLostError
from lutbench.errors import DeviceError
from lutbench.reading.numbers import whole
from lutbench.reading.plain import show

SOCKET_VARIABLE = "USBMUXD_SOCKET_ADDRESS"  # as libusbmuxd reads it: HOST:PORT, [HOST]:PORT or UNIX:PATH
USUAL_SOCKET = "/var/run/usbmuxd"
ANSWER_TIMEOUT_S = 5.0
_CONNECT_TIMEOUT_S = 15.0
_HEADER = struct.Struct("<IIII")
_VERSION, _PLIST = 1, 8
_LONGEST = 1 << 20  # bytes of an answer: a list of hundreds of phones has a tenth of it
_REFUSED = 3  # nothing listens at that port
_GONE = 2  # no device of that number
_NO_DAEMON = "install usbmuxd (apt install usbmuxd; macOS and iTunes bring their own) and plug the iPhone in"
# what reading a property list that is none raises
NO_PLIST = (plistlib.InvalidFileException, ExpatError, ValueError, LookupError, TypeError, OverflowError,
             AttributeError, RecursionError)  # fmt: skip


class RefusedError(Exception):
    """Nothing listens at that port of the phone."""


@dataclass(frozen=True)
class MuxDevice:
    """A phone as usbmuxd knows it.

    number: of this attachment; another one once the phone is plugged in again.
    through: USB or Network.
    """

    number: int
    udid: str
    through: str


@dataclass(frozen=True)
class Attached:
    """A phone was plugged in."""

    device: MuxDevice


@dataclass(frozen=True)
class Detached:
    """The attachment of that number has gone."""

    number: int


Event = Attached | Detached


def same_udid(one: str, other: str) -> bool:
    """Whether two spellings mean one phone: newer phones' numbers are written with and without a hyphen."""
    return one.replace("-", "").lower() == other.replace("-", "").lower()


def list_devices() -> list[MuxDevice]:
    """The iPhones attached, by UDID; one that is there by cable and by network is listed by its cable.

    DeviceError where no usbmuxd answers.
    """
    answer = _answered({"MessageType": "ListDevices"})
    entries = answer.get("DeviceList")
    if not isinstance(entries, list):
        raise _odd(answer)
    found: dict[str, MuxDevice] = {}
    for device in (_device(entry) for entry in entries):
        if device.udid not in found or device.through == "USB":
            found[device.udid] = device
    return [found[udid] for udid in sorted(found)]


def connect(device: MuxDevice, port: int) -> socket.socket:
    """A connection to a port of the phone's own loopback.

    RefusedError where nothing listens there, LinkLostError where the phone has gone or does not answer.
    """
    daemon = _daemon()
    try:
        daemon.settimeout(_CONNECT_TIMEOUT_S)
        number = _number_of(_asked(daemon, {
            "MessageType": "Connect", "DeviceID": device.number, "PortNumber": socket.htons(port),
        }))  # fmt: skip
        if number == _REFUSED:
            raise RefusedError(f"nothing listens at port {port} of {device.udid}")
        if number:
            what = "it is not attached any more" if number == _GONE else f"usbmuxd answers {number}"
            raise LinkLostError(what)
    except BaseException:
        daemon.close()
        raise
    return daemon


def has_pair_record(udid: str) -> bool:
    """Whether this machine and the phone trust each other; without that most of a phone's services answer nothing."""
    answer = _answered({"MessageType": "ReadPairRecord", "PairRecordID": udid})
    return isinstance(answer.get("PairRecordData"), bytes)


def watch(timeout_s: float) -> Iterator[Event]:
    """Phones as they are attached and detached, those first that are there already; ends after timeout_s.

    LinkLostError where usbmuxd ends.
    """
    until = time.monotonic() + timeout_s
    with _daemon() as daemon:
        number = _number_of(_asked(daemon, {"MessageType": "Listen"}))
        if number:
            raise DeviceError(f"usbmuxd does not say which iPhones come and go: it answers {number}")
        while (left_s := until - time.monotonic()) > 0:
            daemon.settimeout(left_s)
            try:
                first = daemon.recv(1)
            except TimeoutError:
                return
            except OSError as error:
                raise LinkLostError(f"usbmuxd: {error.strerror or error}") from error
            daemon.settimeout(ANSWER_TIMEOUT_S)
            message = _message(daemon, first)[1]
            event = _event(message)
            if event is not None:
                yield event


def _event(message: dict[str, Any]) -> Event | None:
    kind = message.get("MessageType")
    if kind == "Attached":
        return Attached(_device(message))
    if kind == "Detached":
        number = message.get("DeviceID")
        if isinstance(number, bool) or not isinstance(number, int):
            raise _odd(message)
        return Detached(number)
    return None  # Paired, and what later versions may say


def _device(entry: Any) -> MuxDevice:
    properties = entry.get("Properties") if isinstance(entry, dict) else None
    if not isinstance(properties, dict):
        raise _odd(entry)
    number, udid = entry.get("DeviceID", properties.get("DeviceID")), properties.get("SerialNumber")
    through = properties.get("ConnectionType", "USB")
    if isinstance(number, bool) or not isinstance(number, int) or not isinstance(udid, str) or not udid:
        raise _odd(entry)
    return MuxDevice(number, udid, through if isinstance(through, str) else "USB")


def _daemon() -> socket.socket:
    """A connection to usbmuxd; DeviceError where there is none."""
    address = os.environ.get(SOCKET_VARIABLE) or f"UNIX:{USUAL_SOCKET}"
    try:
        if address.upper().startswith("UNIX:"):
            made = socket.socket(socket.AF_UNIX)
            made.settimeout(ANSWER_TIMEOUT_S)
            try:
                made.connect(address[len("UNIX:") :])
            except BaseException:
                made.close()
                raise
            return made
        host, _, port = address.rpartition(":")
        number = whole(port) if port.isdecimal() else None
        if not host or number is None or not 0 < number < 1 << 16:
            raise DeviceError(f"{SOCKET_VARIABLE} is {address!r}", remedy="it is HOST:PORT or UNIX:PATH")
        return socket.create_connection((host.strip("[]"), number), ANSWER_TIMEOUT_S)
    except OSError as error:
        raise DeviceError(
            f"no usbmuxd answers at {address.removeprefix('UNIX:')}: {error.strerror or error}", remedy=_NO_DAEMON
        ) from error


def _answered(message: dict[str, Any]) -> dict[str, Any]:
    """The answer on a connection of its own; DeviceError where usbmuxd goes before it has answered."""
    with _daemon() as daemon:
        try:
            return _asked(daemon, message)
        except LinkLostError as error:
            raise DeviceError(str(error), remedy=_NO_DAEMON) from error


def _asked(daemon: socket.socket, message: dict[str, Any]) -> dict[str, Any]:
    """The answer to a message on a connection that has had none before."""
    about = {"ClientVersionString": "lutbench", "ProgName": "lutbench", "kLibUSBMuxVersion": 3}
    data = plistlib.dumps({**message, **about})
    tag = 1
    try:
        daemon.sendall(_HEADER.pack(_HEADER.size + len(data), _VERSION, _PLIST, tag) + data)
    except OSError as error:
        raise LinkLostError(f"usbmuxd: {error.strerror or error}") from error
    said, answer = _message(daemon)
    if said != tag:
        raise _odd(answer)
    return answer


def _message(daemon: socket.socket, first: bytes = b"") -> tuple[int, dict[str, Any]]:
    """(tag, content) of the next message.

    first: bytes of it that were read already.
    """
    length, _version, kind, tag = _HEADER.unpack(first + _bytes(daemon, _HEADER.size - len(first)))
    if kind != _PLIST or not _HEADER.size <= length <= _LONGEST:
        raise DeviceError(f"what answers as usbmuxd is none: a message of {length} bytes and kind {kind}")
    data = _bytes(daemon, length - _HEADER.size)
    try:
        found = plistlib.loads(data)
    except NO_PLIST as error:
        raise DeviceError(f"usbmuxd's answer is no property list: {show(data)}") from error
    if not isinstance(found, dict):
        raise _odd(found)
    return tag, found


def _bytes(daemon: socket.socket, count: int) -> bytes:
    found = b""
    try:
        while len(found) < count:
            chunk = daemon.recv(count - len(found))
            if not chunk:
                raise LinkLostError("usbmuxd has closed the connection")
            found += chunk
    except OSError as error:
        raise LinkLostError(f"usbmuxd: {error.strerror or error}") from error
    return found


def _number_of(answer: dict[str, Any]) -> int:
    """A Result's number: 0 where it was done."""
    number = answer.get("Number")
    if answer.get("MessageType") != "Result" or isinstance(number, bool) or not isinstance(number, int):
        raise _odd(answer)
    return number


def _odd(found: object) -> DeviceError:
    return DeviceError(f"usbmuxd's answer makes no sense: {show(found)}")
