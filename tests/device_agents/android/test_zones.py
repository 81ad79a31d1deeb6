"""Which zones are the processor's, on the zone lists of several makes, and junk."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lutbench.device_agents.android.zones import Heat, Thermometer, Zone, is_processor, parse_service, parse_zones

RECORDED = Path(__file__).parent / "recorded"


def zones(name: str) -> list[Zone]:
    return parse_zones((RECORDED / f"{name}.txt").read_text())


@pytest.mark.parametrize(
    ("name", "names", "hottest"),
    [
        ("battery_zone", {"cpu-0-0-usr", "cpu-1-3-usr"}, Heat(39.4, "cpu-1-3-usr")),  # not 85, its battery's charge
        ("samsung_exynos8895", {"mngs-thermal", "apollo-thermal"}, Heat(46.0, "mngs-thermal")),
        ("google_gs101", {"BIG", "MID", "LITTLE", "soc_therm"}, Heat(41.0, "BIG")),  # not a current of 12,000 mA
        ("mediatek", {"mtktscpu", "mtkts1", "mtkts2"}, Heat(49.0, "mtktscpu")),
        ("qualcomm_msm8953", {f"tsens_tz_sensor{n}" for n in range(1, 16)}, Heat(32.2, "tsens_tz_sensor8")),  # tenths
    ],
)
def test_the_processors_zones_of_each_make(name: str, names: set[str], hottest: Heat) -> None:
    thermometer = Thermometer(zones(name))
    assert set(thermometer.names) == names
    assert thermometer.hottest(zones(name)) == hottest


def test_of_93_zones_of_a_phone_only_the_processors_count() -> None:
    thermometer = Thermometer(zones("motorola_sm4375"))
    assert all(name.startswith("cpu") and name.endswith("-usr") for name in thermometer.names)
    assert thermometer.hottest(zones("motorola_sm4375")) == Heat(42.6, "cpu-1-0-usr")


@pytest.mark.parametrize("name", ["MNGS", "APOLLO", "atlas0-thermal", "cpu0-silver-usr", "kryo-l3-0-usr", "CPU-therm",
                                  "apc-0-max-step", "ank1-thmzone", "cpu_big1", "cluster0", "x86_pkg_temp",
                                  "soc-thmzone", "tsens_tz_sensor3", "soc_thermal"])  # fmt: skip
def test_names_of_processors(name: str) -> None:
    assert is_processor(name)


@pytest.mark.parametrize("name", ["battery", "chg_therm", "gpu0", "cpu_battery", "wifi", "skin-therm-soc", "ocp_cpu1",
                                  "soft_ocp_cpu2", "pm7250b-bcl-lvl0", "socd", "VIRTUAL-SKIN-CPU-LIGHT-ODPM", "mtktsAP",
                                  "zeroc-0-step", "lmh-dcvs-00", "vbat", "acpitz", "", "thermal_zone3"])  # fmt: skip
def test_names_of_other_things(name: str) -> None:
    assert not is_processor(name)


def hottest(*rows: tuple[str, int], ignored: tuple[str, ...] = ()) -> float | None:
    found = [Zone(*row) for row in rows]
    heat = Thermometer(found, ignored).hottest(found)
    return heat.celsius if heat else None


@pytest.mark.parametrize(
    ("rows", "celsius"),
    [
        ([("cpu-0", 45000)], 45.0),
        ([("cpu-0", 452)], 45.2),
        ([("cpu-0", 45)], 45.0),
        ([("tsens_tz_sensor0", 1010), ("tsens_tz_sensor1", 998)], 101.0),  # tenths, though it looks like thousandths
        ([("cpu", 41000), ("cpu", 67000)], 67.0),  # of equal names the hottest
        ([("cpu", 67000), ("cpu", 41000)], 67.0),
        ([("cpu-0", 41000), ("cpu-1", -40000), ("cpu-2", 0), ("cpu-3", -127000), ("cpu-4", 200000)], 41.0),  # parked
        ([("cpu-0", 41000), ("cpu-load", 85)], 41.0),  # one phone, one unit
        ([("soc", 85)], None),  # a per cent
        ([("soc", 100)], None),
        ([("soc-thermal", 51000)], 51.0),
        ([("cpu-0-step", 4)], None),  # a counter
        ([("cpu-0-step", 12)], None),
        ([("cpu-0-usr", 41000), ("cpu-0-step", 83000)], 41.0),  # the same sensor, or a limit
        ([], None),
    ],
)
def test_units_ranges_and_equal_names(rows: list[tuple[str, int]], celsius: float | None) -> None:
    assert hottest(*rows) == celsius


def test_what_the_user_ignores_does_not_count() -> None:
    assert hottest(("cpu-0", 41000), ("cpuss-9", 99000), ignored=("cpuss-*",)) == 41.0


def test_a_unit_once_known_is_kept() -> None:
    thermometer = Thermometer([Zone("tsens_tz_sensor0", 305)])
    assert thermometer.hottest([Zone("tsens_tz_sensor0", 1100)]) == Heat(110.0, "tsens_tz_sensor0")
    assert thermometer.hottest([Zone("tsens_tz_sensor0/7", 900)]) == Heat(90.0, "tsens_tz_sensor0/7")  # the runner's


def test_temperatures_of_the_thermal_service() -> None:
    readings = parse_service((RECORDED / "thermalservice_a52.txt").read_text())
    assert (0, "AP", 25.6) in readings and (2, "SUBBAT", 0.0) not in readings
    assert Thermometer([]).hottest_of_service(readings) == Heat(25.6, "AP")  # not the cached 85.6
    cached = (
        "Thermal Status: 0\nCached temperatures:\n\tTemperature{mValue=61.5, mType=0, mName=CPU, mStatus=0}\nHAL: no"
    )
    assert Thermometer([]).hottest_of_service(parse_service(cached)) == Heat(61.5, "CPU")
    assert Thermometer([], ("CPU",)).hottest_of_service(parse_service(cached)) is None
    several = [(0, "AP", 40.0), (1, "AP-1", 90.0), (3, "AP-2", 95.0), (9, "AP-3", 99.0)]  # what Android calls others
    assert Thermometer([]).hottest_of_service(several) == Heat(40.0, "AP")
    dead = "Current temperatures from HAL:\n\tTemperature{mValue=NaN, mType=0, mName=CPU, mStatus=0}"
    assert parse_service(dead) == [] and parse_service("Can't find service: thermalservice") == []


LINES = st.lists(
    st.one_of(
        st.text(max_size=30),
        st.builds("thermal_zone{}/type:{}".format, st.integers(0, 9), st.sampled_from(["cpu", "soc", "BIG", "tsens"])),
        st.builds("thermal_zone{}/temp:{}".format, st.integers(0, 9), st.integers(-(10**10), 10**10)),
        st.builds("\tTemperature{{mValue={}, mType={}, mName=CPU".format, st.floats(), st.integers(-9, 99)),
        st.just("Current temperatures from HAL:"),
    ),
    max_size=30,
).map("\n".join)


@given(LINES)
def test_junk_is_never_a_temperature_out_of_range(text: str) -> None:
    found = parse_zones(text)
    thermometer = Thermometer(found)
    for heat in (thermometer.hottest(found), thermometer.hottest_of_service(parse_service(text))):
        assert heat is None or -30 < heat.celsius <= 125


@given(st.lists(st.integers(21_000, 99_000), min_size=1, max_size=8), st.integers(0, 100))
def test_a_batterys_charge_never_counts_beside_real_zones(raws: list[int], percent: int) -> None:
    rows = [Zone(f"cpu-{n}-usr", raw) for n, raw in enumerate(raws)]
    found = [*rows, Zone("soc", percent), Zone("soc", 100 - percent)]
    heat = Thermometer(found).hottest(found)
    assert heat is not None and heat.celsius == max(raws) / 1000
