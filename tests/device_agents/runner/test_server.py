"""The runner as a server: who may give it jobs, and for how long a client is waited for."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, replace

import pytest

from lutbench.device_agents.runner.job import RunnerJob
from lutbench.device_agents.runner.records import Records, read_records
from lutbench.measure.protocol import Batch
from tests.device_agents.runner.phone import BATCH, LONG_S, Phone

REQUEST = b"POST / HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: text/plain\r\n\r\n"


@dataclass(frozen=True)
class Server:
    """A runner that serves. job: one it takes; memory_bytes: of its process, resident."""

    port: int
    job: RunnerJob
    process: subprocess.Popen[bytes]

    def connect(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.port), LONG_S)

    def ask(self, data: bytes, closes: bool = False) -> Records:
        """What it answers on a connection of its own. closes: it then has to close it."""
        with self.connect() as connection:
            connection.sendall(data)
            found = answer(connection)
            if closes:
                with suppress(ConnectionResetError):  # closed with something of ours unread
                    assert connection.recv(1) == b""
            return found


@pytest.fixture
def server(phone: Phone) -> Iterator[Server]:
    assert phone.job.library is not None
    command = phone.command("--serve", "0", "--library", phone.job.library)
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, cwd=phone.folder)
    try:
        assert process.stdout is not None
        words = process.stdout.readline().decode().split()
        assert words[:2] == ["listening", "on"] and words[3] == "token" and len(words[4]) == 32
        job = replace(phone.job, library=None, token=words[4])
        yield Server(int(words[2].rpartition(":")[2]), job, process)
        assert process.poll() is None
    finally:
        process.kill()
        process.wait()
        if process.stdout:
            process.stdout.close()


def answer(connection: socket.socket) -> Records:
    """Records up to the job's last."""
    data = b""
    while True:
        try:
            chunk = connection.recv(1 << 16)
        except ConnectionResetError:  # closed with something of ours unread
            chunk = b""
        data += chunk
        found = read_records(data)
        if found.end or found.fatal or not chunk:
            return found


def test_a_server_takes_one_job_after_the_other(server: Server) -> None:
    for nonce in ("first", "second"):
        with server.connect() as connection:
            for cores in ((0,), None):
                connection.sendall(replace(server.job, nonce=nonce, cores=cores).encoded())
                found = answer(connection)
                assert found.complete(nonce)
                assert len(found.cycles) == len(BATCH.cycles)


def test_what_the_next_job_names_again_is_not_loaded_again(server: Server) -> None:
    with server.connect() as connection:
        connection.sendall(server.job.encoded())
        assert "Running" in repr(answer(connection).records)
        connection.sendall(server.job.encoded())
        found = answer(connection)
    assert found.complete("n1") and len(found.cycles) == len(BATCH.cycles)
    assert "Running" not in repr(found.records) and not found.loaded


def test_a_web_pages_request_does_not_run_the_job_in_its_body(server: Server) -> None:
    """Not even one that knows the token: the connection ends at the first line that is no job."""
    found = server.ask(REQUEST + server.job.encoded(), closes=True)
    assert found.fatal is not None and len(found.records) == 1


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"token": None}, "token"),
        ({"token": ""}, "token"),
        ({"token": "0" * 32}, "token"),
        ({"library": "/lib/x86_64-linux-gnu/libc.so.6"}, "may not name one"),
        ({"engine": "abacus"}, "no engine abacus"),
    ],
)
def test_a_job_that_may_not_be_run_ends_its_connection(change: dict[str, object], said: str, server: Server) -> None:
    bad = replace(server.job, **change)  # type: ignore[arg-type]
    found = server.ask(bad.encoded() + server.job.encoded(), closes=True)
    assert found.fatal is not None and said in found.fatal.reason
    assert len(found.records) == 1


@pytest.mark.parametrize("line", [b"\n", b"{}\n", b"\xff\n", b"[" * 100_000 + b"\n"])
def test_a_line_that_is_no_job_ends_its_connection(line: bytes, server: Server) -> None:
    found = server.ask(line + server.job.encoded(), closes=True)
    assert found.fatal is not None and len(found.records) == 1


def test_a_second_client_is_told_that_another_one_is_served(server: Server) -> None:
    with server.connect() as first:
        first.sendall(server.job.encoded())
        assert answer(first).complete("n1")
        found = server.ask(b"", closes=True)
        assert found.fatal is not None and "another client" in found.fatal.reason
        first.sendall(server.job.encoded())
        assert answer(first).complete("n1")
    until = time.monotonic() + LONG_S
    while (found := server.ask(server.job.encoded())).fatal is not None:  # until it has seen that the first has gone
        assert time.monotonic() < until
    assert found.complete("n1")


def test_a_client_that_goes_in_the_midst_of_things(server: Server) -> None:
    with server.connect() as connection:
        connection.sendall(replace(server.job, batch=Batch(BATCH.cycles * 200, BATCH.canaries)).encoded())
        connection.recv(10)
    until = time.monotonic() + LONG_S
    for data in (server.job.encoded()[:-10], server.job.encoded()):
        while True:
            assert time.monotonic() < until
            with server.connect() as connection:
                connection.sendall(data)
                if data.endswith(b"\n"):
                    found = answer(connection)
                    if found.fatal is None and found.records:
                        assert found.complete("n1")
                        return
                else:
                    break


def test_artifacts_are_regular_files(server: Server, phone: Phone) -> None:
    os.mkfifo(phone.folder / "pipe")
    entry = json.loads(server.job.encoded())
    entry |= {"cycles": [], "check": False}
    entry["artifacts"] = [
        {"name": path, "path": path, "sha256": "0" * 64} for path in ("pipe", "/dev/zero", "/proc/self/mem", ".")
    ]
    found = server.ask(json.dumps(entry).encode() + b"\n")
    assert [failure.name for failure in found.failed] == ["pipe", "/dev/zero", "/proc/self/mem", "."]
    reasons = [failure.reason for failure in found.failed]
    assert "not a regular file" in reasons[0] and "not a regular file" in reasons[1] and "regular" in reasons[3]


@pytest.mark.skipif(not os.environ.get("LUTBENCH_REQUIRE_PHONE"), reason="takes 90 s: set in .ci/run")
def test_slow_and_idle_clients_are_let_go(server: Server) -> None:
    began = time.monotonic()
    with socket.create_connection(("127.0.0.1", server.port), 70) as slow:
        slow.sendall(b"{")
        slow.settimeout(70)
        found = answer(slow)
    assert found.fatal is not None and "did not end within 30 s" in found.fatal.reason
    assert 25 < time.monotonic() - began < 45
    with socket.create_connection(("127.0.0.1", server.port), 80) as idle:
        idle.settimeout(80)
        found = answer(idle)
    assert found.fatal is not None and "no job came within 60 s" in found.fatal.reason
