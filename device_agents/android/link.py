"""The internal interface to one phone, whatever carries it: adb over TCP, over USB, or through an adb server."""

from __future__ import annotations

from typing import Protocol

from lutbench.errors import DeviceError


class UnauthorizedError(DeviceError):
    """The phone does not trust this machine's key."""


class EncryptedError(DeviceError):
    """The phone speaks only TLS at this port."""


class Link(Protocol):
    """A connection. execute, push and pull raise LinkLostError; after one, `connect` makes the connection anew."""

    @property
    def kind(self) -> str:
        """The way in which the phone is reached, for the LUT's environment."""

    def connect(self) -> None:
        """LinkLostError where the phone does not answer, UnauthorizedError where it refuses the key."""

    def execute(self, command: str, timeout_s: float) -> bytes:
        """What the phone's shell prints for the command; cut off, perhaps, without any error."""

    def push(self, data: bytes, path: str) -> None:
        """Writes a file on the phone; PushError where the phone could not."""

    def pull(self, path: str) -> bytes:
        """A file of the phone."""

    def close(self) -> None: ...
