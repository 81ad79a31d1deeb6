"""Which phone is meant, and one clear line where none can be taken."""

from __future__ import annotations

import re
import socket
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lutbench.device_agents.android import find
from lutbench.device_agents.android.describe import State
from lutbench.device_agents.android.find import (
    Attached,
    Wanted,
    attached,
    check_attached,
    choose,
    connect,
    parse_address,
)
from lutbench.device_agents.android.opening import lock_name
from lutbench.device_agents.android.usb import UsbPhone
from lutbench.errors import DeviceError, UsageError

ONE, TWO = Attached("A1", "device", "usb"), Attached("B 2'$(x)", "device", "adb server")
PHONE = Wanted("android-s8")
TWINS = [Attached("0123", "device", "adb server", "1-3", "7"), Attached("0123", "device", "adb server", "1-4.2", "9")]


def test_the_only_one_or_the_one_named() -> None:
    assert choose(PHONE, [ONE]) == ONE
    assert choose(Wanted("mine", serial="B 2'$(x)"), [ONE, TWO]) == TWO


@pytest.mark.parametrize(
    ("wanted", "phones", "problem", "remedy"),
    [
        (PHONE, [], "no Android phone is attached", "USB debugging"),
        (PHONE, [ONE, TWO], r"2 phones are attached: A1, B 2'\$\(x\)", "ANDROID_SERIAL"),
        (Wanted("mine", serial="Z"), [ONE], "no phone of serial 'Z'", "lutbench devices"),
        (PHONE, [Attached("A1", "unauthorized", "usb")], "unauthorized: A1", "tap Allow"),
        (PHONE, [Attached("A1", "offline", "usb")], "offline: A1", "plug it in again"),
        (PHONE, [Attached("A1", "no permissions (user in plugdev?)", "usb")], "no permissions", "udev"),
        (PHONE, [Attached("A1", "held", "usb")], "held: A1", "adb-server"),
        (PHONE, [Attached("A1", "recovery", "usb")], "recovery: A1", "restart"),
        (
            PHONE,
            TWINS,
            r"2 phones .*: 0123 \(usb 1-3, transport id 7\), 0123 \(usb 1-4.2, tran",
            "usb .or transport_id",
        ),
        (Wanted("mine", serial="0123"), TWINS, "2 phones are attached: 0123 .usb 1-3", "usb .or transport_id"),
        (Wanted("mine", serial="0123", usb="5-1"), TWINS, "no phone is attached at usb '5-1'", "lutbench devices"),
        (Wanted("mine", transport_id="8"), TWINS, "no phone is attached at transport_id '8'", "lutbench devices"),
        (PHONE, [Attached("", "no permissions", "usb", "1-2")], r"no permissions: no serial \(usb 1-2\)", "udev"),
    ],
)
def test_one_line_for_each_reason(wanted: Wanted, phones: list[Attached], problem: str, remedy: str) -> None:
    with pytest.raises(DeviceError, match=problem) as caught:
        choose(wanted, phones)
    assert re.search(remedy, caught.value.remedy) and wanted.name in str(caught.value)


def test_phones_of_one_serial_are_told_apart_by_usb_path_or_transport_id() -> None:
    assert choose(Wanted("mine", usb="1-4.2"), TWINS) == TWINS[1]
    assert choose(Wanted("mine", serial="0123", usb="1-3"), TWINS) == TWINS[0]
    assert choose(Wanted("mine", serial="0123", transport_id="9"), TWINS) == TWINS[1]


def test_a_place_on_usb_is_looked_for_when_it_is_opened(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    opened: list[tuple[str, str]] = []

    def nothing(serial: str, path: str) -> None:
        opened.append((serial, path))
        raise ConnectionError("unplugged")

    twins = [Attached("0123", "device", "usb", "1-3"), Attached("0123", "device", "usb", "1-4.2")]
    monkeypatch.setattr(find, "attached", lambda: twins)
    monkeypatch.setattr(find, "usb_transport", nothing)
    with pytest.raises(DeviceError, match="the phone does not answer: unplugged"):
        connect(Wanted("mine", serial="0123", usb="1-4.2"), tmp_path, lambda: None, 0.0)
    assert opened == [("0123", "1-4.2")]


def test_adbs_own_variable_names_a_phone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(find, "attached", lambda: [ONE, TWO])
    with pytest.raises(DeviceError, match="2 phones"):
        check_attached(PHONE)
    monkeypatch.setenv("ANDROID_SERIAL", "A1")
    check_attached(PHONE)
    with pytest.raises(DeviceError, match="no phone of serial 'C3'"):
        check_attached(Wanted("mine", serial="C3"))
    monkeypatch.setattr(find, "attached", lambda: TWINS)
    check_attached(Wanted("mine", usb="1-3"))  # an entry's place is enough


def test_without_adbutils_an_adb_server_only_says_that_it_holds_them(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        monkeypatch.setenv("ANDROID_ADB_SERVER_PORT", str(server.getsockname()[1]))
        monkeypatch.setattr(find, "has_adbutils", lambda: False)
        monkeypatch.setattr(find, "usb_phones", lambda: [UsbPhone("A1", "1-2")])
        (phone,) = attached()
    assert "pip install 'lutbench[adb-server]'" in phone.remedy


def test_an_adb_server_that_speaks_nonsense_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("adbutils")
    import threading

    with socket.create_server(("127.0.0.1", 0)) as server:
        monkeypatch.setenv("ANDROID_ADB_SERVER_PORT", str(server.getsockname()[1]))

        def serve() -> None:
            for _ in range(2):
                client, _address = server.accept()
                client.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")
                client.close()

        threading.Thread(target=serve, daemon=True).start()
        with pytest.raises(DeviceError, match="the adb server does not answer"):
            attached()


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("192.168.1.20", ("192.168.1.20", 5555)),
        ("phone.lan:4444", ("phone.lan", 4444)),
        ("[fe80::1]:5555", ("fe80::1", 5555)),
    ],
)
def test_addresses(text: str, address: tuple[str, int]) -> None:
    assert parse_address(text) == address


@given(st.text())
def test_anything_else_is_no_address(text: str) -> None:
    try:
        host, port = parse_address(text)
    except UsageError:
        return
    assert host in text and 0 < port < 1 << 16


def test_a_lock_is_named_by_the_phones_own_serial_as_a_plain_file_name() -> None:
    state = State({"properties": "[ro.serialno]: [../a b;$(x)'\"]"})
    assert lock_name(state, "x") == "android-.2e..2e..2f.a.20.b.3b..24..28.x.29..27..22."
    assert lock_name(State({"properties": "[ro.serialno]: [0123]"}), "x", "beef") == "android-0123-beef"
    assert lock_name(State({}), "10.0.0.1:5555") == "android-10.2e.0.2e.0.2e.1.3a.5555"
