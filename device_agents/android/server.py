"""adb through an adb server, which holds the phones of most developers' machines: adbutils, an optional extra."""

from __future__ import annotations

import importlib.util
import os
import socket
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from lutbench.device_agents.android.link import LinkLostError, PushError

_T = TypeVar("_T")
_CONNECT_TIMEOUT_S = 10.0
_PUSH_TIMEOUT_S = 60.0
_PROBE_TIMEOUT_S = 0.5


@dataclass(frozen=True)
class ServerAddress:
    """Where adb's server listens, by the variables that adb itself reads."""

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


def server_devices(address: ServerAddress) -> list[tuple[str, str]]:
    """(serial, state) of what the server holds; LinkLostError where it does not answer."""
    # the list's lines are taken apart at the tab: adbutils splits serials at spaces
    text = _guarded(lambda: _ask(address, "host:devices"))
    pairs = (line.split("\t", 1) for line in text.splitlines())
    return [(pair[0], pair[1].strip()) for pair in pairs if len(pair) == 2]


class ServerLink:
    """One phone of an adb server."""

    def __init__(self, address: ServerAddress, serial: str) -> None:
        self._address = address
        self._serial = serial

    @property
    def kind(self) -> str:
        return "adb server"

    def connect(self) -> None:
        """A server that went away is started again, as adb does."""
        host, _, port = self._serial.rpartition(":")
        if host and port.isdigit():  # a server that was started anew has forgotten phones on the network
            _guarded(lambda: _client(self._address).connect(self._serial, timeout=_CONNECT_TIMEOUT_S))
        state = dict(server_devices(self._address)).get(self._serial)
        if state != "device":
            raise LinkLostError(f"the adb server calls the phone {state or 'absent'}")

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

        device = _client(self._address, _PUSH_TIMEOUT_S).device(serial=self._serial)
        try:
            _guarded(lambda: device.sync.push(data, path))
        except LinkLostError as lost:
            if type(lost.__cause__) is AdbError and not isinstance(lost.__cause__, AdbTimeout):
                raise PushError(str(lost)) from lost
            raise

    def pull(self, path: str) -> bytes:
        device = _client(self._address, _PUSH_TIMEOUT_S).device(serial=self._serial)
        data: bytes = _guarded(lambda: device.sync.read_bytes(path))
        return data

    def close(self) -> None:
        """Nothing is held between two commands."""

    def _transport(self, timeout_s: float) -> Any:
        return _client(self._address).device(serial=self._serial).open_transport(timeout=timeout_s)


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
