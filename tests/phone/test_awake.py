"""The phone is woken, kept awake and put back, by its own shell; and its check list."""

from __future__ import annotations

from pathlib import Path

import pytest

from lutbench.device_agents.agent import AgentSettings
from lutbench.device_agents.android.check import check_phone
from lutbench.device_agents.android.find import Wanted
from lutbench.device_agents.registry import Device
from lutbench.export.artifact import Artifact
from tests.phone.conftest import Open
from tests.phone.emulated import Phone

NOTE = "lutbench/putback"


def sleep(phone: Phone) -> None:
    phone.set_record(
        "dumpsys_power", phone.record("dumpsys_power").replace("mWakefulness=Awake", "mWakefulness=Asleep")
    )


def is_awake(phone: Phone) -> bool:
    return "mWakefulness=Awake" in phone.record("dumpsys_power")


def setting(phone: Phone) -> str:
    path = phone.root / "sys/recorded/global_stay_on_while_plugged_in"
    return path.read_text().strip() if path.exists() else "null"


def test_a_sleeping_phone_is_woken_and_put_back(open_agent: Open, phone: Phone) -> None:
    sleep(phone)
    with open_agent() as agent:
        assert is_awake(phone) and setting(phone) == "7" and (phone.tmp / NOTE).exists()
        environment = agent.describe().environment
    assert (environment["wakefulness"], environment["wakefulness_found"]) == ("Awake", "Asleep")
    assert not is_awake(phone) and setting(phone) == "null" and not (phone.tmp / NOTE).exists()


def test_what_an_ended_run_left_is_put_back_by_the_next(open_agent: Open, phone: Phone) -> None:
    phone.tmp.joinpath("lutbench").mkdir(exist_ok=True)
    phone.tmp.joinpath("lutbench").chmod(0o777)
    phone.tmp.joinpath(NOTE).write_text("stay_on 3\nasleep 1\nx $(touch /data/local/tmp/never)\n")
    with open_agent():
        assert is_awake(phone)
    assert setting(phone) == "3" and not is_awake(phone)
    assert not (phone.tmp / "never").exists()


@pytest.mark.timeout(600)
def test_the_check_list(device: Device, artifacts: list[Artifact], tmp_path: Path) -> None:
    wanted = Wanted(device.name, device.serial, device.address, device.model, device.bundle)
    report = check_phone(wanted, tmp_path / "config", AgentSettings("onnx", "int8", 1, "big"), artifacts[0])
    found = {check.name: check.status for check in report.checks}
    assert found == {"reach": "note"} | dict.fromkeys(
        ["space", "hash", "tar", "cores", "heat", "wakefulness", "clock", "operator"], "ok"
    ), report.checks
    assert "BIG" in report.sections["zones"]
