"""Through an adb server: an old one, and one that holds two phones of one serial."""

from __future__ import annotations

import socketserver
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from lutbench.device_agents.android.connection import Connection
from lutbench.device_agents.android.find import Wanted, attached, choose, connect
from lutbench.device_agents.android.server import ServerAddress, ServerLink, ServerPhone, server_phones
from lutbench.device_agents.remote.link import LinkLostError

pytest.importorskip("adbutils")

SHORT = "0123\tdevice\n0123\tdevice\nA B\tunauthorized\n"
LONG = (
    "0123                   device usb:1-3 product:p model:Cheap device:d transport_id:7\n"
    "0123                   device usb:1-4.2 product:p model:Cheap device:d transport_id:9\n"
    "A B                    unauthorized usb:2-1 transport_id:11\n"
)
REQUEST_BYTES = 4096  # what servers of before 2018 take


class OldServer(socketserver.ThreadingTCPServer):
    """An adb server that lists SHORT and LONG; a command prints which phone was asked for. long: its list of LONG."""

    daemon_threads = True
    long = LONG


class _Talk(socketserver.StreamRequestHandler):
    def handle(self) -> None:
        phone = ""
        while size := self.rfile.read(4):
            request = self.rfile.read(int(size, 16)).decode()
            if len(request) > REQUEST_BYTES:
                return
            self.wfile.write(b"OKAY")
            if request.startswith("host:devices"):
                assert isinstance(self.server, OldServer)
                text = (self.server.long if request.endswith("-l") else SHORT).encode()
                self.wfile.write(b"%04x" % len(text) + text)
                return
            if request == "host:version":  # 39: what it was in 2017
                self.wfile.write(b"00040027")
                return
            if request.startswith("exec:"):
                marker = request.split("echo ")[-1].split(" ")[0]
                self.wfile.write(f"{phone}\n\n{marker} 0\n".encode())
                return
            phone = request


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[OldServer]:
    with OldServer(("127.0.0.1", 0), _Talk) as made:
        threading.Thread(target=made.serve_forever, args=(0.01,), daemon=True).start()
        monkeypatch.setenv("ANDROID_ADB_SERVER_PORT", str(made.server_address[1]))
        yield made
        made.shutdown()


@pytest.mark.usefixtures("server")
def test_the_list_tells_serials_states_and_places() -> None:
    assert server_phones(ServerAddress.usual()) == [
        ServerPhone("0123", "device", "1-3", "7"),
        ServerPhone("0123", "device", "1-4.2", "9"),
        ServerPhone("A B", "unauthorized", "2-1", "11"),
    ]
    assert next(phone.label for phone in attached()) == "0123 (usb 1-3, transport id 7)"


def test_a_list_that_changed_meanwhile_costs_the_places(server: OldServer) -> None:
    server.long = LONG.splitlines(keepends=True)[0]
    assert server_phones(ServerAddress.usual())[1] == ServerPhone("0123", "device")


@pytest.mark.usefixtures("server")
@pytest.mark.parametrize(
    ("place", "request_"),
    [({"usb": "1-4.2"}, "host:transport:usb:1-4.2"), ({"transport_id": "7"}, "host:transport-id:7")],
)
def test_of_two_phones_of_one_serial_the_named_one_is_reached(
    place: dict[str, str], request_: str, tmp_path: Path
) -> None:
    phone = choose(Wanted("mine", serial="0123", **place), attached())
    link = ServerLink(ServerAddress.usual(), phone.serial, **place)
    link.connect()
    assert Connection(link, "phone").run("echo").text == request_
    assert connect(Wanted("mine", **place), tmp_path, lambda: None, 1.0).run("echo").text == request_


@pytest.mark.usefixtures("server")
def test_a_serial_that_two_phones_share_is_not_connected_to() -> None:
    with pytest.raises(LinkLostError, match="device and device"):
        ServerLink(ServerAddress.usual(), "0123").connect()


@pytest.mark.usefixtures("server")
def test_a_command_that_an_old_server_would_refuse_is_never_sent() -> None:
    connection = Connection(ServerLink(ServerAddress.usual(), "0123", "1-3"), "phone", reconnect_s=0.0)
    assert connection.run("#" * 4000).status == 0
    with pytest.raises(ValueError, match="old adb servers"):
        connection.run("#" * 4096)
