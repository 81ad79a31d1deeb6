from __future__ import annotations

import contextlib
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from device_agents.agent import AgentSettings
from device_agents.registry import RegistryError, all_devices, find_device, open_agent, registry_path
from lutbench.errors import DeviceError, LutbenchError, UsageError


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


def test_an_unknown_device_suggests_near_names() -> None:
    with pytest.raises(UsageError, match="did you mean android-s8"):
        find_device("android-s9")


def test_a_kind_that_cannot_be_measured_yet_says_so() -> None:
    with pytest.raises(DeviceError, match="cannot measure ios"):
        open_agent(find_device("iphonex"), AgentSettings("onnx", "int8", 1))


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
