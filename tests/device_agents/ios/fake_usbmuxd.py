"""A stand-in for Apple's usbmuxd and the phones behind it: their ports are ports of this machine."""

from __future__ import annotations

import plistlib
import socket
import struct
import threading
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any

HEADER = struct.Struct("<IIII")
OK, BAD_COMMAND, NO_DEVICE, REFUSED = 0, 1, 2, 3
LOCKDOWN = 62078


@dataclass
class FakePhone:
    """A phone on a cable.

    ports: of the phone -> of this machine.
    values: what its lockdown service tells anybody.
    trusted: this machine has its pair record.
    """

    udid: str
    ports: dict[int, int] = field(default_factory=dict)
    values: Mapping[str, Any] = field(default_factory=dict)
    trusted: bool = True
    through: str = "USB"


def receive(connection: socket.socket, count: int) -> bytes:
    data = b""
    while len(data) < count:
        chunk = connection.recv(count - len(data))
        if not chunk:
            raise ConnectionError
        data += chunk
    return data


class FakeUsbmuxd:
    """Listens on a port of this machine; address is what USBMUXD_SOCKET_ADDRESS is set to."""

    def __init__(self) -> None:
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.address = f"127.0.0.1:{self._listening.getsockname()[1]}"
        self._lock = threading.Lock()
        self._phones: dict[int, FakePhone] = {}
        self._listeners: list[tuple[socket.socket, int]] = []
        self._open: list[tuple[int, socket.socket]] = []  # connections of phones, by attachment
        self._next = 0
        threading.Thread(target=self._accept, daemon=True).start()

    def __enter__(self) -> FakeUsbmuxd:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        with suppress(OSError):
            self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()
        for number in list(self._phones):
            self.unplug(number)
        for listener, _ in self._listeners:
            cut(listener)

    def plug_in(self, phone: FakePhone) -> int:
        """The number of the attachment."""
        with self._lock:
            self._next += 1
            number = self._next
            self._phones[number] = phone
            for listener, tag in self._listeners:
                send(listener, tag, entry(number, phone))
            return number

    def unplug(self, number: int) -> None:
        """The cable is pulled: every connection through it breaks."""
        with self._lock:
            del self._phones[number]
            for of, connection in self._open:
                if of == number:
                    cut(connection)
            self._open = [(of, connection) for of, connection in self._open if of != number]
            for listener, tag in self._listeners:
                send(listener, tag, {"MessageType": "Detached", "DeviceID": number})

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listening.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        with suppress(OSError):
            while True:
                length, _version, _kind, tag = HEADER.unpack(receive(connection, HEADER.size))
                message = plistlib.loads(receive(connection, length - HEADER.size))
                if self._answer(connection, tag, message):
                    return
        connection.close()

    def _answer(self, connection: socket.socket, tag: int, message: dict[str, Any]) -> bool:
        """Whether the connection speaks no messages any more."""
        match message.get("MessageType"):
            case "ListDevices":
                with self._lock:
                    phones = [entry(number, phone) for number, phone in self._phones.items()]
                send(connection, tag, {"DeviceList": phones})
            case "Listen":
                with self._lock:
                    result(connection, tag, OK)
                    for number, phone in self._phones.items():
                        send(connection, 0, entry(number, phone))
                    self._listeners.append((connection, 0))
                return True
            case "ReadPairRecord":
                phones = [p for p in self._phones.values() if p.udid == message["PairRecordID"] and p.trusted]
                if phones:
                    send(connection, tag, {"PairRecordData": plistlib.dumps({"HostID": "x"})})
                else:
                    result(connection, tag, NO_DEVICE)
            case "Connect":
                return self._connect(connection, tag, message)
            case _:
                result(connection, tag, BAD_COMMAND)
        return False

    def _connect(self, connection: socket.socket, tag: int, message: dict[str, Any]) -> bool:
        number, port = message["DeviceID"], socket.ntohs(message["PortNumber"])
        phone = self._phones.get(number)
        if phone is None:
            result(connection, tag, NO_DEVICE)
            return False
        if port == LOCKDOWN and phone.values:
            result(connection, tag, OK)
            lockdown(connection, phone.values)
            return True
        try:
            target = socket.create_connection(("127.0.0.1", phone.ports[port]), 5)
        except (KeyError, OSError):
            result(connection, tag, REFUSED)
            return False
        target.settimeout(None)
        for end in (connection, target):
            end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # a cable does not wait for more to send
        with self._lock:
            self._open += [(number, connection), (number, target)]
            result(connection, tag, OK)
        threading.Thread(target=pass_on, args=(connection, target), daemon=True).start()
        pass_on(target, connection)
        return True


def entry(number: int, phone: FakePhone) -> dict[str, Any]:
    properties = {
        "ConnectionSpeed": 480_000_000, "ConnectionType": phone.through, "DeviceID": number, "LocationID": 0x10002,
        "ProductID": 0x12A8, "SerialNumber": phone.udid,
    }  # fmt: skip
    return {"MessageType": "Attached", "DeviceID": number, "Properties": properties}


def send(connection: socket.socket, tag: int, message: dict[str, Any]) -> None:
    data = plistlib.dumps(message)
    with suppress(OSError):
        connection.sendall(HEADER.pack(HEADER.size + len(data), 1, 8, tag) + data)


def result(connection: socket.socket, tag: int, number: int) -> None:
    send(connection, tag, {"MessageType": "Result", "Number": number})


def lockdown(connection: socket.socket, values: Mapping[str, Any]) -> None:
    """Answers as a phone's lockdown service does without a session: a length, big-endian, and a property list."""
    with suppress(OSError):
        while True:
            (length,) = struct.unpack(">I", receive(connection, 4))
            asked = plistlib.loads(receive(connection, length))
            found = values if "Key" not in asked else values.get(asked["Key"])
            answer = {
                "Request": asked["Request"],
                **({"Value": found} if found is not None else {"Error": "MissingValue"}),
            }
            data = plistlib.dumps(answer)
            connection.sendall(struct.pack(">I", len(data)) + data)
    connection.close()


def pass_on(source: socket.socket, target: socket.socket) -> None:
    with suppress(OSError):
        while data := source.recv(1 << 16):
            target.sendall(data)
    cut(target)
    cut(source)


def cut(connection: socket.socket) -> None:
    with suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)
    connection.close()
