"""What an opened phone is measured under: the entry's limits and the run's options reach it, and the LUT names them."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack, nullcontext
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from lutbench.device_agents.agent import AgentSettings
from lutbench.device_agents.android import opening
from lutbench.device_agents.android.agent import AndroidAgent
from lutbench.device_agents.android.connection import Connection
from lutbench.device_agents.android.find import Wanted
from lutbench.device_agents.android.limits import Limits
from lutbench.device_agents.remote import waiting
from lutbench.device_agents.remote.agent import Patience
from lutbench.device_agents.runner.bundle import Bundle
from lutbench.device_agents.runner.records import CycleRecord, End, Start
from lutbench.errors import DeviceError
from lutbench.events import Event, Note, Report
from tests.device_agents.android.local_shell import LocalShell

pytestmark = pytest.mark.slow
Open = Callable[..., AndroidAgent]
FIXED = "sys/recorded/fixed_performance"


@pytest.fixture
def phone(tmp_path: Path) -> LocalShell:
    made = LocalShell(tmp_path)
    made.put("sys/recorded/getprop", "[ro.build.version.sdk]: [33]\n[ro.product.model]: [SM-G950F]\n")
    made.put(FIXED, "false")
    return made


@pytest.fixture
def opened(phone: LocalShell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Open:
    """Opens the phone; a wait is an error at once."""
    bundle = Bundle(tmp_path, "t", "abi", "", "0", {"onnx": "onnxruntime 1"}, {"onnx": ["run"]}, {}, ())
    monkeypatch.setattr(opening, "reach_phone", lambda *_: phone)
    monkeypatch.setattr(opening, "hold_phone", lambda *_: SimpleNamespace(beat=lambda: None, beat_script="", owner="x"))
    monkeypatch.setattr(opening, "_usual_bundle", lambda *_: bundle)
    monkeypatch.setattr(opening, "Reference", lambda _engine: nullcontext())  # no process is started here
    monkeypatch.setattr(waiting, "LONGEST_WAIT_S", -1.0)

    def open_(limits: Limits | None = None, **settings: Any) -> AndroidAgent:
        return opening.open_phone(
            Wanted("phone", limits=limits or Limits()), tmp_path, AgentSettings("onnx", "int8", 1, "big", **settings)
        )

    return open_


def test_the_lut_says_how_the_phone_was_measured(opened: Open, phone: LocalShell) -> None:
    phone.set_power(mWakefulness="Asleep")
    with opened(fixed_performance=True, heat_wait=False) as agent:
        assert (phone.folder / FIXED).read_text().strip() == "true"
        agent.facts.start(Start("n", "0", "onnxruntime 1.2", "abi", 7, (4, 5, 6, 7), 1, ()))
        for clock_ns in (38, 900, 41):
            agent.facts.cycle(CycleRecord(0, ((7,),), (9,), None, None, clock_ns))
        agent.facts.end(End("n", 5, 9, answered=("rseq", "membarrier")))
        found = agent.describe().environment
    assert {key: found[key] for key in ("fixed_performance", "heat_wait", "heat_seen", "core_choice", "clock_ns")} == {
        "fixed_performance": True,
        "heat_wait": False,
        "heat_seen": True,
        "core_choice": "big",
        "clock_ns": 41,
    }
    assert (found["wakefulness_found"], found["wakefulness"]) == ("Asleep", "Awake")
    assert found["scheduling_group"] == "/foreground, cpuset:/foreground, cpu:/, :/uid_2000/pid_99"
    assert found["cpus_allowed"] == list(range(8)) and found["pinned_to"] == [4, 5, 6, 7]
    assert found["answered_calls"] == ["membarrier", "rseq"]
    # and everything is as it was
    assert (phone.folder / FIXED).read_text().strip() == "false"
    assert phone.setting("stay_on_while_plugged_in") == "null" and phone.state.wakefulness == "Asleep"


def test_what_was_not_asked_for_is_neither_done_nor_said(opened: Open, phone: LocalShell) -> None:
    with opened() as agent:
        found = agent.describe().environment
        assert (phone.folder / FIXED).read_text().strip() == "false"
    assert not {"fixed_performance", "heat_wait", "answered_calls", "clock_ns"} & set(found)


def test_the_limits_of_the_devices_entry_are_those_of_the_run(opened: Open, phone: LocalShell) -> None:
    phone.set_zones(("mngs-thermal", 119000), ("apollo-thermal", 90000))
    phone.set_battery(level=9, status=3)
    with opened(Limits(95.0, 42.0, 5, ("mngs*",))) as agent:
        agent._watch.wait()
        assert agent.describe().environment["hottest_c"] == 90.0
    for limits in (Limits(80.0, 42.0, 5, ("mngs*",)), Limits(95.0, 42.0, 5), Limits(95.0, 42.0, 15, ("mngs*",))):
        with opened(limits) as agent, pytest.raises(DeviceError, match=r"hot|battery"):
            agent._watch.wait()


def test_heat_is_waited_for_unless_that_is_switched_off(opened: Open, phone: LocalShell) -> None:
    phone.set_zones(("mngs-thermal", 90000))
    with opened() as agent, pytest.raises(DeviceError, match="the phone is hot"):
        agent._watch.wait()
    with opened(heat_wait=False) as agent:
        agent._watch.wait()


def test_who_waits_for_a_tap_on_the_phone_is_told_so(monkeypatch: pytest.MonkeyPatch, phone: LocalShell) -> None:
    events: list[Event] = []

    def connect(_wanted: Wanted, _config: Path, ask: Callable[[], None], _s: float, report: Report) -> Connection:
        ask()
        report(Note("the phone is waited for"))
        return phone

    monkeypatch.setattr(opening, "connect", connect)
    monkeypatch.setattr(phone, "close", lambda: None)
    with ExitStack() as stack:
        assert opening.reach_phone(Wanted("phone"), Path("config"), events.append, Patience(), stack) is phone
    asked, waited = [event.text for event in events if isinstance(event, Note)]
    assert asked.startswith("unlock the phone and tap Allow on it") and waited == "the phone is waited for"
