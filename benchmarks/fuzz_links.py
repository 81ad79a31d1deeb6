"""Readers of what an iPhone's app, usbmuxd and lockdown answer: answers mutated, with lengths that fit them mostly."""

from __future__ import annotations

import contextlib
import json
import plistlib
import random
import socket
import struct
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from fuzz_mutate import mutated
from fuzz_reader import Reader

from lutbench.errors import LutbenchError

_UDID = "00008110-000A1B2C3D4E5F60"
_FRAME, _MUX, _LOCKDOWN = struct.Struct(">cI"), struct.Struct("<IIII"), struct.Struct(">I")
_ODD: list[Any] = [
    *(
        True,
        0,
        -1,
        1 << 63,
        1e300,
        1.5,
        "",
        "x" * 5000,
        "\x1b[31m\u202e",
        "\0",
        [],
        {},
        [[]],
        ["a", 1],
        {"a": {"b": []}},
    ),
]


@contextlib.contextmanager
def _answering(data: bytes) -> Iterator[Callable[[], socket.socket]]:
    """What makes a connection whose other end says this and hears whatever it is told."""
    ends: list[socket.socket] = []

    def connect(*_: object) -> socket.socket:
        mine, theirs = socket.socketpair()
        ends.append(theirs)

        def say() -> None:
            with contextlib.suppress(OSError):
                theirs.sendall(data)
                theirs.shutdown(socket.SHUT_WR)
                while theirs.recv(1 << 16):
                    pass

        threading.Thread(target=say, daemon=True).start()
        return mine

    try:
        yield connect
    finally:
        for end in ends:
            end.close()


def _app_seeds(_: Path) -> list[bytes]:
    device = {"machine": "iPhone10,3", "os": "iOS 16.7", "cores": 6, "memory_bytes": 3 << 30, "make": "Apple"}
    state = {"thermal": "nominal", "low_power": False, "battery": 0.8, "charging": True, "front": True}
    opened = {"open": True, "device": device, "state": state, "runtimes": {"onnx": "onnxruntime 1.24.3"}}
    answers = [{"lutbench": 1, "app": "0.2.0"}, opened, {"state": state}, {"missing": ["artifacts/a"]}, {"bytes": 5}]
    text = [_framed(json.dumps(answer).encode()) for answer in answers]
    refused = _framed(json.dumps({"error": "busy", "message": "another host", "left": 3}).encode())
    return [b"".join([*text, _FRAME.pack(b"B", 5) + b"abcde"]), text[0] + text[1] + refused]


def _framed(data: bytes) -> bytes:
    return _FRAME.pack(b"J", len(data)) + data


def _change_app(rng: random.Random, seeds: Sequence[bytes]) -> bytes:
    """Frames of the right length around mutated JSON, or around JSON with other values in it."""
    data = rng.choice(seeds)
    if rng.random() < 0.2:
        return mutated(data, seeds, rng)
    frames = []
    while data:
        _kind, length = _FRAME.unpack(data[: _FRAME.size])
        frames.append(data[: _FRAME.size + length])
        data = data[_FRAME.size + length :]
    place = rng.randrange(len(frames))
    content = frames[place][_FRAME.size :]
    frames[place] = _framed(_odd_json(content, rng) if rng.random() < 0.6 else mutated(content, [content], rng))
    return b"".join(frames)


def _odd_json(content: bytes, rng: random.Random) -> bytes:
    try:
        found = json.loads(content)
    except ValueError:
        return content
    inner = rng.choice([found, *(value for value in found.values() if isinstance(value, dict))])
    inner[rng.choice([*inner, "error", "left", "new"])] = rng.choice(_ODD)
    return json.dumps(found).encode()


def _read_app(path: Path) -> None:
    from lutbench.device_agents.ios.describe import describe
    from lutbench.device_agents.ios.link import AppLink, RefusedByAppError
    from lutbench.device_agents.remote.link import LinkLostError

    told = (LinkLostError, RefusedByAppError)  # what is asked again, or told as a DeviceError by who asked
    with _answering(path.read_bytes()) as reach:
        link = AppLink(reach, "iphone", "0" * 32, None)
        try:
            link.connect()
            assert link.opened is not None
            state = link.ask({"state": True}).get("state")
            describe(link.opened, state if isinstance(state, dict) else {}, "USB")
            link.ask({"missing": [["artifacts/a", 5]]})
            list(link.bytes_of(link.ask({"look": True}), 8 << 20))
        except told:
            return
        finally:
            link.close()


