"""A phone's check list: what each line says where it is well, and what to do where it is not."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from lutbench.device_agents.agent import AgentSettings, DeviceInfo
from lutbench.device_agents.android import check as module
from lutbench.device_agents.android.check import Check, PhoneReport, check_phone
from lutbench.device_agents.android.find import Wanted
from lutbench.device_agents.android.limits import Limits
from lutbench.errors import DeviceError
from lutbench.export.artifact import Artifact
from lutbench.measure.protocol import Batch, Failure, Samples
from tests.device_agents.android.local_shell import LocalShell

ARTIFACT = Artifact("conv", "onnx", "int8", Path("conv.onnx"), "0" * 64, 1, 0.0)
NAMES = ["reach", "space", "hash", "tar", "cores", "heat", "wakefulness", "clock", "operator"]


class Measured:
    """An agent that loads everything but what is refused, and takes 7 us."""

    refused: tuple[Failure, ...] = ()

    def install(self, _artifacts: object) -> Iterator[Failure]:
        yield from self.refused

    def describe(self) -> DeviceInfo:
        return DeviceInfo("Samsung", "SM-G950F", "Android 9", "exynos8895", 8, {"clock_ns": 41})

    def measure(self, batch: Batch) -> Iterator[Samples]:
        for cycle in batch.cycles:
            yield Samples(cycle.artifacts[0], 0, cycle.canary, (7000,) * cycle.repeats, (1,) * cycle.repeats)


@pytest.fixture
def phone(tmp_path: Path) -> LocalShell:
    made = LocalShell(tmp_path)
    made.put("sys/recorded/getprop", (made.recorded / "getprop").read_text().replace("[ro.boot.qemu]: [1]\n", ""))
    return made


@pytest.fixture
def go(phone: LocalShell, monkeypatch: pytest.MonkeyPatch) -> Callable[..., PhoneReport]:
    """Goes through the list of the phone; its list `said` is what was heard while it went on."""

    @contextmanager
    def opened(*_: object) -> Iterator[Measured]:
        yield Measured()

    monkeypatch.setattr(module, "reach_phone", lambda *_: phone)
    monkeypatch.setattr(module, "hold_phone", lambda *_: None)
    monkeypatch.setattr(module, "open_phone", opened)

    def run(**wanted: Any) -> PhoneReport:
        settings = AgentSettings("onnx", "int8", 1, "big")
        return check_phone(Wanted("phone", **wanted), Path("config"), settings, ARTIFACT)

    return run


def of(report: PhoneReport, name: str) -> Check:
    return next(check for check in report.checks if check.name == name)


def test_a_phone_that_is_well_is_ok_in_every_line(go: Callable[..., PhoneReport], phone: LocalShell) -> None:
    report = go()
    assert [(check.name, check.status, check.remedy) for check in report.checks] == [(name, "ok", "") for name in NAMES]
    assert "SM-G950F" in of(report, "reach").found and "Android 9" in of(report, "reach").found
    assert of(report, "hash").found == "sha256sum"
    assert of(report, "cores").found.startswith("big: 4, 5, 6, 7 of 8 at up to 2314000 kHz, in /foreground")
    assert "processor 41.0 °C by mngs-thermal" in of(report, "heat").found
    assert "takes 7.0 us (median of 20)" in of(report, "operator").found
    assert of(report, "clock").found.startswith("nanoseconds, ")
    assert "a reading takes 41 ns" in of(report, "clock").found
    assert report.environment["model"] == "SM-G950F" and "mngs-thermal" in report.sections["zones"]
    assert phone.setting("stay_on_while_plugged_in") == "null"  # put back
    assert not (phone.folder / "data/local/tmp/lutbench/check").exists()


def test_a_date_that_knows_no_nanoseconds_is_whole_seconds(
    go: Callable[..., PhoneReport], phone: LocalShell, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As Android 7's, which prints the %N as it stands."""
    run = phone.run
    monkeypatch.setattr(phone, "run", lambda script, *a, **k: run(script.replace("%s%N", "%s%%N"), *a, **k))
    clock = of(go(), "clock")
    assert clock.status == "ok" and clock.found.startswith("whole seconds, ")


@pytest.mark.parametrize("tool", ["sha256sum", "sha1sum", "md5sum"])
def test_a_phone_of_one_hash_alone_is_checked_by_it(
    go: Callable[..., PhoneReport], phone: LocalShell, tool: str
) -> None:
    """Android 7 has no sha256sum, and makers leave out what they like."""
    phone.hide(*{"sha256sum", "sha1sum", "md5sum"} - {tool})
    report = go()
    assert of(report, "hash") == Check("hash", "ok", tool)
    assert of(report, "tar").status == "ok"


def test_a_phone_without_any_hash_fails_and_says_which_there_are(
    go: Callable[..., PhoneReport], phone: LocalShell
) -> None:
    phone.hide("sha256sum", "sha1sum", "md5sum")
    found = of(go(), "hash")
    assert found.status == "failed" and "none of sha256sum sha1sum md5sum is there" in found.found and found.remedy


