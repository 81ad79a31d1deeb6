"""What a phone is waited for between batches, what is said of it, and when it is not."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from lutbench.device_agents.android.awake import StayAwake
from lutbench.device_agents.android.changes import Changes
from lutbench.device_agents.android.limits import Limits
from lutbench.device_agents.android.watch import PhoneWatch
from lutbench.device_agents.remote.waiting import LONGEST_WAIT_S
from lutbench.device_agents.runner.records import State as Reading
from lutbench.errors import DeviceError
from lutbench.events import Event, Note
from tests.device_agents.android.local_shell import LocalShell

RECORDED = Path(__file__).parent / "recorded"
Step = Callable[[LocalShell], None]


@dataclass
class Scene:
    """A phone, and what happens to it while it is waited for: a step at each pause."""

    phone: LocalShell
    steps: Iterator[Step] = field(default_factory=lambda: iter(()))
    now_s: float = 0.0
    events: list[Event] = field(default_factory=list)

    def sleep(self, seconds: float) -> None:
        self.now_s += seconds
        next(self.steps, lambda _phone: None)(self.phone)

    def watch(self, **options: Any) -> PhoneWatch:
        options = {"cores": range(4, 8), **options}
        return PhoneWatch(
            self.phone, self.events.append, self.phone.state, clock=lambda: self.now_s, sleep=self.sleep, **options
        )

    def wait(self, *steps: Step, **options: Any) -> PhoneWatch:
        watch = self.watch(**options)
        self.steps = iter(steps)
        watch.wait()
        return watch

    @property
    def notes(self) -> list[str]:
        return [event.text for event in self.events if isinstance(event, Note)]


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    return Scene(LocalShell(tmp_path))


def at(*degrees: int) -> list[Step]:
    return [lambda phone, c=c: phone.set_zones(("mngs-thermal", c * 1000)) for c in degrees]  # type: ignore[misc]


def cap(khz: int) -> Step:
    return lambda phone: phone.put("sys/devices/system/cpu/cpu7/cpufreq/scaling_max_freq", str(khz))


def test_a_cool_phone_is_not_waited_for(scene: Scene) -> None:
    watch = scene.wait()
    assert scene.now_s == 0 and scene.notes == []
    assert watch.seen() == {"heat_seen": True, "hottest_c": 41.0}


def test_a_wait_names_what_it_waits_for_and_what_to_do_and_ends_well_below_the_limit(scene: Scene) -> None:
    scene.phone.set_zones(("mngs-thermal", 81000))
    watch = scene.wait(*at(75, 68, 64))
    assert scene.now_s == 15
    assert scene.notes[0].startswith(
        "waiting: the phone is hot (its processor is at 81 °C by mngs-thermal): take it out"
    )
    assert "20 minutes at most" in scene.notes[0] and "--no-heat-wait" in scene.notes[0]
    assert scene.notes[1] == "the phone is ready again after 15 s"
    assert watch.seen()["waited_s"] == 15 and watch.seen()["hottest_c"] == 64.0  # while measuring


def test_a_phone_that_stays_hot_is_an_error(scene: Scene) -> None:
    scene.phone.put("sys/recorded/dumpsys_thermalservice", "Thermal Status: 3")
    with pytest.raises(DeviceError, match="after 20 minutes: the phone is hot") as caught:
        scene.wait()
    assert "the same command goes on" in caught.value.remedy


def test_a_battery_in_per_cent_is_no_heat(scene: Scene) -> None:
    """A Qualcomm phone of a 4.9 kernel on, at 85 % of charge, had been waited for until the run gave up."""
    scene.phone.set_zones(("cpu-0-0-usr", 38100), ("cpu-1-3-usr", 39400), ("soc", 85))
    watch = scene.wait()
    assert scene.now_s == 0 and watch.seen()["hottest_c"] == 39.4


def test_an_exynos_s8_that_is_hot_is_seen_to_be(scene: Scene) -> None:
    scene.phone.set_zones(("mngs-thermal", 41000), ("APOLLO", 88000))
    scene.wait(lambda phone: phone.set_zones(("mngs-thermal", 41000), ("APOLLO", 51000)))
    assert "at 88 °C by APOLLO" in scene.notes[0]


def test_where_no_sensor_is_the_processors_a_note_and_the_lut_say_so(scene: Scene) -> None:
    scene.phone.set_zones(("skin", 41000), ("usb", 39000), ("battery", 300))
    watch = scene.wait()
    assert "none of the phone's thermal sensors is known to be its processor's" in scene.notes[0]
    assert watch.seen() == {"heat_seen": False}


def test_without_readable_zones_the_thermal_service_is_asked(scene: Scene) -> None:
    for number in range(3):
        (scene.phone.folder / f"sys/class/thermal/thermal_zone{number}/temp").unlink()
    text = (RECORDED / "thermalservice_a52.txt").read_text()
    scene.phone.put("sys/recorded/dumpsys_thermalservice", text.replace("mValue=25.6, mType=0", "mValue=90.5, mType=0"))
    watch = scene.wait(lambda phone: phone.put("sys/recorded/dumpsys_thermalservice", text))
    assert "its processor is at 90 °C by AP" in scene.notes[0] and scene.now_s == 5
    assert watch.seen()["heat_seen"] is True


def test_a_stuck_sensor_is_found_by_the_others_that_change_and_is_not_counted_any_more(scene: Scene) -> None:
    scene.phone.set_zones(("cpu-0", 40000), ("cpu-1", 75000))
    steps: list[Step] = [lambda phone, n=n: phone.set_zones(("cpu-0", 40000 + n)) for n in range(100)]  # type: ignore[misc]
    watch = scene.wait(*steps)
    assert scene.now_s == 60
    assert "the sensor cpu-1 does not change: it is not counted any more" in scene.notes
    assert watch.seen()["stuck_sensors"] == ["cpu-1"]


def test_a_sole_sensor_that_does_not_change_is_given_longer(scene: Scene) -> None:
    scene.phone.set_zones(("cpu-0", 75000))
    scene.phone.set_zones(("cpu-0", 75000), ("x", 1), ("y", 1))
    scene.wait()
    assert scene.now_s == 300


def test_what_the_devices_entry_says_of_its_sensors_is_kept_to(scene: Scene) -> None:
    scene.phone.set_zones(("cpu-0", 76000), ("cpu-1", 99000))
    scene.wait(limits=Limits(processor_c=80.0, ignored_zones=("cpu-1",)))
    assert scene.now_s == 0


def test_heat_that_is_not_waited_for_is_said_and_kept(scene: Scene) -> None:
    scene.phone.set_zones(("mngs-thermal", 91000))
    watch = scene.wait(heat_wait=False)
    assert scene.now_s == 0 and "--no-heat-wait" in scene.notes[0]
    assert watch.seen()["heat_wait"] is False and watch.seen()["hottest_c"] == 91.0


def test_a_low_battery_that_charges_is_waited_for(scene: Scene) -> None:
    scene.phone.set_battery(level=9, status=2)
    scene.wait(lambda phone: phone.set_battery(level=15), heat_wait=False)
    assert any("battery is at 9 %, 15 % is the least: let it charge" in note for note in scene.notes)
    assert scene.now_s == 5


def test_a_low_battery_that_does_not_charge_is_an_error_at_once(scene: Scene) -> None:
    scene.phone.set_battery(level=9, status=3)
    with pytest.raises(DeviceError, match="it does not charge"):
        scene.wait()
    assert scene.now_s == 0
    scene.wait(limits=Limits(least_battery_percent=5))


def test_a_phone_held_back_by_battery_saving_is_measured_and_it_is_said(scene: Scene) -> None:
    cap(1500000)(scene.phone)
    scene.phone.set_power(mLowPowerModeEnabled="true")
    scene.wait()
    assert scene.now_s == 0 and "battery saving is on" in scene.notes[0]


def test_a_phone_that_starts_hot_and_held_back_is_looked_at_again_once_it_is_cool(scene: Scene) -> None:
    """It had counted as saving its battery for the whole run, so that heat was never seen again by its frequencies."""
    scene.phone.set_zones(("mngs-thermal", 81000))
    cap(1500000)(scene.phone)
    watch = scene.wait(*at(60), cap(2314000))
    assert scene.now_s == 5  # cool, and still held back: it may be by something else
    scene.now_s += 60
    cap(2314000)(scene.phone)
    watch.wait()
    scene.now_s += 60
    cap(1500000)(scene.phone)
    scene.steps = iter([cap(2314000)])
    watch.wait()
    assert "it holds its processor below its highest frequency" in scene.notes[-2]


@pytest.mark.parametrize("place", ["sys/devices/system/cpu/online", "proc/self/status"])
def test_cores_that_are_taken_away_while_it_is_measured_are_waited_for(scene: Scene, place: str) -> None:
    usual = (scene.phone.folder / place).read_text()
    watch = scene.watch()
    scene.phone.put(place, usual.replace("0-7", "0-3"))
    scene.steps = iter([lambda phone: phone.put(place, usual)])
    watch.wait()
    assert scene.notes[0].startswith("waiting: the phone has taken the cores 4, 5, 6, 7 away")
    assert scene.now_s == 5


def test_some_cores_of_a_cluster_are_enough(scene: Scene) -> None:
    watch = scene.watch()
    scene.phone.put("sys/devices/system/cpu/online", "0-4")
    watch.wait()
    assert scene.now_s == 0


def reading(**zones: int) -> Reading:
    return Reading(0, zones, {"4": 2314000, "5": 1100000})


def test_a_hot_record_is_looked_into_at_once(scene: Scene) -> None:
    watch = scene.wait()
    watch.note(reading(**{"mngs-thermal": 66000}))
    scene.phone.set_zones(("mngs-thermal", 90000))
    watch.wait()
    assert scene.now_s == 0  # asked a moment ago
    watch.note(reading(**{"mngs-thermal/4": 71000}))
    scene.steps = iter(at(60))
    watch.wait()
    assert scene.now_s == 5
    assert watch.seen()["slowest_khz"] == 1100000


@pytest.mark.parametrize(("limit_c", "looks_at_once"), [(64.0, True), (66.0, False), (80.0, False)])
def test_a_record_is_hot_by_the_limit_of_the_devices_entry(scene: Scene, limit_c: float, looks_at_once: bool) -> None:
    scene.phone.set_zones(("mngs-thermal", 41000))
    watch = scene.wait(limits=Limits(processor_c=limit_c))
    watch.note(reading(**{"mngs-thermal": 65000}))
    scene.phone.set_zones(("mngs-thermal", 90000))
    scene.steps = iter(at(41))
    watch.wait()
    assert scene.now_s == (5 if looks_at_once else 0)


def test_a_phone_that_fell_asleep_is_found_so_and_woken_before_the_next_batch(scene: Scene) -> None:
    awake = StayAwake(Changes(scene.phone), scene.events.append, scene.phone.state)
    watch = scene.wait(awake=awake)
    scene.phone.set_power(mWakefulness="Asleep")
    scene.now_s += 60
    watch.wait()
    assert scene.phone.state.wakefulness == "Awake"
    assert watch.seen()["fell_asleep"] == 1 and watch.seen()["wakefulness_found"] == "Awake"
    assert any("asleep while it is measured" in note for note in scene.notes)


def test_without_power_it_is_looked_at_before_every_batch(scene: Scene) -> None:
    """Nothing keeps its screen on then."""
    scene.phone.set_power(mIsPowered="false")
    watch = scene.wait()
    scene.phone.set_zones(("mngs-thermal", 90000))
    scene.steps = iter(at(60))
    watch.wait()
    assert scene.now_s == 5


def test_a_cycle_on_another_core_does_not_count(scene: Scene) -> None:
    watch = scene.watch()
    watch.raise_if_moved()
    assert not watch.moved((4, 5)) and not watch.moved(())
    assert watch.moved((3, 4))
    assert watch.seen()["cycles_on_other_cores"] == 1
    with pytest.raises(DeviceError, match="on its cores 3, not on 4, 5, 6, 7"):
        watch.raise_if_moved()


def test_every_wait_ends(scene: Scene) -> None:
    scene.phone.put("sys/devices/system/cpu/online", "0-3")
    with pytest.raises(DeviceError, match="has taken the cores"):
        scene.wait()
    assert LONGEST_WAIT_S < scene.now_s < LONGEST_WAIT_S + 60


def test_all_of_them(scene: Scene) -> None:
    """A phone at which nothing can be read is measured."""
    empty: Sequence[str] = ("dumpsys_battery", "dumpsys_power", "dumpsys_thermalservice")
    for name in empty:
        scene.phone.put(f"sys/recorded/{name}", "Permission Denial")
    for path in (scene.phone.folder / "sys/class/thermal").glob("*/*"):
        path.unlink()
    assert scene.wait().seen()["heat_seen"] is False
