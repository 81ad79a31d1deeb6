"""The app without a cable: codes, what is sealed, and who reaches it."""

from __future__ import annotations

import dataclasses
import socket
import threading
from contextlib import suppress

import pytest

from lutbench.device_agents.ios.find import WantedIphone
from lutbench.errors import DeviceError, UsageError
from lutbench.export.artifact import Artifact
from tests.device_agents.ios.app import App
from tests.device_agents.ios.conftest import OpenIphone
from tests.device_agents.ios.test_agent import samples
from tests.device_agents.runner.phone import BATCH

pytestmark = pytest.mark.slow


def wireless(app: App, code: str) -> WantedIphone:
    return WantedIphone("mine", address=f"127.0.0.1:{app.wifi_port}", code=code)


def test_wifi_is_sealed_and_measures_the_same(app: App, opened: OpenIphone, artifacts: list[Artifact]) -> None:
    agent = opened(wireless(app, app.code.lower()))
    assert list(agent.install(artifacts)) == []
    assert len(samples(list(agent.measure(BATCH)))) == 3
    assert agent.describe().environment["connection"] == "Wi-Fi"


def listening_in(port: int, heard: list[bytes]) -> socket.socket:
    """Passes connections on to a port of this machine, and keeps what both sides say."""
    server = socket.create_server(("127.0.0.1", 0))

    def pass_on(source: socket.socket, target: socket.socket) -> None:
        with suppress(OSError):
            while data := source.recv(1 << 16):
                heard.append(data)
                target.sendall(data)
            target.shutdown(socket.SHUT_WR)

    def serve() -> None:
        with suppress(OSError):  # it was closed
            while True:
                host, app = server.accept()[0], socket.create_connection(("127.0.0.1", port))
                for pair in ((host, app), (app, host)):
                    threading.Thread(target=pass_on, args=pair, daemon=True).start()

    threading.Thread(target=serve, daemon=True).start()
    return server


def test_who_listens_in_on_wifi_reads_nothing(app: App, opened: OpenIphone, artifacts: list[Artifact]) -> None:
    heard: list[bytes] = []
    with listening_in(app.wifi_port, heard) as relay:
        wanted = dataclasses.replace(wireless(app, app.code), address=f"127.0.0.1:{relay.getsockname()[1]}")
        agent = opened(wanted)
        assert list(agent.install(artifacts)) == []
        assert len(samples(list(agent.measure(BATCH)))) == 3
        agent.close()
    said = b"".join(heard)
    assert b'"proof"' in said and len(said) > sum(artifact.size_bytes for artifact in artifacts)
    for clear in (
        b'"open"',
        b"nominal",
        b"cycle",
        b"artifacts/",
        app.code.encode(),
        artifacts[0].path.read_bytes()[:64],
    ):
        assert clear not in said


def test_nobody_on_the_network_reaches_what_listens_for_the_cable(app: App) -> None:
    """127.0.0.2 is this machine too, by another address: as one on the network would be."""
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.2", app.port), 5)
    with socket.create_connection(("127.0.0.1", app.port), 5):
        pass


def test_five_wrong_codes_switch_wifi_off(app: App, opened: OpenIphone) -> None:
    wrong = "0000-0000-0000" if not app.code.startswith("0000") else "1111-1111-1111"
    for left in ("4 more tries", "3 more tries", "2 more tries", "one more try"):
        with pytest.raises(DeviceError, match=f"the pairing code is wrong .{left}"):
            opened(wireless(app, wrong))
    with pytest.raises(DeviceError, match="five wrong pairing codes"):
        opened(wireless(app, wrong))
    # the right one does not help any more, whether the app still listens, has just stopped, or stops in between: then
    # it breaks a connection that the system had taken for it
    with pytest.raises(DeviceError, match=r"nothing answers|five wrong"):
        opened(wireless(app, app.code))
    opened().close()  # by cable it goes on


def test_a_right_code_forgives_the_wrong_ones(app: App, opened: OpenIphone) -> None:
    for _ in range(2):
        for _ in range(3):
            with pytest.raises(DeviceError, match="the pairing code is wrong"):
                opened(wireless(app, "0" * 12))
        opened(wireless(app, app.code)).close()


def test_wifi_needs_a_code(app: App, opened: OpenIphone, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UsageError, match="there is no pairing code"):
        opened(wireless(app, ""))
    with pytest.raises(UsageError, match="is no pairing code"):
        opened(wireless(app, "123"))
    monkeypatch.setenv("LUTBENCH_PAIRING_CODE", app.code)
    opened(wireless(app, "")).close()
