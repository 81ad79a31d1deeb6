"""adb without a server, against what phones answer first."""

from __future__ import annotations

import socket
import struct
import threading
from pathlib import Path

import pytest

from lutbench.device_agents.android.find import Wanted, connect
from lutbench.device_agents.android.link import EncryptedError

_STLS, _VERSION = int.from_bytes(b"STLS", "little"), 0x01000000


def test_the_port_of_wireless_debugging_is_explained(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Android 11's adbd answers a greeting there with STLS; a run that waits for more would wait in vain."""
    monkeypatch.setenv("HOME", str(tmp_path))
    greetings: list[bytes] = []

    def answer(server: socket.socket) -> None:
        client, _ = server.accept()
        greetings.append(client.recv(24)[:4])
        client.sendall(struct.pack("<6I", _STLS, _VERSION, 0, 0, 0, _STLS ^ 0xFFFFFFFF))
        client.recv(1 << 16)
        client.close()

    with socket.create_server(("127.0.0.1", 0)) as server:
        threading.Thread(target=answer, args=(server,), daemon=True).start()
        address = f"127.0.0.1:{server.getsockname()[1]}"
        with pytest.raises(EncryptedError, match="Wireless debugging") as caught:
            connect(Wanted("phone", address=address), tmp_path / "config", lambda: None, 1.0)
    assert greetings == [b"CNXN"]
    for part in ("adb pair", f"adb connect {address}", "adb-server", f'serial = "{address}"'):
        assert part in caught.value.remedy
    assert caught.value.exit_status == 3 and "\n" not in str(caught.value)
