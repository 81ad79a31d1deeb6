"""usbmux's protocol: against a stand-in that Debian's own tools take for usbmuxd too, and against usbmuxd itself."""

from __future__ import annotations

import os
import plistlib
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lutbench.device_agents.ios import usbmux
from lutbench.device_agents.ios.usbmux import (
    SOCKET_VARIABLE,
    Attached,
    Detached,
    MuxDevice,
    RefusedError,
    connect,
    has_pair_record,
    list_devices,
    same_udid,
    watch,
)
from lutbench.device_agents.remote.link import LinkLostError
from lutbench.errors import DeviceError
from tests.device_agents.ios.fake_usbmuxd import HEADER, FakePhone, FakeUsbmuxd

UDID = "00008030-001A2B3C4D5E6F70"
REQUIRED = "LUTBENCH_REQUIRE_USBMUX"  # set where the programs have to be there: tests fail instead of being skipped


def need(program: str) -> str:
    found = shutil.which(program) or shutil.which(program, path="/usr/sbin")
    if found is None and os.environ.get(REQUIRED):
        pytest.fail(f"not installed: {program}, and {REQUIRED} is set")
    if found is None:
        pytest.skip(f"not installed: {program}")
    return found


@pytest.fixture
def echo() -> Iterator[int]:
    """A port of this machine that says everything again."""
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def serve() -> None:
            while True:
                try:
                    connection, _ = listening.accept()
                except OSError:
                    return
                with connection:
                    while data := connection.recv(1 << 16):
                        connection.sendall(data)

        threading.Thread(target=serve, daemon=True).start()
        yield listening.getsockname()[1]


def test_phones_are_listed_once_each_by_their_cable(mux: FakeUsbmuxd) -> None:
    assert list_devices() == []
    mux.plug_in(FakePhone(UDID, through="Network"))
    number = mux.plug_in(FakePhone(UDID))
    other = mux.plug_in(FakePhone("a" * 40))
    assert list_devices() == [MuxDevice(number, UDID, "USB"), MuxDevice(other, "a" * 40, "USB")]


def test_a_port_of_the_phone_is_reached(mux: FakeUsbmuxd, echo: int) -> None:
    number = mux.plug_in(FakePhone(UDID, {1234: echo}))
    (phone,) = list_devices()
    with connect(phone, 1234) as connection:
        connection.sendall(b"hello")
        assert connection.recv(10) == b"hello"
        mux.unplug(number)
        assert connection.recv(1) == b""
    with pytest.raises(LinkLostError, match="not attached"):
        connect(phone, 1234)


def test_nothing_listens_there(mux: FakeUsbmuxd) -> None:
    mux.plug_in(FakePhone(UDID))
    with pytest.raises(RefusedError, match="port 1234"):
        connect(list_devices()[0], 1234)


def test_phones_come_and_go(mux: FakeUsbmuxd) -> None:
    first = mux.plug_in(FakePhone(UDID))
    events = watch(20.0)
    assert next(events) == Attached(MuxDevice(first, UDID, "USB"))
    mux.unplug(first)
    assert next(events) == Detached(first)
    again = mux.plug_in(FakePhone(UDID))
    assert again != first and next(events) == Attached(MuxDevice(again, UDID, "USB"))
    mux.close()
    assert next(events) == Detached(again)
    with pytest.raises(LinkLostError):
        next(events)


@pytest.mark.usefixtures("mux")
def test_watching_ends() -> None:
    assert list(watch(0.05)) == []


def test_trust(mux: FakeUsbmuxd) -> None:
    mux.plug_in(FakePhone(UDID))
    mux.plug_in(FakePhone("b" * 40, trusted=False))
    assert has_pair_record(UDID) and not has_pair_record("b" * 40) and not has_pair_record("c" * 40)


@pytest.mark.parametrize(("one", "other", "same"), [(UDID, UDID.replace("-", "").lower(), True), (UDID, "x", False)])
def test_spellings_of_a_udid(one: str, other: str, same: bool) -> None:
    assert same_udid(one, other) is same


