"""An iPhone's check list: what each line says where it is well, and what to do where it is not."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from lutbench.device_agents.agent import AgentSettings
from lutbench.device_agents.ios import check as module
from lutbench.device_agents.ios.check import check_iphone
from lutbench.device_agents.ios.find import WantedIphone
from lutbench.device_agents.remote.agent import Patience
from lutbench.device_agents.remote.checklist import Check, PhoneReport
from lutbench.export.artifact import Artifact
from tests.cli.running import run
from tests.device_agents.ios.app import App
from tests.device_agents.ios.conftest import RUNTIME
from tests.device_agents.ios.fake_usbmuxd import FakePhone, FakeUsbmuxd

NAMES = ["reach", "app", "runtime", "space", "front", "power", "heat", "battery", "operator"]


def checked(artifacts: list[Artifact], runtime: str = RUNTIME, **wanted: object) -> tuple[PhoneReport, list[str]]:
    said: list[Check] = []
    settings = AgentSettings("onnx", "int8", 1)
    report = check_iphone(
        WantedIphone("ios", **wanted),
        settings,
        runtime,
        artifacts[0],
        said.append,
        Patience(reconnect_s=3.0),  # type: ignore[arg-type]
    )
    assert tuple(said) == report.checks
    return report, [f"{check.name} {check.status}" for check in said]


def of(report: PhoneReport, name: str) -> Check:
    return next(check for check in report.checks if check.name == name)


@pytest.mark.slow
def test_a_phone_that_is_well(app: App, artifacts: list[Artifact]) -> None:
    app.tell(battery=0.8, charging=True)
    report, said = checked(artifacts)
    assert said == [f"{name} ok" for name in NAMES], report
    assert "iPhone X (iPhone10,3)" in of(report, "reach").found and "USB" in of(report, "reach").found
    assert of(report, "battery").found == "80 %, charging"
    assert artifacts[0].name in of(report, "operator").found and "us (median of 20)" in of(report, "operator").found
    assert report.environment["model"] == "iPhone10,3" and not report.failed


@pytest.mark.slow
def test_what_is_waited_for_is_a_note_with_what_to_do(
    app: App, artifacts: list[Artifact], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "operator_check", lambda _open, _artifact: (Check("operator", "ok", "not timed"), None))
    monkeypatch.setattr(module, "__version__", "9.9.9")
    app.tell(thermal="serious", low_power=True, foreground=False)
    report, said = checked(artifacts)
    noted = [name.removesuffix(" note") for name in said if name.endswith(" note")]
    assert noted == ["app", "front", "power", "heat", "battery"]
    assert all(of(report, name).remedy for name in noted)


@pytest.mark.slow
def test_what_keeps_it_from_being_measured_has_failed_and_no_operator_is_timed(
    app: App, artifacts: list[Artifact], monkeypatch: pytest.MonkeyPatch
) -> None:
    app.tell(battery=0.05, charging=False)
    monkeypatch.setattr(module, "_NEEDED_BYTES", 1 << 60)
    report, said = checked(artifacts, runtime="onnxruntime 0.1", model="iPhone15,*")
    assert [check.name for check in report.failed] == ["reach", "runtime", "space", "battery"]
    assert all(check.remedy for check in report.failed) and "operator" not in " ".join(said)
    assert "pip install onnxruntime==" in of(report, "runtime").remedy


def test_an_app_that_does_not_run_is_the_list_s_only_line(mux: FakeUsbmuxd) -> None:
    mux.plug_in(FakePhone("a" * 40))
    report, said = checked([Artifact("conv", "onnx", "int8", Path("conv.onnx"), "0" * 64, 1, 0.0)])
    assert said == ["reach failed"] and "app not running" in report.checks[0].found
    assert "tap lutbench" in report.checks[0].remedy


@pytest.mark.slow
@pytest.mark.usefixtures("mux")
def test_the_command_says_it_line_by_line_and_as_one_object(tmp_path: Path) -> None:
    shown = run("devices", "--check", "iphonex", cwd=tmp_path)
    assert shown.returncode == 1 and "reach: failed: no iPhone is attached -> plug one in" in shown.stdout
    found = json.loads(run("devices", "--check", "ios", "--json", cwd=tmp_path).stdout)
    assert found["device"] == "ios" and not found["ok"] and found["checks"][0]["name"] == "reach"
