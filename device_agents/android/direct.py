"""adb without an adb server: adb-shell over TCP or USB."""

from __future__ import annotations

import io
import select
import socket
import time
from collections.abc import Callable, Sequence
from typing import Any

from lutbench.device_agents.android.link import EncryptedError, UnauthorizedError
from lutbench.device_agents.android.usb import usb_errors
from lutbench.device_agents.remote.link import LinkLostError, PushError

CONNECT_TIMEOUT_S = 5.0
ANSWER_TIMEOUT_S = 10.0  # for one packet of the phone's
AUTH_TIMEOUT_S = 30.0  # for a person to find the phone and tap Allow
_PUSH_TIMEOUT_S = 60.0
_STARTTLS = int.from_bytes(b"STLS", "little")  # what a phone's wireless debugging (Android 11 on) answers first

Ask = Callable[[], None]


class DirectLink:
    """adb-shell.

    open_transport: makes a new adb-shell transport.
    ask: called when a person has to allow the key.
    """

    def __init__(
        self,
        kind: str,
        label: str,
        open_transport: Callable[[], Any],
        keys: Sequence[Any],
        ask: Ask = lambda: None,
        auth_timeout_s: float = AUTH_TIMEOUT_S,
    ) -> None:
        self._kind = kind
        self._label = label
        self._open_transport = open_transport
        self._keys = keys
        self._ask = ask
        self._auth_timeout_s = auth_timeout_s
        self._adb: Any = None

    @property
    def kind(self) -> str:
        return self._kind

    def connect(self) -> None:
        from adb_shell.adb_device import AdbDevice

        self.close()
        asked: list[bool] = []

        def ask(_device: Any) -> None:
            asked.append(True)
            self._ask()

        try:
            self._adb = AdbDevice(self._open_transport())
            self._adb.connect(
                rsa_keys=list(self._keys),
                transport_timeout_s=CONNECT_TIMEOUT_S,
                auth_timeout_s=self._auth_timeout_s,
                read_timeout_s=ANSWER_TIMEOUT_S,
                auth_callback=ask,
            )
        except _lost_errors() as error:
            self.close()
            if f"Unknown command: {_STARTTLS} " in str(error):
                raise EncryptedError(
                    "this is the port of Wireless debugging, which only adb itself can speak to", device=self._label,
                    remedy=f"adb pair HOST:PORT (as the phone shows), adb connect {self._label}, pip install"
                    f" 'lutbench[adb-server]', then serial = \"{self._label}\" instead of address",
                ) from error  # fmt: skip
            if asked:
                raise UnauthorizedError(
                    "unauthorized: the phone does not allow this machine to use adb", device=self._label,
                    remedy="unlock it, run the command again and tap Allow on it",
                ) from error  # fmt: skip
            raise LinkLostError(_reason(error)) from error

    def execute(self, command: str, timeout_s: float) -> bytes:
        # exec, not shell: no terminal between, so every byte comes as it was printed
        data = self._guarded(
            lambda adb: adb.exec_out(
                command, transport_timeout_s=timeout_s, read_timeout_s=timeout_s, timeout_s=timeout_s, decode=False
            )
        )
        assert isinstance(data, bytes)
        return data

    def push(self, data: bytes, path: str) -> None:
        from adb_shell.exceptions import PushFailedError

        def send(adb: Any) -> None:
            timeouts = {"transport_timeout_s": ANSWER_TIMEOUT_S, "read_timeout_s": _PUSH_TIMEOUT_S}
            adb.push(io.BytesIO(data), path, **timeouts)

        try:
            self._guarded(send)
        except PushFailedError as error:
            raise PushError(bytes(error.args[0]).decode("utf-8", "replace") if error.args else "") from error

    def pull(self, path: str) -> bytes:
        target = io.BytesIO()
        self._guarded(lambda adb: adb.pull(path, target, read_timeout_s=_PUSH_TIMEOUT_S))
        return target.getvalue()

    def close(self) -> None:
        if self._adb is not None:
            self._adb.close()
            self._adb = None

    def _guarded(self, action: Callable[[Any], Any]) -> Any:
        if self._adb is None:
            raise LinkLostError("not connected")
        try:
            return action(self._adb)
        except _lost_errors() as error:
            self.close()  # adb-shell cannot go on after a lost packet
            raise LinkLostError(_reason(error)) from error


def tcp_transport(host: str, port: int) -> Any:
    """adb-shell's TCP transport, mended where it goes on after a partial write or after the phone hung up."""
    from adb_shell.transport.tcp_transport import TcpTransport

    class WholeTcpTransport(TcpTransport):  # type: ignore[misc]
        def connect(self, transport_timeout_s: float) -> None:
            super().connect(transport_timeout_s)
            # a message is a head and a body: without this the body waits 40 ms for the phone to say that the head came
            self._connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

        _connection: socket.socket

        def bulk_read(self, numbytes: int, transport_timeout_s: float) -> bytes:
            data: bytes = super().bulk_read(numbytes, transport_timeout_s)
            if not data:
                raise ConnectionResetError("the phone closed the connection")
            return data

        def bulk_write(self, data: bytes, transport_timeout_s: float) -> int:
            left = memoryview(data)
            deadline = time.monotonic() + transport_timeout_s
            while left:
                wait_s = deadline - time.monotonic()
                if wait_s <= 0 or not select.select([], [self._connection], [], wait_s)[1]:
                    raise TimeoutError(f"nothing could be sent for {transport_timeout_s:.0f} s")
                left = left[self._connection.send(left) :]
            return len(data)

    return WholeTcpTransport(host, port)


def _lost_errors() -> tuple[type[Exception], ...]:
    """Everything that adb-shell raises where the other side went away, hung, or spoke half a sentence."""
    from adb_shell import exceptions

    return (
        OSError,
        exceptions.AdbCommandFailureException,
        exceptions.AdbConnectionError,
        exceptions.AdbTimeoutError,
        exceptions.DeviceAuthError,
        exceptions.InvalidChecksumError,
        exceptions.InvalidCommandError,
        exceptions.InvalidResponseError,
        exceptions.TcpTimeoutException,
        exceptions.UsbDeviceNotFoundError,
        exceptions.UsbReadFailedError,
        exceptions.UsbWriteFailedError,
        *usb_errors(),
    )


def _reason(error: Exception) -> str:
    return " ".join(str(error).split()) or type(error).__name__