@pytest.mark.parametrize("address", ["127.0.0.1:1", "UNIX:/nowhere/usbmuxd", "nonsense", "host:99999", ":1"])
def test_no_daemon_is_one_line(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(SOCKET_VARIABLE, address)
    with pytest.raises(DeviceError) as caught:
        list_devices()
    assert caught.value.remedy


class Script:
    """A daemon that answers every connection by the same bytes."""

    def __init__(self) -> None:
        self.listening = socket.create_server(("127.0.0.1", 0))
        self.address = f"127.0.0.1:{self.listening.getsockname()[1]}"
        self.answer = b""
        self.asked = 0
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self.listening.accept()
            except OSError:
                return
            with connection:
                connection.recv(1 << 16)
                self.asked += 1
                connection.sendall(self.answer)


@pytest.fixture(scope="module")
def script() -> Iterator[Script]:
    made = Script()
    with made.listening:
        yield made


def message(body: bytes, tag: int = 1) -> bytes:
    return HEADER.pack(HEADER.size + len(body), 1, 8, tag) + body


@given(
    st.one_of(
        st.binary(max_size=80),
        st.binary(max_size=80).map(message),
        st.recursive(
            st.one_of(st.booleans(), st.integers(-9, 9), st.text("ab", max_size=3), st.binary(max_size=3)),
            lambda inner: st.one_of(
                st.lists(inner, max_size=3),
                st.dictionaries(
                    st.sampled_from(["DeviceList", "Properties", "DeviceID", "SerialNumber", "MessageType", "Number"]),
                    inner,
                    max_size=4,
                ),
            ),
        ).map(lambda value: message(plistlib.dumps(value))),
    )
)
@settings(max_examples=120, deadline=None)
def test_a_daemon_that_answers_junk_is_an_error_that_says_so(script: Script, data: bytes) -> None:
    script.answer, asked = data, script.asked
    os.environ[SOCKET_VARIABLE] = script.address  # the fixture of every test puts it back
    for ask in (list_devices, lambda: connect(MuxDevice(1, UDID, "USB"), 5), lambda: has_pair_record(UDID)):
        try:
            found = ask()  # type: ignore[no-untyped-call]
        except (DeviceError, LinkLostError, RefusedError):
            continue
        if isinstance(found, socket.socket):
            found.close()
    assert script.asked >= asked + 3


def test_a_property_list_of_an_encoding_that_there_is_not_is_none(script: Script) -> None:
    data = b'<?xml version="1.0" encoding="UTF-1234"?><plist version="1.0"><dict/></plist>'
    script.answer = HEADER.pack(HEADER.size + len(data), 1, 8, 1) + data
    os.environ[SOCKET_VARIABLE] = script.address
    with pytest.raises(DeviceError, match="is no property list"):
        list_devices()


def test_a_message_that_is_too_long_is_not_read(script: Script) -> None:
    script.answer = HEADER.pack(1 << 30, 1, 8, 1) + b"x" * 100
    os.environ[SOCKET_VARIABLE] = script.address
    with pytest.raises(DeviceError, match="1073741824 bytes"):
        list_devices()


def test_debians_tools_take_the_stand_in_for_usbmuxd(mux: FakeUsbmuxd, echo: int) -> None:
    """So it is asked as a real client asks, and answers as a real daemon does."""
    listing, proxy = need("idevice_id"), need("iproxy")
    mux.plug_in(FakePhone(UDID, {1234: echo}))
    environment = {**os.environ, SOCKET_VARIABLE: mux.address}
    done = subprocess.run([listing, "-l"], env=environment, capture_output=True, text=True, timeout=20, check=False)
    assert done.stdout.split() == [UDID], done.stderr
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    process = subprocess.Popen([proxy, f"{port}:1234"], env=environment, stdout=subprocess.DEVNULL)
    try:
        until = time.monotonic() + 20
        while True:
            try:
                with socket.create_connection(("127.0.0.1", port), 5) as connection:
                    connection.sendall(b"through iproxy")
                    assert connection.recv(100) == b"through iproxy"
                    return
            except ConnectionRefusedError:
                assert time.monotonic() < until and process.poll() is None
                time.sleep(0.05)
    finally:
        process.kill()
        process.wait()


def test_the_real_usbmuxd_without_a_phone(monkeypatch: pytest.MonkeyPatch) -> None:
    """In a mount namespace with a /run of its own: the daemon takes no other place for its socket."""
    need("usbmuxd")
    need("unshare")
    if os.geteuid():
        pytest.skip("needs root")
    command = "mount -t tmpfs tmpfs /run && exec usbmuxd --foreground"
    process = subprocess.Popen(
        ["unshare", "-m", "sh", "-c", command], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    monkeypatch.setenv(SOCKET_VARIABLE, f"UNIX:/proc/{process.pid}/root/run/usbmuxd")
    try:
        until = time.monotonic() + 20
        while "usbmuxd" not in Path(f"/proc/{process.pid}/cmdline").read_text().split("\0")[0]:
            assert time.monotonic() < until and process.poll() is None
            time.sleep(0.02)
        while True:
            try:
                assert list_devices() == []
                break
            except DeviceError:  # it has not made its socket yet
                assert time.monotonic() < until and process.poll() is None
                time.sleep(0.02)
        assert list(watch(0.1)) == []
        with pytest.raises(LinkLostError, match="not attached"):
            connect(MuxDevice(7, UDID, "USB"), 1234)
        assert not has_pair_record(UDID)
    finally:
        process.kill()
        process.wait()
    with pytest.raises(DeviceError, match="no usbmuxd answers"):
        list_devices()


def test_the_usual_place(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv(SOCKET_VARIABLE, raising=False)
    monkeypatch.setattr(usbmux, "USUAL_SOCKET", str(tmp_path / "none"))
    with pytest.raises(DeviceError, match=r"no usbmuxd answers at .*none"):
        list_devices()
