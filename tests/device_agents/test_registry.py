from __future__ import annotations

import contextlib
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lutbench.device_agents import registry
from lutbench.device_agents.agent import AgentSettings
from lutbench.device_agents.android.find import Attached, Wanted
from lutbench.device_agents.android.limits import Limits
from lutbench.device_agents.ios.find import WantedIphone
from lutbench.device_agents.registry import (
    RegistryError,
    all_devices,
    check_device,
    clean_device,
    find_device,
    open_agent,
    phone_label,
    registry_path,
)
from lutbench.errors import DeviceError, LutbenchError, UsageError
from lutbench.export.artifact import Artifact

ARTIFACT = Artifact("conv", "onnx", "int8", Path("conv.onnx"), "0" * 64, 1, 0.0)


def write(text: str) -> None:
    registry_path().parent.mkdir(parents=True, exist_ok=True)
    registry_path().write_text(text)


def test_built_in_devices_and_their_luts() -> None:
    assert set(all_devices()) == {"host", "android", "android-s8", "ios", "iphonex"}
    assert find_device("android-s8").lut == Path("luts/s8.csv")
    assert find_device("iphonex").lut == Path("luts/iphonex.csv")


def test_a_users_device() -> None:
    write('[devices.pi]\nkind = "host"\nthreads = 2\nlut = "luts/pi.csv"\ndescription = "on the bench"\n')
    device = find_device("pi")
    assert (device.kind, device.threads, device.lut, device.built_in) == ("host", 2, Path("luts/pi.csv"), False)
    assert device.lock_name == "host"  # the same machine: never measured twice at once


def test_a_users_phone() -> None:
    write(
        '[devices.pixel]\nkind = "android"\nserial = "it\'s $(x); y"\ncores = "0xF0"\nmodel = "Pixel*"\nbundle = "b"\n'
        '[devices.far]\nkind = "android"\naddress = "10.0.0.2:5555"\n'
        '[devices.twin]\nkind = "android"\nserial = "0123"\nusb = "1-4.2"\n'
        '[devices.other]\nkind = "android"\ntransport_id = "7"\n'
    )
    assert (find_device("twin").serial, find_device("twin").usb) == ("0123", "1-4.2")
    assert find_device("other").transport_id == "7"
    pixel, far = find_device("pixel"), find_device("far")
    assert (pixel.serial, pixel.cores, pixel.model, pixel.bundle) == ("it's $(x); y", "0xf0", "Pixel*", "b")
    assert (far.address, far.cores_for(""), far.cores_for("little")) == ("10.0.0.2:5555", "big", "little")
    assert (pixel.cores_for(""), find_device("android-s8").model) == ("0xf0", "SM-G950*")


def test_cores_are_chosen_on_phones_only() -> None:
    assert find_device("host").cores_for("") == ""
    with pytest.raises(UsageError, match="--cores is for Android phones"):
        find_device("host").cores_for("big")


def test_a_phone_runs_what_its_runner_has() -> None:
    with pytest.raises(UsageError, match="phones run onnx and executorch, not torchscript"):
        open_agent(find_device("android"), AgentSettings("torchscript", "int8", 1))


@pytest.mark.parametrize(
    ("name", "problem"), [("host", "coreml runs on Apple's devices alone"), ("android", "not coreml")]
)
def test_core_ml_is_refused_where_it_does_not_run(name: str, problem: str) -> None:
    with pytest.raises(UsageError, match=problem):
        open_agent(find_device(name), AgentSettings("coreml", "fp16", 1))


def test_only_phones_are_cleaned() -> None:
    with pytest.raises(UsageError, match="keeps nothing on devices of kind host"):
        clean_device(find_device("host"))


def test_an_unknown_device_suggests_near_names() -> None:
    with pytest.raises(UsageError, match="did you mean android-s8"):
        find_device("android-s9")


def test_an_iphone_needs_a_daemon_and_runs_what_its_app_has() -> None:
    with pytest.raises(DeviceError, match="no usbmuxd answers"):
        open_agent(find_device("iphonex"), AgentSettings("onnx", "int8", 1))
    with pytest.raises(UsageError, match="the iPhone's app runs onnx, executorch, coreml, not torchscript"):
        open_agent(find_device("iphonex"), AgentSettings("torchscript", "int8", 1))


@pytest.mark.parametrize(
    ("place", "label"),
    [('usb = "1-4.2"', "0123 (usb 1-4.2, transport id 9)"), ('transport_id = "7"', "0123 (usb 1-3, transport id 7)")],
)
def test_an_entry_tells_phones_of_one_serial_apart(place: str, label: str, monkeypatch: pytest.MonkeyPatch) -> None:
    twins = [Attached("0123", "device", "adb server", *place) for place in (("1-3", "7"), ("1-4.2", "9"))]
    monkeypatch.setattr(registry, "attached", lambda: twins)
    write(f'[devices.mine]\nkind = "android"\nserial = "0123"\n{place}\n')
    assert phone_label(find_device("mine")) == label