def _mux_seeds(_: Path) -> list[bytes]:
    properties = {"ConnectionType": "USB", "DeviceID": 3, "LocationID": 0, "ProductID": 4776, "SerialNumber": _UDID}
    device = {"DeviceID": 3, "MessageType": "Attached", "Properties": properties}
    answers: list[Any] = [{"DeviceList": [device, device]}, {"MessageType": "Result", "Number": 0}, device]
    answers += [{"DeviceID": 3, "MessageType": "Detached"}, {"PairRecordData": b"x" * 40}, {"MessageType": "Paired"}]
    return [plistlib.dumps(answer, fmt=kind) for answer in answers for kind in (plistlib.FMT_XML, plistlib.FMT_BINARY)]


def _change_mux(rng: random.Random, seeds: Sequence[bytes]) -> bytes:
    """Two messages, mutated, in headers that fit them mostly."""
    found = b""
    for _ in range(2):
        data = _changed_plist(rng, seeds)
        found += _MUX.pack(_MUX.size + len(data), 1, 8, 1) + data
    return found if rng.random() < 0.9 else mutated(found, seeds, rng)


def _changed_plist(rng: random.Random, seeds: Sequence[bytes]) -> bytes:
    data = rng.choice(seeds)
    if rng.random() < 0.2:
        return data
    if rng.random() < 0.4:
        found = plistlib.loads(data)
        inner = rng.choice([found, found.get("Properties", found)])
        inner[rng.choice([*inner, "new"])] = rng.choice([*_ODD, b"x", plistlib.UID(3)])
        with contextlib.suppress(OverflowError, TypeError, ValueError):
            return plistlib.dumps(found, fmt=rng.choice((plistlib.FMT_XML, plistlib.FMT_BINARY)))
    return mutated(data, seeds, rng)


def _read_mux(path: Path) -> None:
    from lutbench.device_agents.ios import usbmux
    from lutbench.device_agents.remote.link import LinkLostError

    device = usbmux.MuxDevice(3, _UDID, "USB")
    daemon = usbmux._daemon
    with _answering(path.read_bytes()) as reach:
        usbmux._daemon = reach
        try:
            for ask in (
                usbmux.list_devices,
                lambda: usbmux.has_pair_record(_UDID),
                lambda: usbmux.connect(device, 62078).close(),
                lambda: list(usbmux.watch(0.01)),
            ):
                with contextlib.suppress(LutbenchError, LinkLostError, usbmux.RefusedError):
                    ask()
        finally:
            usbmux._daemon = daemon


def _lockdown_seeds(_: Path) -> list[bytes]:
    value = {"ProductType": "iPhone10,3", "ProductVersion": "16.7", "PasswordProtected": True, "DeviceName": "x"}
    answer = {"Request": "GetValue", "Value": value}
    return [plistlib.dumps(answer, fmt=kind) for kind in (plistlib.FMT_XML, plistlib.FMT_BINARY)]


def _change_lockdown(rng: random.Random, seeds: Sequence[bytes]) -> bytes:
    data = _changed_plist(rng, seeds)
    return _LOCKDOWN.pack(len(data)) + data if rng.random() < 0.9 else mutated(data, seeds, rng)


def _read_lockdown(path: Path) -> None:
    from lutbench.device_agents.ios import lockdown, usbmux

    with _answering(path.read_bytes()) as reach:
        lockdown.connect = reach
        try:
            found = lockdown.values(usbmux.MuxDevice(3, _UDID, "USB"))
        finally:
            lockdown.connect = usbmux.connect
    if path.read_bytes() and not isinstance(found, dict):
        raise TypeError(f"{type(found).__name__} for a table")


LINKS = (
    Reader("iphone", ".bin", _app_seeds, _read_app, _change_app),
    Reader("usbmux", ".bin", _mux_seeds, _read_mux, _change_mux),
    Reader("lockdown", ".bin", _lockdown_seeds, _read_lockdown, _change_lockdown),
)
