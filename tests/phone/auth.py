"""A gate before adbd that asks for a trusted key, as a phone does; Debian's adbd lets everybody in."""

from __future__ import annotations

import base64
import os
import socket
import struct
from dataclasses import dataclass, field

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa, utils

_HEADER = struct.Struct("<6I")
_CNXN, _AUTH = (int.from_bytes(word, "little") for word in (b"CNXN", b"AUTH"))
_TOKEN, _SIGNATURE, _PUBLIC_KEY = 1, 2, 3
_MODULUS = slice(8, 264)  # of Android's form of a public key; its exponent is the last 4 bytes


@dataclass
class AuthGate:
    """For Relay.greet. trusted: keys let in; taps_allow: whether the person at the phone trusts a new one.

    asked: how often the phone has asked that person.
    """

    taps_allow: bool
    trusted: list[rsa.RSAPublicKey] = field(default_factory=list)
    asked: int = 0

    def __call__(self, client: socket.socket) -> bytes | None:
        """The client's greeting, once it is trusted; None where it went away."""
        greeting = _receive(client)
        token = os.urandom(20)
        while greeting is not None:
            _send(client, _AUTH, _TOKEN, token)
            answer = _receive(client)
            if answer is None:
                return None
            _, kind, payload = _parse(answer)
            if kind == _SIGNATURE and any(_is_signed(key, token, payload) for key in self.trusted):
                return greeting
            if kind == _PUBLIC_KEY:
                self.asked += 1
                if self.taps_allow:
                    self.trusted.append(_key(payload))
                    return greeting
                client.recv(1)  # a phone says nothing until someone taps; the client gives up
                return None
        return None


def _is_signed(key: rsa.RSAPublicKey, token: bytes, signature: bytes) -> bool:
    try:
        key.verify(signature, token, padding.PKCS1v15(), utils.Prehashed(hashes.SHA1()))
    except InvalidSignature:
        return False
    return True


def _key(payload: bytes) -> rsa.RSAPublicKey:
    data = base64.b64decode(payload.split(b" ")[0].rstrip(b"\0"))
    modulus, exponent = int.from_bytes(data[_MODULUS], "little"), int.from_bytes(data[-4:], "little")
    return rsa.RSAPublicNumbers(exponent, modulus).public_key()


def _send(client: socket.socket, command: int, kind: int, payload: bytes) -> None:
    head = _HEADER.pack(command, kind, 0, len(payload), sum(payload), command ^ 0xFFFFFFFF)
    client.sendall(head + payload)


def _receive(client: socket.socket) -> bytes | None:
    head = _exactly(client, _HEADER.size)
    if head is None:
        return None
    payload = _exactly(client, _HEADER.unpack(head)[3])
    return None if payload is None else head + payload


def _parse(message: bytes) -> tuple[int, int, bytes]:
    command, kind, *_ = _HEADER.unpack(message[: _HEADER.size])
    return command, kind, message[_HEADER.size :]


def _exactly(client: socket.socket, size: int) -> bytes | None:
    data = b""
    while len(data) < size:
        part = client.recv(size - len(data))
        if not part:
            return None
        data += part
    return data
