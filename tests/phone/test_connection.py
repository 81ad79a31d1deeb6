"""Connections to the emulated phone: keys, an adb server, what breaks and comes back."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

from lutbench.device_agents.android import find
from lutbench.device_agents.android.connection import Connection
from lutbench.device_agents.android.find import Wanted, connect
from lutbench.device_agents.android.keys import key_path
from lutbench.device_agents.android.link import UnauthorizedError
from lutbench.errors import DeviceError
from tests.phone.auth import AuthGate
from tests.phone.emulated import Phone


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HOME", str(tmp_path))  # no key of adb's own
    return tmp_path / "config"


@pytest.fixture
def short_auth(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(find, "DirectLink", partial(find.DirectLink, auth_timeout_s=1.0))


@pytest.fixture
def gate(phone: Phone) -> Iterator[AuthGate]:
    phone.relay.greet = AuthGate(taps_allow=True)
    yield phone.relay.greet
    phone.relay.greet = None


def open_(phone: Phone, config: Path, asked: list[bool] | None = None, reconnect_s: float = 10.0) -> Connection:
    wanted = Wanted("phone", address=phone.address)
    return connect(wanted, config, lambda: (asked if asked is not None else []).append(True), reconnect_s)


def test_no_key_yet_one_is_made_and_the_phone_asks_once(phone: Phone, config: Path, gate: AuthGate) -> None:
    asked: list[bool] = []
    for _ in range(2):
        connection = open_(phone, config, asked)
        assert connection.run("echo in").text == "in"
        connection.close()
    assert (gate.asked, len(asked)) == (1, 1)
    assert key_path(config).stat().st_mode & 0o777 == 0o600


@pytest.mark.usefixtures("short_auth")
def test_a_key_that_the_phone_does_not_trust(phone: Phone, config: Path, gate: AuthGate) -> None:
    gate.taps_allow = False
    with pytest.raises(UnauthorizedError, match="unauthorized") as caught:
        open_(phone, config)
    assert "tap Allow" in caught.value.remedy and caught.value.exit_status == 3
    gate.taps_allow = True
    assert open_(phone, config).run("echo in").text == "in"


def test_another_key_than_the_trusted_one(phone: Phone, config: Path, gate: AuthGate, tmp_path: Path) -> None:
    open_(phone, config).close()
    assert gate.asked == 1
    open_(phone, tmp_path / "others").close()
    assert (gate.asked, len(gate.trusted)) == (2, 2)


def test_the_key_that_adb_itself_uses_is_good_too(phone: Phone, config: Path, gate: AuthGate, tmp_path: Path) -> None:
    open_(phone, tmp_path / "adb").close()
    (tmp_path / ".android").mkdir()
    for name in ("adbkey", "adbkey.pub"):
        (tmp_path / "adb" / name).rename(tmp_path / ".android" / name)
    open_(phone, config).close()
    assert gate.asked == 1


def test_a_command_survives_a_cut_connection(phone: Phone, config: Path) -> None:
    connection = open_(phone, config)
    phone.relay.cut()
    assert connection.run("echo again").text == "again"


def test_a_command_cut_off_in_its_output_is_run_again(phone: Phone, config: Path) -> None:
    """adb would call this a success; without the end marker it is none."""
    connection = open_(phone, config)
    mark = phone.tmp / "ran"
    script = "echo one; [ -e /data/local/tmp/ran ] || { echo 1 > /data/local/tmp/ran; sleep 20; }; echo two"
    execute = connection._link.execute

    def cut(command: str, timeout_s: float) -> bytes:
        if not mark.exists():
            import threading

            threading.Timer(1.0, phone.relay.cut).start()
        return execute(command, timeout_s)

    connection._link.execute = cut  # type: ignore[method-assign]
    started = time.monotonic()
    assert connection.run(script).text == "one\ntwo"
    assert time.monotonic() - started < 20
    mark.unlink()


def test_status_and_output_of_a_command(phone: Phone, config: Path) -> None:
    connection = open_(phone, config)
    answer = connection.run("echo out; echo err >&2; exit 7")
    assert (answer.status, answer.text) == (7, "out\nerr")
    assert connection.run("print -n 'no line feed'").output == b"no line feed"
    with pytest.raises(DeviceError, match=r"`false` failed on the phone with status 1"):
        connection.check("false")


def test_nobody_answers_at_the_address(config: Path) -> None:
    with pytest.raises(DeviceError, match="the phone does not answer") as caught:
        connect(Wanted("phone", address="127.0.0.1:9"), config, lambda: None, 1.0)
    assert "USB debugging" in caught.value.remedy


@pytest.mark.usefixtures("adb_server")
def test_through_an_adb_server(phone: Phone, config: Path) -> None:
    connection = connect(Wanted("phone"), config, lambda: None, 10.0)  # the only one attached
    assert connection.kind == "adb server"
    assert connection.run("echo $((1 + 1)); exit 3").status == 3
    connection.push(bytes(range(256)) * 1000, "/data/local/tmp/it's $(here)")
    assert connection.pull("/data/local/tmp/it's $(here)") == bytes(range(256)) * 1000
    (phone.tmp / "it's $(here)").unlink()


def lutbench(*words: str, config: Path) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "LUTBENCH_CONFIG": str(config)}
    command = [sys.executable, "-m", "lutbench", *words]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=120)


def test_devices_lists_the_phones_of_an_adb_server(phone: Phone, config: Path, adb_server: list[str]) -> None:
    subprocess.run([*adb_server, "connect", "127.0.0.1:9"], check=False, capture_output=True, timeout=30)
    done = lutbench("devices", config=config)
    assert done.returncode == 0
    assert phone.address in done.stdout and "SM-G950F" in done.stdout


@pytest.mark.usefixtures("adb_server")
def test_the_serial_of_an_entry_is_data(phone: Phone, config: Path) -> None:
    """A serial with a shell's and a table's special signs is no phone, and nothing runs."""
    config.mkdir()
    serial = "$(touch /tmp/lutbench-was-here); 'x' \\\"y\\\""
    (config / "devices.toml").write_text(f'[devices.odd]\nkind = "android"\nserial = "{serial}"\n')
    done = lutbench("profile", "--device", "odd", config=config)
    assert done.returncode == 3
    assert "no phone of serial" in done.stderr and len(done.stderr.strip().splitlines()) == 1
    assert not Path("/tmp/lutbench-was-here").exists()
    assert phone.address  # the one that is there was not taken instead


@pytest.mark.usefixtures("adb_server")
def test_several_phones_are_told_apart(phone: Phone, phone_folder: Path, config: Path, adb_server: list[str]) -> None:
    other = Phone(phone_folder)
    try:
        subprocess.run([*adb_server, "connect", other.address], check=True, capture_output=True, timeout=30)
        with pytest.raises(DeviceError, match="2 phones are attached") as caught:
            connect(Wanted("phone"), config, lambda: None, 5.0)
        assert phone.address in str(caught.value) and other.address in str(caught.value)
        wanted = replace(Wanted("phone"), serial=other.address)
        assert connect(wanted, config, lambda: None, 5.0).label == other.address
    finally:
        subprocess.run([*adb_server, "disconnect", other.address], check=False, capture_output=True, timeout=30)
        other.close()
