"""A phone with the app, and artifacts for it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from lutbench.device_agents.agent import AgentSettings
from lutbench.device_agents.ios import process
from lutbench.device_agents.ios.agent import IphoneAgent
from lutbench.device_agents.ios.find import WantedIphone
from lutbench.device_agents.ios.opening import open_iphone
from lutbench.device_agents.ios.usbmux import SOCKET_VARIABLE
from lutbench.device_agents.remote import waiting
from lutbench.device_agents.remote.agent import Patience
from lutbench.events import Event
from lutbench.export.artifact import Artifact
from lutbench.export.cache import ArtifactCache
from lutbench.export.exporters import find_exporter
from lutbench.export.pool import export_all
from lutbench.space.operator import parse_operator
from tests.device_agents.ios.app import App
from tests.device_agents.ios.fake_usbmuxd import FakeUsbmuxd
from tests.device_agents.runner.phone import NAMES

RUNTIME = find_exporter("onnx", "int8").runtime_version


@pytest.fixture
def mux(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeUsbmuxd]:
    with FakeUsbmuxd() as made:
        monkeypatch.setenv(SOCKET_VARIABLE, made.address)
        yield made


@pytest.fixture
def app(mux: FakeUsbmuxd, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[App]:
    monkeypatch.setattr(waiting, "LOOK_EVERY_S", 0.05)
    monkeypatch.setattr(process, "_SHORTEST_LOOK_S", 0.1)
    made = App(tmp_path / "phone", mux)
    yield made
    made.close()


@pytest.fixture(scope="session")
def artifacts(shared_cache: Path) -> list[Artifact]:
    """Real int8 artifacts."""
    operators = [parse_operator(name) for name in NAMES]
    results = export_all(operators, find_exporter("onnx", "int8"), "int8", ArtifactCache(shared_cache))
    return [artifact for _, artifact in results if isinstance(artifact, Artifact)]


OpenIphone = Callable[..., IphoneAgent]


@pytest.fixture
def events() -> list[Event]:
    """What agents reported."""
    return []


@pytest.fixture
def opened(events: list[Event]) -> Iterator[OpenIphone]:
    agents: list[IphoneAgent] = []

    def make(
        wanted: WantedIphone | None = None, patience: Patience | None = None, heat_wait: bool = True
    ) -> IphoneAgent:
        settings = AgentSettings("onnx", "int8", 1, heat_wait=heat_wait, report=events.append)
        agent = open_iphone(wanted or WantedIphone("ios"), settings, RUNTIME, patience or Patience(reconnect_s=20.0))
        agents.append(agent)
        return agent

    yield make
    for agent in agents:
        agent.close()