def test_a_report_holds_no_serial_number(go: Callable[..., PhoneReport]) -> None:
    assert "ce0117118c1a2b3c04" not in repr(go())


def test_a_sleeping_phone_is_woken_and_it_is_said(go: Callable[..., PhoneReport], phone: LocalShell) -> None:
    phone.set_power(mWakefulness="Asleep")
    found = of(go(), "wakefulness")
    assert (found.status, found.found) == ("ok", "asleep when found, awake now")
    phone.set_power(mWakefulness="Asleep")
    phone.put("sys/recorded/deaf", "")  # as Xiaomi's phones refuse keys
    found = of(go(), "wakefulness")
    assert found.status == "note" and "Security settings" in found.remedy


@pytest.mark.parametrize(
    ("name", "status", "found", "change"),
    [
        ("heat", "note", "processor unseen", lambda p: p.set_zones(("skin", 30000), ("usb", 30000), ("battery", 300))),
        ("heat", "note", "and is waited for", lambda p: p.set_zones(("mngs-thermal", 90000))),
        ("heat", "failed", "does not charge", lambda p: p.set_battery(level=3, status=3)),
        ("heat", "note", "3 %, 15 % is the least", lambda p: p.set_battery(level=3, status=2)),
        ("wakefulness", "note", "battery saving is on", lambda p: p.set_power(mLowPowerModeEnabled="true")),
        ("wakefulness", "note", "without power", lambda p: p.set_power(mIsPowered="false")),
        ("reach", "note", "emulated", lambda p: p.put("sys/recorded/getprop", "[ro.boot.qemu]: [1]\n")),
    ],
)
def test_what_is_not_well_has_something_to_do(
    go: Callable[..., PhoneReport], phone: LocalShell, name: str, status: str, found: str, change: Callable[..., None]
) -> None:
    change(phone)
    check = of(go(), name)
    assert check.status == status and found in check.found and check.remedy


def test_zones_that_the_entry_ignores_are_not_listed_as_heat(go: Callable[..., PhoneReport], phone: LocalShell) -> None:
    phone.set_zones(("mngs-thermal", 119000), ("apollo-thermal", 39000))
    assert "and is waited for" in of(go(), "heat").found
    heat = of(go(limits=Limits(ignored_zones=("mngs*",))), "heat")
    assert heat.status == "ok" and "processor 39.0 °C by apollo-thermal, 1 zone," in heat.found


def test_what_an_ended_run_left_is_put_back_and_stays_so(go: Callable[..., PhoneReport], phone: LocalShell) -> None:
    phone.put("data/local/tmp/lutbench/putback", "stay_on 3\nasleep 1\n")
    phone.put("sys/recorded/global_stay_on_while_plugged_in", "7")
    assert of(go(), "wakefulness").found == "asleep when found, awake now"
    assert phone.setting("stay_on_while_plugged_in") == "3" and phone.state.wakefulness == "Asleep"


def test_another_model_fails(go: Callable[..., PhoneReport]) -> None:
    found = of(go(model="Pixel*"), "reach")
    assert found.status == "failed" and "--force" in found.remedy


def test_a_phone_that_does_not_answer_is_the_first_line(
    go: Callable[..., PhoneReport], monkeypatch: pytest.MonkeyPatch
) -> None:
    def unreached(*_: object) -> None:
        raise DeviceError("unauthorized: X", remedy="tap Allow")

    monkeypatch.setattr(module, "reach_phone", unreached)
    assert go().checks == (Check("reach", "failed", "unauthorized: X", "tap Allow"),)


def test_big_cores_that_are_away_fail_and_the_operator_is_not_tried(
    go: Callable[..., PhoneReport], phone: LocalShell, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lutbench.device_agents.android.cores.CORES_WAIT_S", 0.0)
    phone.put("sys/devices/system/cpu/online", "0-3")
    report = go()
    assert of(report, "cores").status == "failed" and "operator" not in [check.name for check in report.checks]
    assert of(report, "clock").status == "ok" and "a reading takes" not in of(report, "clock").found


@pytest.mark.parametrize(
    ("damage", "name"),
    [(lambda data: data[:-1] + b"x", "hash"), (lambda data: data if len(data) == 11_264 else data[:600], "tar")],
)
def test_a_link_that_changes_bytes_is_found(
    go: Callable[..., PhoneReport], phone: LocalShell, monkeypatch: pytest.MonkeyPatch,
    damage: Callable[[bytes], bytes], name: str,
) -> None:  # fmt: skip
    push = phone.push
    monkeypatch.setattr(phone, "push", lambda data, path: push(damage(data), path))
    assert of(go(), name).status == "failed"


def test_an_operator_that_is_refused_fails(go: Callable[..., PhoneReport], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Measured, "refused", (Failure("conv", "no such instruction"),))
    found = of(go(), "operator")
    assert found.status == "failed" and "no such instruction" in found.found and "--json" in found.remedy
