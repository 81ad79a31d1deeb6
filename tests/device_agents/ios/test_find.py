"""Which iPhones are attached and what is to be done with each, without any app: behind the stand-in for usbmuxd."""

from __future__ import annotations

import json
import socket
import struct
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from lutbench.device_agents.agent import UNREADABLE, AgentSettings
from lutbench.device_agents.ios.describe import model_name
from lutbench.device_agents.ios.find import READY, AttachedIphone, WantedIphone, attached, check_attached, reach
from lutbench.device_agents.ios.link import PORT
from lutbench.device_agents.ios.opening import open_iphone
from lutbench.device_agents.remote.link import LinkLostError
from lutbench.errors import DeviceError
from tests.cli.running import run
from tests.device_agents.ios.fake_usbmuxd import FakePhone, FakeUsbmuxd

UDID, OTHER, THIRD, FOURTH = ("00008030-001A2B3C4D5E6F70", "b" * 40, "c" * 40, "d" * 40)
X = {"ProductType": "iPhone10,6", "ProductVersion": "16.7"}


@pytest.fixture
def listening() -> Iterator[int]:
    """A port at which something listens, as the app does."""
    with socket.create_server(("127.0.0.1", 0)) as made:
        yield made.getsockname()[1]


@pytest.fixture
def four(mux: FakeUsbmuxd, listening: int) -> FakeUsbmuxd:
    """Phones in every state."""
    mux.plug_in(FakePhone(UDID, {PORT: listening}, X))
    mux.plug_in(FakePhone(OTHER, values={**X, "PasswordProtected": True}))
    mux.plug_in(FakePhone(THIRD, values=X, trusted=False))
    mux.plug_in(FakePhone(FOURTH, values={"ProductType": 5}))
    return mux


@pytest.mark.usefixtures("four")
def test_each_phone_is_in_the_state_that_keeps_it_from_being_used() -> None:
    found = attached()
    assert found == [
        AttachedIphone(UDID, READY, "iPhone X", "iOS 16.7", "USB"),
        AttachedIphone(OTHER, "locked", "iPhone X", "iOS 16.7", "USB"),
        AttachedIphone(THIRD, "not trusted", "iPhone X", "iOS 16.7", "USB"),
        AttachedIphone(FOURTH, "app not running", UNREADABLE, UNREADABLE, "USB"),
    ]
    assert all(phone.remedy for phone in found[1:]) and not found[0].remedy


@pytest.mark.slow
@pytest.mark.usefixtures("four")
def test_the_command_lists_them_with_what_to_do(tmp_path: Path) -> None:
    found = json.loads(run("devices", "--json", cwd=tmp_path).stdout)
    assert [phone["state"] for phone in found["iphones"]] == [READY, "locked", "not trusted", "app not running"]
    assert found["iphone_problem"] == "" and "Trust" in found["iphones"][2]["remedy"]
    shown = run("devices", cwd=tmp_path)
    text = shown.stdout + shown.stderr
    assert UDID in text and f"{THIRD}: not trusted: unlock it, plug it in again, tap Trust" in text


@pytest.mark.slow
def test_without_a_daemon_the_command_says_what_to_install(tmp_path: Path) -> None:
    shown = run("devices", cwd=tmp_path)
    assert "iPhones: no usbmuxd answers at" in shown.stdout + shown.stderr and shown.returncode == 0


@pytest.mark.parametrize(
    ("udid", "said"), [(OTHER, "locked"), (THIRD, "not trusted"), (FOURTH, "app not running"), ("e" * 40, "no iPhone")]
)
@pytest.mark.usefixtures("four")
def test_a_phone_that_cannot_be_used_is_one_line(udid: str, said: str) -> None:
    with pytest.raises(DeviceError, match=said) as caught:
        check_attached(WantedIphone("mine", udid=udid))
    assert caught.value.remedy


def test_a_phone_is_found_again_by_its_udid(mux: FakeUsbmuxd, listening: int) -> None:
    phone = FakePhone(UDID, {PORT: listening}, X)
    number = mux.plug_in(phone)
    label, kind, make = reach(WantedIphone("ios"))
    assert (label, kind) == (UDID, "USB")
    make().close()
    mux.unplug(number)
    with pytest.raises(LinkLostError, match="not attached"):
        make()
    assert mux.plug_in(phone) != number
    make().close()
    phone.ports.clear()
    with pytest.raises(LinkLostError, match="the app is not running"):
        make()
    mux.close()
    with pytest.raises(LinkLostError, match="no usbmuxd answers"):
        make()


def test_wifi_that_is_switched_off_while_somebody_connects_says_what_to_look_at() -> None:
    """The system takes a connection for the app, which stops listening before it has looked at it: it is reset."""

    def look_once_then_stop(server: socket.socket) -> None:
        server.accept()[0].close()
        answered, _ = server.accept()
        answered.recv(1)
        answered.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        answered.close()

    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = threading.Thread(target=look_once_then_stop, args=(server,))
        thread.start()
        wanted = WantedIphone("desk", address=f"127.0.0.1:{server.getsockname()[1]}", code="7K2M-Q4XD-9RTP")
        with pytest.raises(DeviceError, match="the app does not answer") as caught:
            open_iphone(wanted, AgentSettings("onnx", "int8", 1), "")
        thread.join()
    assert "switches it off after five wrong codes" in caught.value.remedy


def test_models_by_name() -> None:
    assert (
        model_name("iPhone10,3") == model_name("iPhone10,6") == "iPhone X" and model_name("iPhone99,1") == "iPhone99,1"
    )
    wanted = WantedIphone("iphonex", model="iPhone10,3|iPhone10,6")
    assert wanted.fits("iPhone10,6") and not wanted.fits("iPhone10,4") and WantedIphone("ios").fits("anything")
