"""adb through an adb server, which holds the phones of most developers' machines: adbutils, an optional extra."""

from __future__ import annotations

import importlib.util
import os
import re
import socket
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from lutbench.device_agents.remote.link import LinkLostError, PushError

_T = TypeVar("_T")
_CONNECT_TIMEOUT_S = 10.0
_PUSH_TIMEOUT_S = 60.0
_PROBE_TIMEOUT_S = 0.5


@dataclass(frozen=True)
class ServerAddress:
    """The address on which adb's server listens, by the variables that adb itself reads."""

    host: str
    port: int

    @classmethod
    def usual(cls) -> ServerAddress:
        port = os.environ.get("ANDROID_ADB_SERVER_PORT", "")
        return cls(os.environ.get("ANDROID_ADB_SERVER_ADDRESS") or "127.0.0.1", int(port) if port.isdigit() else 5037)

    def answers(self) -> bool:
        try:
            socket.create_connection((self.host, self.port), timeout=_PROBE_TIMEOUT_S).close()
        except OSError:
            return False
        return True


def has_adbutils() -> bool:
    return importlib.util.find_spec("adbutils") is not None


@dataclass(frozen=True)
class ServerPhone:
    """A phone of an adb server.

    state: adb's word.
    usb: its path, such as 1-4.2.
    transport_id: its number while it stays attached. "" where the server does not say. Phones may share a serial.
    """

    serial: str
    state: str
    usb: str = ""
    transport_id: str = ""


def server_phones(address: ServerAddress) -> list[ServerPhone]:
    """What the server holds; LinkLostError where it does not answer."""
    # the short list tells serials, which may have spaces, from states; the long one's lines are the same, and longer
    short = _guarded(lambda: _ask(address, "host:devices"))
    long = _guarded(lambda: _ask(address, "host:devices-l"))
    pairs = [tuple(line.split("\t", 1)) for line in short.splitlines() if "\t" in line]
    rest = [line for line in long.splitlines() if line.strip()]
    same = len(rest) == len(pairs) and all(line.startswith(pair[0]) for line, pair in zip(rest, pairs, strict=True))
    return [
        _server_phone(serial, state.strip(), line[len(serial) :])
        for (serial, state), line in zip(pairs, rest if same else [serial for serial, _ in pairs], strict=True)
    ]


def _server_phone(serial: str, state: str, more: str) -> ServerPhone:
    usb, number = re.search(r"\susb:(\S+)", more), re.search(r"\stransport_id:(\d+)", more)
    return ServerPhone(serial, state, usb[1] if usb else "", number[1] if number else "")


class ServerLink:
    """One phone of an adb server: of a serial, and where two share it, at a USB path or of a transport id."""

    def __init__(self, address: ServerAddress, serial: str, usb: str = "", transport_id: str = "") -> None:
        self._address = address
        self._serial = serial
        self._usb = usb
        self._transport_id = transport_id

    @property
    def kind(self) -> str:
        return "adb server"

    def connect(self) -> None:
        """A server that went away is started again, as adb does."""
        host, _, port = self._serial.rpartition(":")
        if host and port.isdigit():  # a server that was started anew has forgotten phones on the network
            _guarded(lambda: _client(self._address).connect(self._serial, timeout=_CONNECT_TIMEOUT_S))
        states = [phone.state for phone in server_phones(self._address) if self._is_meant(phone)]
        if states != ["device"]:
            raise LinkLostError(f"the adb server calls the phone {' and '.join(states) or 'absent'}")

    def _is_meant(self, phone: ServerPhone) -> bool:
        return (
            phone.serial == self._serial
            and self._usb in ("", phone.usb)
            and self._transport_id in ("", phone.transport_id)
        )

    def execute(self, command: str, timeout_s: float) -> bytes:
        def run() -> bytes:
            with self._transport(timeout_s) as connection:
                connection.send_command(f"exec:{command}")
                connection.check_okay()
                data: bytes = connection.read_until_close(encoding=None)
                return data

        return _guarded(run)

    def push(self, data: bytes, path: str) -> None:
        from adbutils.errors import AdbError, AdbTimeout

        device = self._device(_PUSH_TIMEOUT_S)
        try:
            _guarded(lambda: device.sync.push(data, path))
        except LinkLostError as lost:
            if type(lost.__cause__) is AdbError and not isinstance(lost.__cause__, AdbTimeout):
                raise PushError(str(lost)) from lost
            raise

    def pull(self, path: str) -> bytes:
        device = self._device(_PUSH_TIMEOUT_S)
        data: bytes = _guarded(lambda: device.sync.read_bytes(path))
        return data

    def close(self) -> None:
        """Nothing is held between two commands."""

    def _transport(self, timeout_s: float) -> Any:
        return self._device().open_transport(timeout=timeout_s)

    def _device(self, timeout_s: float = _CONNECT_TIMEOUT_S) -> Any:
        client = _client(self._address, timeout_s)
        if self._usb:  # adb takes a path in a serial's place
            return client.device(serial=f"usb:{self._usb}")
        if self._transport_id:
            return client.device(transport_id=int(self._transport_id))
        return client.device(serial=self._serial)


def _client(address: ServerAddress, timeout_s: float = _CONNECT_TIMEOUT_S) -> Any:
    from adbutils import AdbClient

    return AdbClient(host=address.host, port=address.port, socket_timeout=timeout_s)


def _ask(address: ServerAddress, request: str) -> str:
    with _client(address).make_connection(timeout=_CONNECT_TIMEOUT_S) as connection:
        connection.send_command(request)
        connection.check_okay()
        text: str = connection.read_string_block()
        return text


def _guarded(action: Callable[[], _T]) -> _T:
    import subprocess

    from adbutils.errors import AdbError

    try:
        return action()
    except (OSError, EOFError, AdbError, ValueError, subprocess.SubprocessError) as error:
        raise LinkLostError(" ".join(str(error).split()) or type(error).__name__) from error
