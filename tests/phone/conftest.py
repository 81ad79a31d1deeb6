"""The emulated phone as fixtures.

These tests take minutes, for every program of the phone is emulated, so they run where LUTBENCH_REQUIRE_PHONE is set,
as in .ci/run: `make test-phone`. There they fail, and do not skip, without root or the emulator.
"""

from __future__ import annotations

import fcntl
import os
import socket
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from lutbench.device_agents.agent import AgentSettings
from lutbench.device_agents.android.agent import AndroidAgent
from lutbench.device_agents.android.find import Wanted
from lutbench.device_agents.android.opening import open_phone
from lutbench.device_agents.registry import Device
from lutbench.device_agents.remote.agent import Patience
from lutbench.device_agents.runner.build import build_bundle
from lutbench.device_agents.runner.bundle import Bundle
from lutbench.errors import RunnerBuildError
from lutbench.events import Event
from lutbench.export.artifact import Artifact
from lutbench.export.cache import ArtifactCache
from lutbench.export.exporters import find_exporter
from lutbench.export.pool import export_all
from lutbench.space.operator import OVERHEAD, parse_operator
from tests.phone.emulated import REQUIRE_VARIABLE, NoPhoneError, Phone, built_phone

BLOCK, CONV = "ir_k3_e2_g1_8x8x8_8_s1", "conv_k1_16x8x8_24_s2"
NAMES = (BLOCK, CONV, OVERHEAD.name)
TEST_TIMEOUT_S = 900


def unavailable(reason: str) -> None:
    pytest.fail(f"{REQUIRE_VARIABLE} is set, and {reason}")


@pytest.fixture(scope="session")
def phone_folder() -> Path:
    if not os.environ.get(REQUIRE_VARIABLE):
        pytest.skip(f"takes minutes and needs root; `make test-phone` (or {REQUIRE_VARIABLE}=1) runs it")
    try:
        return built_phone()
    except NoPhoneError as error:
        unavailable(str(error))
        raise


@pytest.fixture(scope="session")
def bundle(phone_folder: Path) -> Bundle:
    """The phone's runner, built once for every test run of this machine, and only where there is a phone."""
    del phone_folder
    cache = Path(tempfile.gettempdir()) / "lutbench-phone-runner"
    with cache.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        try:
            return build_bundle("android-arm64", cache=cache)
        except RunnerBuildError as error:
            unavailable(str(error))
            raise


@pytest.fixture(scope="module")
def shared_phone(phone_folder: Path) -> Iterator[Phone]:
    """One phone for a file's tests: what was installed on it stays."""
    phone = Phone(phone_folder)
    yield phone
    phone.close()


@pytest.fixture
def phone(shared_phone: Phone) -> Iterator[Phone]:
    """The file's phone, in its usual state again after each test."""
    recorded = {
        name: shared_phone.record(name)
        for name in ("getprop", "dumpsys_battery", "dumpsys_power", "dumpsys_thermalservice")
    }
    yield shared_phone
    for name, text in recorded.items():
        shared_phone.set_record(name, text)
    shared_phone.set_temperature(35.2)


@pytest.fixture
def device(phone: Phone, bundle: Bundle, tmp_path: Path) -> Device:
    return Device("phone", "android", tmp_path / "phone.csv", "", address=phone.address, bundle=str(bundle.folder))


Open = Callable[..., AndroidAgent]


@pytest.fixture
def open_agent(device: Device, tmp_path: Path) -> Iterator[Open]:
    """Opens the agent of the phone; what it reports goes into its list `events`."""
    opened: list[AndroidAgent] = []

    def make(
        runtime: str = "onnx", patience: Patience | None = None, events: list[Event] | None = None, **changes: object
    ) -> AndroidAgent:
        heard: list[Event] = [] if events is None else events
        settings = replace(AgentSettings(runtime, "int8", 1, "big", report=heard.append), **changes)  # type: ignore[arg-type]
        wanted = Wanted(device.name, device.serial, device.address, device.model, device.bundle)
        opened.append(open_phone(wanted, tmp_path / "config", settings, patience or Patience(reconnect_s=10.0)))
        return opened[-1]

    yield make
    for agent in opened:
        agent.close()


@pytest.fixture(scope="session")
def artifacts_of(shared_cache: Path) -> Callable[[str], list[Artifact]]:
    def make(runtime: str) -> list[Artifact]:
        operators = [parse_operator(name) for name in NAMES]
        results = export_all(operators, find_exporter(runtime, "int8"), "int8", ArtifactCache(shared_cache))
        return sorted((a for _, a in results if isinstance(a, Artifact)), key=lambda artifact: artifact.name)

    return make


@pytest.fixture
def artifacts(artifacts_of: Callable[[str], list[Artifact]]) -> list[Artifact]:
    return artifacts_of("onnx")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """An emulated phone is slow, and slower still beside other tests."""
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.timeout(TEST_TIMEOUT_S))


@pytest.fixture
def adb_server(phone: Phone, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[list[str]]:
    """An adb server of its own that holds the phone; the command that talks to it."""
    import adbutils

    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    monkeypatch.setenv("ANDROID_ADB_SERVER_PORT", str(port))
    monkeypatch.setenv("HOME", str(tmp_path))
    adb = [adbutils.adb_path()]
    subprocess.run([*adb, "start-server"], check=True, capture_output=True, timeout=30)
    subprocess.run([*adb, "connect", phone.address], check=True, capture_output=True, timeout=30)
    yield adb
    subprocess.run([*adb, "kill-server"], check=False, capture_output=True, timeout=30)
