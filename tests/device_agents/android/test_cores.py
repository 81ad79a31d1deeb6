from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from lutbench.device_agents.android.cores import Chosen, UnknownSpeedError, check_choice, choose_cores, settle_cores
from lutbench.device_agents.android.describe import parse_ranges
from lutbench.errors import DeviceError, UsageError
from lutbench.events import Event, Note
from tests.device_agents.android.local_shell import LocalShell

S8 = dict.fromkeys(range(4), 1690) | dict.fromkeys(range(4, 8), 2314)
THREE = dict.fromkeys(range(4), 1800) | dict.fromkeys(range(4, 7), 2400) | {7: 2840}


@pytest.mark.parametrize(
    ("choice", "speeds", "threads", "cores"),
    [
        ("big", S8, 1, [4, 5, 6, 7]),
        ("little", S8, 4, [0, 1, 2, 3]),
        ("all", S8, 1, list(range(8))),
        ("0xf0", S8, 2, [4, 5, 6, 7]),
        ("0x81", S8, 2, [0, 7]),
        ("big", THREE, 1, [7]),
        ("big", THREE, 2, [4, 5, 6, 7]),
        ("little", THREE, 1, [0, 1, 2, 3]),
        ("big", dict.fromkeys(range(4), 0), 1, [0, 1, 2, 3]),  # unreadable frequencies: one cluster
    ],
)
def test_clusters(choice: str, speeds: dict[int, int], threads: int, cores: list[int]) -> None:
    assert choose_cores(choice, speeds, threads, "phone") == cores


def test_cores_that_are_not_there_or_too_few() -> None:
    with pytest.raises(DeviceError, match="no core 8, 9"):
        choose_cores("0x300", S8, 1, "phone")
    with pytest.raises(DeviceError, match="are 4 cores, 5 threads"):
        choose_cores("little", S8, 5, "phone")


def test_choices_and_their_usual_form() -> None:
    assert [check_choice(text) for text in ("big", " ALL ", "0xF0", "0x00f0")] == ["big", "all", "0xf0", "0xf0"]
    for text in ("", "huge", "0x", "0x0", "f0", "0xg", "4-7", "0x" + "f" * 65):
        with pytest.raises(UsageError, match="--cores"):
            check_choice(text)


def test_a_speed_that_cannot_be_read_is_unknown_and_not_slow() -> None:
    """Of a phone whose big cores were off line and unreadable, `big` had been the little ones."""
    speeds = dict.fromkeys(range(4), 1690) | dict.fromkeys(range(4, 8), 0)
    for choice in ("big", "little"):
        with pytest.raises(UnknownSpeedError, match="how fast its cores 4, 5, 6, 7 are cannot be read") as caught:
            choose_cores(choice, speeds, 1, "phone")
        assert "0xf0" in caught.value.remedy
    assert choose_cores("0xf0", speeds, 1, "phone") == [4, 5, 6, 7]


@pytest.fixture
def phone(tmp_path: Path) -> LocalShell:
    return LocalShell(tmp_path)


def settle(phone: LocalShell, choice: str, *steps: Callable[[], None], threads: int = 1) -> tuple[Chosen, list[str]]:
    """What is settled on, a step at each pause, and what was said."""
    events: list[Event] = []
    left, now = iter(steps), [0.0]

    def sleep(seconds: float) -> None:
        now[0] += seconds
        next(left, lambda: None)()

    chosen = settle_cores(
        phone.state, lambda: phone.state, choice, threads, "phone", events.append, lambda: now[0], sleep
    )
    return chosen, [event.text for event in events if isinstance(event, Note)]


def take_away(phone: LocalShell, online: str) -> None:
    """As hotplug does: what is off line has no cpufreq folder."""
    phone.put("sys/devices/system/cpu/online", online)
    for core in range(8):
        folder = phone.folder / f"sys/devices/system/cpu/cpu{core}/cpufreq"
        if core not in parse_ranges(online):
            for path in folder.iterdir():
                path.unlink()
            folder.rmdir()


def bring_back(phone: LocalShell) -> None:
    phone.put("sys/devices/system/cpu/online", "0-7")
    for core in range(4, 8):
        phone.put(f"sys/devices/system/cpu/cpu{core}/cpufreq/cpuinfo_max_freq", "2314000")


def test_big_cores_that_hotplug_took_away_are_waited_for(phone: LocalShell) -> None:
    take_away(phone, "0-3")
    chosen, notes = settle(phone, "big", lambda: bring_back(phone))
    assert chosen == Chosen((4, 5, 6, 7))
    assert (
        notes[0].startswith("waiting: the phone has taken the cores 4, 5, 6, 7 away") and "wake the phone" in notes[0]
    )


def test_big_cores_that_stay_away_are_an_error_and_not_the_little_ones(phone: LocalShell) -> None:
    take_away(phone, "0-3")
    with pytest.raises(DeviceError, match="has taken the cores 4, 5, 6, 7 away") as caught:
        settle(phone, "big")
    assert "0, 1, 2, 3 are there" in caught.value.remedy


def test_a_part_of_a_cluster_is_measured_on_and_it_is_said(phone: LocalShell) -> None:
    phone.put("sys/devices/system/cpu/online", "0-5")
    chosen, notes = settle(phone, "big")
    assert chosen == Chosen((4, 5), (6, 7)) and "measured on 4, 5; the LUT says so" in notes[-1]
    with pytest.raises(DeviceError, match="cores 6, 7 away, which --cores big means"):
        settle(phone, "big", threads=3)
    with pytest.raises(DeviceError, match="cores 6 away, which --cores 0x70 means"):
        settle(phone, "0x70")


def test_cores_that_a_cpuset_keeps_from_us_are_away(phone: LocalShell) -> None:
    phone.put("proc/self/status", "Cpus_allowed_list:\t0-3\n")
    with pytest.raises(DeviceError, match="has taken the cores 4, 5, 6, 7 away"):
        settle(phone, "big")
    assert settle(phone, "little")[0] == Chosen((0, 1, 2, 3))


def test_a_core_that_the_phone_never_had_is_not_waited_for(phone: LocalShell) -> None:
    take_away(phone, "0-3")
    with pytest.raises(DeviceError, match="no core 9"):
        settle(phone, "0x200", lambda: pytest.fail("waited"))


def test_siblings_and_capacities_tell_speeds_that_cannot_be_read(phone: LocalShell) -> None:
    take_away(phone, "0-4")
    phone.put("sys/devices/system/cpu/cpu4/cpufreq/related_cpus", "4 5 6 7")
    assert phone.state.speeds == dict.fromkeys(range(4), 1690000) | dict.fromkeys(range(4, 8), 2314000)
    for core in range(8):
        phone.put(f"sys/devices/system/cpu/cpu{core}/cpu_capacity", "481" if core < 6 else "1024")
    (phone.folder / "sys/devices/system/cpu/cpu4/cpufreq/related_cpus").unlink()
    assert phone.state.speeds == dict.fromkeys(range(6), 481) | dict.fromkeys((6, 7), 1024)
