"""A phone is kept awake while it is measured, and its settings are put back, also by the next run."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lutbench.device_agents.android.awake import StayAwake
from lutbench.device_agents.android.changes import Changes, parse_note
from lutbench.device_agents.android.describe import State
from lutbench.device_agents.android.opening import begin_changes, fix_performance
from lutbench.errors import DeviceError
from lutbench.events import Event, Note
from tests.device_agents.android.local_shell import LocalShell

SETTING = "stay_on_while_plugged_in"


@pytest.fixture
def phone(tmp_path: Path) -> LocalShell:
    return LocalShell(tmp_path)


def keep_awake(phone: LocalShell, events: list[Event] | None = None) -> tuple[Changes, StayAwake]:
    changes = Changes(phone)
    awake = StayAwake(changes, (events if events is not None else []).append, phone.state)
    awake.begin(phone.state)
    return changes, awake


@pytest.mark.parametrize("before", ["null", "0", "3"])
def test_a_sleeping_phone_is_woken_kept_awake_and_put_to_sleep_again(phone: LocalShell, before: str) -> None:
    if before != "null":
        phone.put(f"sys/recorded/global_{SETTING}", before)
    phone.set_power(mWakefulness="Dozing")
    changes, awake = keep_awake(phone)
    assert phone.state.wakefulness == "Awake" and phone.setting(SETTING) == "7"
    assert awake.seen() == {"wakefulness_found": "Dozing"}
    changes.put_back()
    assert phone.setting(SETTING) == before and phone.keys[-1] == "KEYCODE_SLEEP"
    assert not (phone.folder / "data/local/tmp/lutbench/putback").exists()


def test_a_phone_that_is_awake_stays_so(phone: LocalShell) -> None:
    changes, _ = keep_awake(phone)
    changes.put_back()
    assert phone.state.wakefulness == "Awake" and "KEYCODE_SLEEP" not in phone.keys


def test_what_a_run_that_was_ended_left_is_put_back_by_the_next_one(phone: LocalShell) -> None:
    phone.put(f"sys/recorded/global_{SETTING}", "2")
    phone.set_power(mWakefulness="Asleep")
    keep_awake(phone)  # and then the host is ended: nothing is put back
    assert phone.setting(SETTING) == "7"
    events: list[Event] = []
    with ExitStack() as stack:
        begin_changes(phone, stack, events.append)
        assert phone.setting(SETTING) == "2" and phone.keys[-1] == "KEYCODE_SLEEP"
        assert next(event.text for event in events if isinstance(event, Note)).startswith("an earlier run was ended")
    assert begin_nothing(phone) == []


def begin_nothing(phone: LocalShell) -> list[Event]:
    events: list[Event] = []
    with ExitStack() as stack:
        begin_changes(phone, stack, events.append)
    return events


def test_the_note_is_there_before_anything_is_changed(phone: LocalShell) -> None:
    phone.set_power(mWakefulness="Asleep")
    keep_awake(phone)
    note = next(n for n, script in enumerate(phone.scripts) if "stay_on null" in script)
    change = next(n for n, script in enumerate(phone.scripts) if "svc power" in script)
    assert note < change


def test_a_second_run_in_a_row_notes_what_it_was_at_first(phone: LocalShell) -> None:
    changes, _ = keep_awake(phone)
    changes.stay_on("7")
    changes.put_back()
    assert phone.setting(SETTING) == "null"


def test_a_phone_that_falls_asleep_is_woken_between_batches_and_it_is_said_once(phone: LocalShell) -> None:
    events: list[Event] = []
    _, awake = keep_awake(phone, events)
    for _ in range(2):
        phone.set_power(mWakefulness="Asleep", mIsPowered="false")
        awake.look(phone.state)
        assert phone.state.wakefulness == "Awake"
    assert awake.seen()["fell_asleep"] == 2
    (note,) = [event.text for event in events if isinstance(event, Note)]
    assert "asleep while it is measured" in note and "plug it into power" in note


def test_fixed_performance_is_switched_on_and_off_again(phone: LocalShell) -> None:
    phone.put("sys/recorded/fixed_performance", "false")
    phone.put("sys/recorded/getprop", "[ro.build.version.sdk]: [30]\n")
    changes = Changes(phone)
    fix_performance(changes, phone.state, "phone")
    assert (phone.recorded / "fixed_performance").read_text().strip() == "true"
    changes.put_back()
    assert (phone.recorded / "fixed_performance").read_text().strip() == "false"


def test_fixed_performance_that_an_ended_run_left_on_is_switched_off_by_the_next_one(phone: LocalShell) -> None:
    phone.put("sys/recorded/fixed_performance", "false")
    phone.put("sys/recorded/getprop", "[ro.build.version.sdk]: [30]\n")
    fix_performance(Changes(phone), phone.state, "phone")
    note = next(n for n, script in enumerate(phone.scripts) if "fixed_performance 1" in script)
    change = next(n for n, script in enumerate(phone.scripts) if "mode-enabled true" in script)
    assert note < change
    (event,) = begin_nothing(phone)
    assert isinstance(event, Note) and event.text.startswith("an earlier run was ended")
    assert (phone.recorded / "fixed_performance").read_text().strip() == "false"


@pytest.mark.parametrize(("api", "match"), [("28", "came with Android 11"), ("31", "No shell command implementation")])
def test_a_phone_without_fixed_performance_is_refused(phone: LocalShell, api: str, match: str) -> None:
    phone.put("sys/recorded/getprop", f"[ro.build.version.sdk]: [{api}]\n")
    with pytest.raises(DeviceError, match=match):
        fix_performance(Changes(phone), phone.state, "phone")


LINES = st.sampled_from(["stay_on 7", "stay_on 7;id", "asleep 1", "asleep $(id)", "x 1", "stay_on ٣"])


@given(st.text() | st.lists(LINES).map("\n".join))
def test_of_a_note_only_what_is_known_reaches_a_shell(text: str) -> None:
    for name, value in parse_note(text).items():
        assert name in ("stay_on", "asleep", "fixed_performance")
        assert value == "null" or (value.isascii() and value.isdigit())


@pytest.mark.parametrize(
    ("power", "settings", "expected"),
    [
        ("Battery Saver is currently: OFF", "low_power=1", False),  # set, but overruled while it charges
        ("Battery saver is currently: ON", "low_power=1", True),
        ("  Battery Saver is currently: ADAPTIVE", "", True),
        ("  mLowPowerModeEnabled=true", "", True),
        ("", "low_power=1", True),
        ("", "low_power=null", None),
        ("", "", None),
    ],
)
def test_battery_saving(power: str, settings: str, expected: bool | None) -> None:
    assert State({"power": power, "settings": settings}).low_power is expected


@given(
    st.dictionaries(
        st.sampled_from(["power", "settings", "process", "battery", "properties", "frequencies"]), st.text()
    )
)
def test_junk_is_unreadable(sections: dict[str, str]) -> None:
    state = State(sections)
    assert state.low_power in (True, False, None) and state.is_powered in (True, False, None)
    assert isinstance(state.wakefulness, str) and isinstance(state.scheduling_group, str)
    assert state.battery_percent is None or 0 <= state.battery_percent <= 999
    assert state.stay_on_setting == "" or state.stay_on_setting.isascii()
    assert set(state.speeds.values()) <= {0} or sections
