"""What phones print, of several makes and in several forms, and junk."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lutbench.device_agents.agent import UNREADABLE
from lutbench.device_agents.android.describe import State, describe, parse_ranges


def test_an_s8() -> None:
    state = State(
        {
            "properties": "[ro.product.manufacturer]: [samsung]\r\n[ro.product.model]: [SM-G950F]\n"
            "[ro.hardware.chipname]: [exynos8895]\n[ro.board.platform]: [exynos5]\n"
            "[ro.build.version.release]: [9]\n[ro.build.version.sdk]: [28]\n[odd]: [a] and [b]",
            "online": "0-7",
            "frequencies": "cpu0/cpufreq/cpuinfo_max_freq:1690000\ncpu4/cpufreq/cpuinfo_max_freq:2314000\n"
            "cpu4/cpufreq/scaling_governor:interactive\ncpu4/cpufreq/scaling_cur_freq:",
            "zones": "thermal_zone0/type:BIG\nthermal_zone0/temp:45000\nthermal_zone9/type:GPU\nthermal_zone9/temp:99",
            "battery": "  status: 5\n  level: 100\n  temperature: 312\n",
        }
    )
    info = describe(state, "adb over USB", [4, 5])
    environment = info.environment
    assert (info.make, info.model, info.os, info.cpu, info.cores) == (
        "samsung", "SM-G950F", "Android 9 (API 28)", "exynos8895", 8,
    )  # fmt: skip
    assert (environment["governor"], environment["max_frequency_khz"]) == ("interactive", "2314000")
    assert (environment["frequency_khz"], environment["kernel"], environment["build"]) == (UNREADABLE,) * 3
    assert (environment["temperature_c"], environment["battery_temperature_c"]) == (45.0, 31.2)
    assert (environment["battery_status"], environment["thermal_status"]) == ("full", UNREADABLE)
    assert "emulated" not in environment


@pytest.mark.parametrize("line", ["[ro.kernel.qemu]: [1]", "[ro.boot.qemu]: [1]", "[ro.hardware]: [ranchu]"])
def test_an_emulated_phone_says_so(line: str) -> None:
    assert describe(State({"properties": line}), "", []).environment["emulated"] is True


def test_nothing_at_all_is_unreadable() -> None:
    environment = describe(State({}), "adb over TCP", []).environment
    assert {key for key, value in environment.items() if value != UNREADABLE} == {"os", "connection"}


@given(
    st.dictionaries(st.sampled_from(["properties", "online", "frequencies", "zones", "battery", "thermal"]), st.text())
)
def test_junk_is_described(sections: dict[str, str]) -> None:
    state = State(sections)
    assert describe(state, "", state.cores[:1]).environment["connection"] == ""


@pytest.mark.parametrize(
    ("text", "cores"),
    [("0-3", [0, 1, 2, 3]), ("0,2-3,7\n", [0, 2, 3, 7]), ("", []), ("x", []), ("3-1", []), ("0-", []), ("0-9999", [])],
)
def test_ranges(text: str, cores: list[int]) -> None:
    assert parse_ranges(text) == cores


def test_what_decides_a_phones_speed_is_kept() -> None:
    state = State(
        {
            "possible": "0-7",
            "online": "0-3,6",
            "power": "  mWakefulness=Dozing\n  mLowPowerModeEnabled=true",
            "process": "/foreground\n4:cpuset:/foreground\n3:cpu:/bg\n0::/uid_2000/pid_9\nCpus_allowed_list:\t0-5",
            "thermal": "Current temperatures from HAL:\n\tTemperature{mValue=33.5, mType=3, mName=SKIN, mStatus=0}",
        }
    )
    info = describe(state, "", [4])
    environment = info.environment
    assert (info.cores, environment["cores"]) == (8, 8)  # on line or not
    assert (environment["wakefulness"], environment["low_power"]) == ("Dozing", True)
    assert environment["scheduling_group"] == "/foreground, cpuset:/foreground, cpu:/bg, :/uid_2000/pid_9"
    assert environment["cpus_allowed"] == [0, 1, 2, 3, 4, 5] and environment["cores_away"] == [4, 5, 6, 7]
    assert environment["skin_temperature_c"] == 33.5