def told_of(name: str, places: tuple[str, ...], monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """What the functions at these places are told of the device while it is opened, checked and cleaned."""
    told: list[object] = []
    for place in places:
        monkeypatch.setattr(f"lutbench.device_agents.{place}", lambda wanted, *_: told.append(wanted))
    device, settings = find_device(name), AgentSettings("onnx", "int8", 1)
    open_agent(device, settings)
    check_device(device, settings, ARTIFACT, lambda _check: None)
    clean_device(device)
    return told


def test_all_that_an_entry_says_of_its_phone_reaches_who_opens_and_who_checks_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    write(
        '[devices.mine]\nkind = "android"\nserial = "0123"\nmodel = "Pixel*"\nbundle = "b"\nusb = "1-4.2"\n'
        'transport_id = "7"\nignore_zones = ["soc*"]\nmax_temperature_c = 80\nleast_battery_percent = 30\n'
    )
    limits = Limits(processor_c=80.0, least_battery_percent=30, ignored_zones=("soc*",))
    expected = Wanted("mine", "0123", "", "Pixel*", "b", "1-4.2", "7", limits)
    places = ("registry.check_attached", "android.opening.open_phone", "android.opening.clean_phone")
    assert told_of("mine", (*places, "android.check.check_phone"), monkeypatch) == [expected] * 4


def test_all_that_an_entry_says_of_its_iphone_reaches_who_opens_and_who_checks_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    write(
        '[devices.far]\nkind = "ios"\naddress = "192.168.1.21"\ncode = "7k2m-q4xd-9rtp"\nmodel = "iPhone15,*"\n'
        "least_battery_percent = 30\n"
    )
    expected = WantedIphone("far", "", "192.168.1.21", "iPhone15,*", "7K2MQ4XD9RTP", 30)
    places = (
        "ios.find.check_attached",
        "ios.opening.open_iphone",
        "ios.opening.clean_iphone",
        "ios.check.check_iphone",
    )
    assert told_of("far", places, monkeypatch) == [expected] * 4


def test_a_users_iphone() -> None:
    write(
        '[devices.mine]\nkind = "ios"\nudid = "00008030-001A2B3C4D5E6F70"\nmodel = "iPhone15,*"\n'
        "least_battery_percent = 5\n"
        '[devices.far]\nkind = "ios"\naddress = "192.168.1.21"\ncode = "7k2m-q4xd-9rtp"\n'
    )
    mine, far = find_device("mine"), find_device("far")
    assert (mine.udid, mine.model, mine.limits.least_battery_percent) == ("00008030-001A2B3C4D5E6F70", "iPhone15,*", 5)
    assert (far.address, far.code) == ("192.168.1.21", "7K2MQ4XD9RTP")


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("[devices.pi", "not TOML"),
        ("x = 1", "something else"),
        ("devices = 3", "something else"),
        ('[devices."a b"]\nkind = "host"', "a name is"),
        ('[devices.pi]\nkind = "toaster"', "kind 'toaster'"),
        ('[devices.pi]\nkind = "host"\nthreads = 0', "threads 0"),
        ('[devices.pi]\nkind = "host"\nlut = 3', "must be strings"),
        ('[devices.pi]\nkind = "host"\nserial = "x"', "unknown key serial"),
        ("devices.pi = 3", "is not a table"),
        ('[devices.p]\nkind = "android"\nserial = 3', "serial must be a string"),
        ('[devices.p]\nkind = "android"\nserial = "\\u0000"', "serial must be a string"),
        ('[devices.p]\nkind = "android"\nserial = "a"\naddress = "b"', "give one of them"),
        ('[devices.p]\nkind = "android"\nusb = "1-2"\naddress = "b"', "has no usb nor transport_id"),
        ('[devices.p]\nkind = "android"\nusb = "bus 1"', "usb 'bus 1' is no path such as 1-4.2"),
        ('[devices.p]\nkind = "android"\ntransport_id = "x"', "transport_id 'x' is no number"),
        ('[devices.p]\nkind = "android"\naddress = "a b"', "is not an address such as 192.168.1.20:5555"),
        ('[devices.p]\nkind = "ios"\naddress = "a b"', "is not an address such as 192.168.1.20:50322"),
        ('[devices.p]\nkind = "ios"\nserial = "x"', "unknown key serial"),
        ('[devices.p]\nkind = "ios"\nudid = "x"', "udid 'x' is none"),
        ('[devices.p]\nkind = "ios"\nudid = "%s"\naddress = "b"' % ("a" * 40), "give one of them"),
        ('[devices.p]\nkind = "ios"\naddress = "b"\ncode = "123"', "is no pairing code"),
        ('[devices.p]\nkind = "android"\ncores = "huge"', "none of big, little, all"),
    ],
)
def test_a_bad_registry_is_one_line(text: str, problem: str) -> None:
    write(text)
    with pytest.raises(RegistryError, match=problem) as caught:
        all_devices()
    assert "devices.toml" in str(caught.value)


@given(st.text(max_size=100))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_junk_is_a_registry_or_one_error(text: str) -> None:
    registry_path().parent.mkdir(parents=True, exist_ok=True)
    registry_path().write_bytes(text.encode("utf-8", "surrogatepass"))
    with contextlib.suppress(LutbenchError):
        assert "host" in all_devices()
