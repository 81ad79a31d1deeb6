"""The frames that host and app send each other (docs/reference/iphone-protocol.md): a kind, a length, that many bytes.

JSON carries what is asked and answered, bytes carry files, jobs and records; over Wi-Fi both travel sealed.
"""

from __future__ import annotations

import json
import socket
import struct
import time
from collections.abc import Iterator
from typing import Any, Protocol

from lutbench.device_agents.remote.link import LinkLostError
from lutbench.reading.json_text import plain_json
from lutbench.reading.plain import show

JSON, BYTES, SEALED = b"J", b"B", b"E"
GREETING_BYTES = 1 << 12  # of a frame before both sides know whom they speak with
JSON_BYTES = 1 << 20
CHUNK_BYTES = 1 << 20
_HEADER = struct.Struct(">cI")
_LONGEST_PLAIN = max(JSON_BYTES, CHUNK_BYTES) + 1  # a sealed frame holds a kind and its bytes
_LIMITS = {JSON: JSON_BYTES, BYTES: CHUNK_BYTES}


class FrameError(LinkLostError):
    """What arrives is no frame of this protocol; the connection is of no use any more."""


class Cipher(Protocol):
    """Both directions of a sealed connection."""

    overhead: int

    def seal(self, data: bytes) -> bytes: ...

    def unseal(self, data: bytes) -> bytes:
        """FrameError where it was not sealed by the other side, or is not the next frame."""


class Frames:
    """A connection that speaks frames. LinkLostError where it breaks or nothing comes in time."""

    def __init__(self, connection: socket.socket) -> None:
        if connection.family != socket.AF_UNIX:
            # else a question's second frame waits until the other side has acknowledged the first, often 40 ms
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._connection = connection
        self._cipher: Cipher | None = None
        self._greeting = True
        self.sent_bytes = 0

    def seal_with(self, cipher: Cipher) -> None:
        """Everything from now on is sealed."""
        self._cipher = cipher

    def greeted(self) -> None:
        """The greeting is over: frames may be longer from now on."""
        self._greeting = False

    def send_json(self, entry: dict[str, Any], timeout_s: float) -> None:
        self._send(JSON, json.dumps(entry, separators=(",", ":")).encode(), timeout_s)

    def send_bytes(self, data: bytes, timeout_s: float) -> None:
        """Any number of bytes, in chunks."""
        view = memoryview(data)
        for start in range(0, len(data), CHUNK_BYTES):
            self._send(BYTES, bytes(view[start : start + CHUNK_BYTES]), timeout_s)

    def receive_json(self, timeout_s: float) -> dict[str, Any]:
        data = self._receive(JSON, time.monotonic() + timeout_s)
        try:
            found = plain_json(data)
        except ValueError as error:
            raise FrameError(f"what the app says is no JSON: {show(data)}") from error
        if not isinstance(found, dict):
            raise FrameError(f"what the app says is no JSON object: {show(data)}")
        return found

    def receive_bytes(self, count: int, timeout_s: float) -> Iterator[bytes]:
        """That many bytes, chunk by chunk."""
        until = time.monotonic() + timeout_s
        while count > 0:
            chunk = self._receive(BYTES, until)
            if not 0 < len(chunk) <= count:
                raise FrameError(f"the app sends a chunk of {len(chunk)} bytes where {count} are left")
            count -= len(chunk)
            yield chunk

    def close(self) -> None:
        self._connection.close()

    def _send(self, kind: bytes, data: bytes, timeout_s: float) -> None:
        if len(data) > _LIMITS[kind]:
            raise ValueError(f"a frame of {len(data)} bytes")
        if self._cipher is not None:
            kind, data = SEALED, self._cipher.seal(kind + data)
        try:
            self._connection.settimeout(timeout_s)
            self._connection.sendall(_HEADER.pack(kind, len(data)) + data)
        except OSError as error:
            raise LinkLostError(str(error.strerror or error)) from error
        self.sent_bytes += len(data)

    def _receive(self, wanted: bytes, until: float) -> bytes:
        kind, length = _HEADER.unpack(self._exactly(_HEADER.size, until))
        if self._cipher is None:
            limit = min(_LIMITS[wanted], GREETING_BYTES) if self._greeting else _LIMITS[wanted]
            self._check(kind, wanted, length, limit)
            return self._exactly(length, until)
        self._check(kind, SEALED, length, _LONGEST_PLAIN + self._cipher.overhead)
        plain = self._cipher.unseal(self._exactly(length, until))
        self._check(plain[:1], wanted, len(plain) - 1, _LIMITS[wanted])
        return plain[1:]

    def _check(self, kind: bytes, wanted: bytes, length: int, limit: int) -> None:
        if kind != wanted:
            raise FrameError(f"a frame of kind {show(kind)} came, {wanted.decode()} was expected")
        if length > limit:
            raise FrameError(f"a frame of {length} bytes came, {limit} are the most")

    def _exactly(self, count: int, until: float) -> bytes:
        found = bytearray()
        try:
            while len(found) < count:
                left_s = until - time.monotonic()
                if left_s <= 0:
                    raise TimeoutError("it does not answer in time")
                self._connection.settimeout(left_s)
                chunk = self._connection.recv(min(count - len(found), CHUNK_BYTES))
                if not chunk:
                    raise LinkLostError("the connection was closed")
                found += chunk
        except OSError as error:
            raise LinkLostError(str(error.strerror or error)) from error
        return bytes(found)
