"""The check list before the first profile on a phone: once, and its failures end the run."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from lutbench.cli.devices import command
from lutbench.device_agents.agent import AgentSettings
from lutbench.device_agents.android.check import Check, PhoneReport
from lutbench.device_agents.android.limits import Limits
from lutbench.device_agents.registry import Device, find_device
from lutbench.errors import DeviceError, RegistryError, UsageError
from lutbench.events import Event, Note
from lutbench.export.artifact import Artifact
from lutbench.export.exporters import find_exporter
from lutbench.jobs import check as module
from lutbench.jobs.check import look_first_at_phone
from lutbench.jobs.profile import ProfileRequest, profile
from lutbench.jobs.verify import VerifyRequest, _settings
from lutbench.lut.file import read_lut
from tests.cli.running import one_line, run

PHONE = Device("pixel", "android", Path("luts/pixel.csv"), "", address="127.0.0.1:1")
ARTIFACT = Artifact("conv", "onnx", "int8", Path("conv.onnx"), "0" * 64, 1, 0.0)
GOOD = (Check("reach", "ok", "a phone"), Check("heat", "note", "processor unseen", "report it"))
BAD = (*GOOD, Check("tar", "failed", "it cannot", "free some space"))


@pytest.fixture
def look(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[..., list[str]]:
    """Looks at a phone of these checks; what was said."""
    monkeypatch.setenv("LUTBENCH_CACHE", str(tmp_path / "cache"))

    def go(checks: tuple[Check, ...], device: Device = PHONE) -> list[str]:
        def checked(_device: object, _settings: object, _artifact: object, say: Callable[[Check], None]) -> PhoneReport:
            for found in checks:
                say(found)
            return PhoneReport(checks, {}, {})

        monkeypatch.setattr(module, "check_device", checked)
        events: list[Event] = []
        settings = AgentSettings("onnx", "int8", 1, "big", report=events.append)
        look_first_at_phone(device, settings, ARTIFACT)
        return [event.text for event in events if isinstance(event, Note)]

    return go


def test_the_first_profile_on_a_phone_prints_the_list_and_the_second_does_not(look: Callable[..., list[str]]) -> None:
    first = look(GOOD)
    assert first[1:] == ["reach: ok: a phone", "heat: note: processor unseen -> report it"]
    assert look(GOOD) == []
    assert look(GOOD, Device("other", "android", Path("o.csv"), "", address="127.0.0.1:2")) != []


def test_a_failed_check_ends_the_run_and_the_list_comes_again(look: Callable[..., list[str]]) -> None:
    for _ in range(2):
        with pytest.raises(DeviceError, match="tar: it cannot") as caught:
            look(BAD)
        assert caught.value.remedy == "free some space"


def test_a_machine_has_no_list(look: Callable[..., list[str]]) -> None:
    assert look(BAD, find_device("host")) == []


def test_devices_check_of_a_phone_that_is_not_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LUTBENCH_CONFIG", str(tmp_path))
    (tmp_path / "devices.toml").write_text('[devices.pixel]\nkind = "android"\naddress = "127.0.0.1:1"\n')
    done = run("devices", "--check", "pixel", "--json", cwd=tmp_path)
    found = json.loads(done.stdout)
    assert done.returncode == 1 and found["ok"] is False and found["device"] == "pixel"
    assert [(line["name"], line["status"]) for line in found["checks"]] == [("reach", "failed")]
    assert "USB debugging" in found["checks"][0]["remedy"]
    done = run("devices", "--check", "pixel", cwd=tmp_path)
    assert done.returncode == 1 and done.stdout.startswith("reach: failed: nothing answers at 127.0.0.1:1")
    assert "a check list is for phones" in one_line(run("devices", "--check", "host", cwd=tmp_path), 2)
    one_line(run("devices", "--check", "pixel", "--clean", "pixel", cwd=tmp_path), 2)


def test_what_a_check_waits_for_is_said_once_and_apart_from_its_lines(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A tap on the phone, or the runner that is built: the phone is opened twice."""
    monkeypatch.setenv("LUTBENCH_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("LUTBENCH_CONFIG", str(tmp_path))
    (tmp_path / "devices.toml").write_text('[devices.pixel]\nkind = "android"\naddress = "127.0.0.1:1"\n')

    def checked(
        _device: object, settings: AgentSettings, _artifact: object, say: Callable[[Check], None]
    ) -> PhoneReport:
        for _ in range(2):
            settings.report(Note("unlock the phone and tap Allow on it"))
        for found in GOOD:
            say(found)
        return PhoneReport(GOOD, {}, {})

    monkeypatch.setattr(module, "check_device", checked)
    monkeypatch.setattr(module, "check_measurable", lambda *_about: None)
    monkeypatch.setattr(module, "export_workloads", lambda *_about: ([ARTIFACT], []))
    command.main(["--check", "pixel"], standalone_mode=False)
    told = capsys.readouterr()
    assert told.err == "unlock the phone and tap Allow on it\n"
    assert told.out == "reach: ok: a phone\nheat: note: processor unseen -> report it\n"
    command.main(["--check", "pixel", "--json"], standalone_mode=False)
    told = capsys.readouterr()
    assert told.err == "unlock the phone and tap Allow on it\n"
    assert json.loads(told.out)["ok"]


def test_fixed_performance_is_of_phones_and_of_a_lut_of_its_own() -> None:
    with pytest.raises(UsageError, match="for Android phones"):
        profile(ProfileRequest(device=find_device("host"), fixed_performance=True), lambda _event: None)
    request = ProfileRequest(device=PHONE, fixed_performance=True, heat_wait=False)
    assert request.lut_path == Path("luts/pixel_fixed.csv")
    assert request.environment == {"core_choice": "big", "fixed_performance": True}
    settings = request.settings(lambda _event: None)
    assert settings.fixed_performance and not settings.heat_wait


@pytest.mark.parametrize("mode", [{}, {"fixed_performance": True}])
def test_verify_measures_in_the_mode_and_on_the_cores_of_the_lut(mode: dict[str, bool]) -> None:
    path = min((Path(__file__).parents[2] / "luts").glob("*.csv"))
    lut = read_lut(path)
    measured = replace(lut, metadata=replace(lut.metadata, environment={"core_choice": "little", **mode}))
    request = VerifyRequest(lut_path=path, device=PHONE, heat_wait=False)
    settings = _settings(request, measured, find_exporter("onnx", "int8"), lambda _event: None)
    assert (settings.cores, settings.fixed_performance, settings.heat_wait) == ("little", bool(mode), False)


def read(folder: Path, lines: str, monkeypatch: pytest.MonkeyPatch) -> Device:
    monkeypatch.setenv("LUTBENCH_CONFIG", str(folder))
    (folder / "devices.toml").write_text(f'[devices.pixel]\nkind = "android"\n{lines}\n')
    return find_device("pixel")


def test_limits_of_an_entry(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert read(tmp_path, "", monkeypatch).limits == Limits()
    lines = 'ignore_zones = ["soc*", "cpu-9"]\nmax_temperature_c = 80\nleast_battery_percent = 30'
    assert read(tmp_path, lines, monkeypatch).limits == Limits(80.0, 42.0, 30, ("soc*", "cpu-9"))


@pytest.mark.parametrize(
    "line",
    ['ignore_zones = "soc"', "ignore_zones = [1]", 'ignore_zones = [""]', "max_temperature_c = 20",
     "max_temperature_c = nan", 'max_temperature_c = "80"', "max_temperature_c = true", "least_battery_percent = 101",
     "least_battery_percent = 1.5"],
)  # fmt: skip
def test_limits_that_are_none_are_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, line: str) -> None:
    with pytest.raises(RegistryError, match=line.split(" ", maxsplit=1)[0]):
        read(tmp_path, line, monkeypatch)
