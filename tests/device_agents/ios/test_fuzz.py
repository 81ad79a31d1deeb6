"""Junk that is sent to the app: it answers or closes, and serves the next host as before."""

from __future__ import annotations

import json
import random
import socket
import struct
import time
from contextlib import suppress

import pytest

from lutbench.export.artifact import Artifact
from tests.device_agents.ios.app import App
from tests.device_agents.ios.conftest import OpenIphone
from tests.device_agents.ios.test_agent import samples
from tests.device_agents.runner.phone import BATCH

pytestmark = pytest.mark.slow
SESSION = "0123456789abcdef" * 2
QUESTIONS = ("open", "state", "missing", "put", "job", "look", "renew", "clean", "bye", "what")
VALUES = (
    None, True, -1, 0, 5, 1 << 62, 1e300, "", "x", SESSION, "../../etc/passwd", "artifacts/x", "inputs/" + "y" * 500,
    [], {},
    [["artifacts/a", 5]], [[1, 2]], [[]], ["x"], {"a": {"b": []}}, "\u0000", "é" * 200,
)  # fmt: skip


def frame(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">cI", kind, len(data)) + data


def asked(entry: object) -> bytes:
    return frame(b"J", json.dumps(entry).encode())


HELLO = asked({"lutbench": 1})


def junk(chance: random.Random) -> bytes:
    """What a broken or hostile host may send: from bytes at random to questions that are nearly right."""
    kind = chance.randrange(5)
    if kind == 0:
        return chance.randbytes(chance.randrange(60))
    if kind == 1:
        return struct.pack(
            ">cI", chance.choice((b"J", b"B", b"E", b"X")), chance.choice((0, 5, 1 << 20, 1 << 31, 0xFFFFFFFF))
        )
    if kind == 2:
        return frame(chance.choice((b"J", b"B")), chance.choice((b"[" * 3000, b"{" * 3000, b'"\xff"', b"null", b"{}")))
    entry = {chance.choice(QUESTIONS): chance.choice(VALUES)}
    for key in ("sha256", "bytes", "offset", "wait_ms", "host", "heat_wait"):
        if chance.random() < 0.6:
            entry[key] = chance.choice(VALUES)
    return asked(entry) + (frame(b"B", chance.randbytes(5)) if chance.random() < 0.4 else b"")


def send(port: int, data: bytes) -> bytes:
    """What the app answers before it closes, or before this side does."""
    with socket.create_connection(("127.0.0.1", port), 10) as connection:
        found = b""
        with suppress(OSError):  # it has closed with something of ours unread
            connection.sendall(data)
        with suppress(OSError):
            connection.shutdown(socket.SHUT_WR)
        with suppress(ConnectionError):
            while chunk := connection.recv(1 << 16):
                found += chunk
        return found


@pytest.mark.parametrize("seed", range(4))
def test_the_app_outlives_junk(seed: int, app: App, opened: OpenIphone, artifacts: list[Artifact]) -> None:
    chance = random.Random(seed)
    opened_it = HELLO + asked({"open": SESSION})
    for _ in range(60):
        data = b"".join(junk(chance) for _ in range(chance.randrange(1, 4)))
        start = chance.choice((b"", HELLO, opened_it))
        port = chance.choice((app.port, app.port, app.wifi_port))
        answer = send(port, start + data)
        assert port == app.wifi_port or not start or answer.startswith(b"J")
    send(app.port, opened_it + asked({"bye": True}))
    assert app.process.poll() is None
    assert not [path for path in app.folder.rglob("*") if path.is_file() and path.parent.name != "jobs"]
    agent = opened()
    assert list(agent.install(artifacts)) == []
    assert len(samples(list(agent.measure(BATCH)))) == 3


def test_a_second_client_is_told_and_a_ninth_is_closed(app: App, opened: OpenIphone) -> None:
    agent = opened()
    answer = send(app.port, HELLO + asked({"open": SESSION}) + asked({"state": True}))
    assert b'"error":"busy"' in answer and b"not opened by this connection" in answer
    crowd = [socket.create_connection(("127.0.0.1", app.port), 10) for _ in range(12)]
    assert agent.connection.state()["thermal"] == "nominal"
    time.sleep(0.2)
    for connection in crowd:
        connection.close()
    assert agent.connection.state()["thermal"] == "nominal"
    assert app.process.poll() is None


def test_a_question_before_it_is_opened_is_refused(app: App) -> None:
    for question in ({"state": True}, {"job": SESSION, "bytes": 1}, {"clean": True}):
        assert b'"error":"malformed"' in send(app.port, HELLO + asked(question))
    assert b'"error":"protocol"' in send(app.port, asked({"lutbench": 7}))
    assert b'"error":"key"' in send(app.wifi_port, HELLO)
    assert app.process.poll() is None


def test_a_job_leads_nowhere_else(app: App) -> None:
    job = {
        "job": 1, "nonce": "n", "engine": "onnx", "threads": 1, "patience": 0, "cycles": [], "canaries": {},
        "artifacts": [{"name": "x", "path": "/etc/passwd", "sha256": "0" * 64}],
    }  # fmt: skip
    data = json.dumps(job).encode()
    start = HELLO + asked({"open": SESSION})
    give = asked({"job": SESSION, "bytes": len(data)}) + frame(b"B", data)
    answer = send(app.port, start + give + asked({"look": SESSION, "offset": 0, "wait_ms": 5000}))
    assert b"a file outside of the server's folder" in answer
