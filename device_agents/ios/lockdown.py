"""What an iPhone tells anybody on its cable: its model and version, whether it is locked. It starts nothing."""

from __future__ import annotations

import plistlib
import socket
import struct
from typing import Any

from lutbench.device_agents.ios.usbmux import NO_PLIST, MuxDevice, RefusedError, connect
from lutbench.device_agents.remote.link import LinkLostError

PORT = 62078
_LENGTH = struct.Struct(">I")
_LONGEST = 1 << 18
_TIMEOUT_S = 3.0


def values(device: MuxDevice) -> dict[str, Any]:
    """All that the phone says without trust; {} where it does not answer."""
    try:
        connection = connect(device, PORT)
    except (LinkLostError, RefusedError):
        return {}
    with connection:
        connection.settimeout(_TIMEOUT_S)
        try:
            return _asked(connection)
        except (OSError, *NO_PLIST):
            return {}


def _asked(connection: socket.socket) -> dict[str, Any]:
    data = plistlib.dumps({"Label": "lutbench", "Request": "GetValue"})
    connection.sendall(_LENGTH.pack(len(data)) + data)
    (length,) = _LENGTH.unpack(_exactly(connection, _LENGTH.size))
    if length > _LONGEST:
        return {}
    answer = plistlib.loads(_exactly(connection, length))
    found = answer.get("Value")
    return found if isinstance(found, dict) else {}


def _exactly(connection: socket.socket, count: int) -> bytes:
    found = b""
    while len(found) < count:
        chunk = connection.recv(count - len(found))
        if not chunk:
            raise ConnectionError("closed")
        found += chunk
    return found
