"""ExecuTorch in the app: the server that has it beside ONNX Runtime, and one that has it not."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path

import pytest

from lutbench.device_agents.agent import AgentSettings
from lutbench.device_agents.ios.find import WantedIphone
from lutbench.device_agents.ios.opening import open_iphone
from lutbench.device_agents.registry import Device, open_agent
from lutbench.errors import DeviceError
from lutbench.export.artifact import Artifact
from lutbench.export.cache import ArtifactCache
from lutbench.export.exporters import find_exporter
from lutbench.export.pool import export_all
from lutbench.space.operator import OVERHEAD, parse_operator
from tests.device_agents.ios.app import EXECUTORCH_VARIABLE, App, program
from tests.device_agents.ios.conftest import RUNTIME
from tests.device_agents.ios.fake_usbmuxd import FakeUsbmuxd
from tests.device_agents.ios.test_agent import samples
from tests.device_agents.runner.phone import BATCH, BLOCK, CONV, NAMES

pytestmark = pytest.mark.slow
DEVICE = Device("ios", "ios", Path("ios.csv"), "")
SETTINGS = AgentSettings("executorch", "int8", 1)
HERE = f"executorch {version('executorch')}"


@pytest.fixture
def both(mux: FakeUsbmuxd, tmp_path: Path) -> Iterator[App]:
    """An app that has both runtimes."""
    made = App(tmp_path / "phone", mux, variable=EXECUTORCH_VARIABLE)
    yield made
    made.close()


@pytest.fixture(scope="module")
def programs(shared_cache: Path) -> list[Artifact]:
    """Real ExecuTorch programs."""
    program(EXECUTORCH_VARIABLE)  # nothing is exported where there is no app to run it
    operators = [parse_operator(name) for name in NAMES]
    results = export_all(operators, find_exporter("executorch", "int8"), "int8", ArtifactCache(shared_cache))
    return [artifact for _, artifact in results if isinstance(artifact, Artifact)]


def test_it_measures_beside_onnx_runtime(both: App, programs: list[Artifact], artifacts: list[Artifact]) -> None:
    """Each computes what it computes here, in one process of the app, one after the other and back."""
    for settings, files, runtime in (
        (SETTINGS, programs, HERE),
        (AgentSettings("onnx", "int8", 1), artifacts, RUNTIME),
        (SETTINGS, programs, HERE),
    ):
        with open_agent(DEVICE, settings) as agent:
            assert list(agent.install(files)) == [] and len(files) == len(NAMES)
            found = samples(list(agent.measure(BATCH)))
            assert [(s.artifact, len(s.durations_ns)) for s in found] == [(BLOCK, 3), (CONV, 3), (OVERHEAD.name, 2)]
            environment = agent.describe().environment
        assert environment["app_runtimes"] == {"executorch": HERE, "onnx": RUNTIME}
        assert environment["runner_runtime"] == runtime
    with open_agent(DEVICE, SETTINGS) as agent:
        (failure,) = agent.install([artifacts[0]])
        assert failure.reason.startswith("not an ExecuTorch program")
    assert both.process.poll() is None


def test_another_version_is_not_mixed_in(both: App) -> None:
    assert both.process.poll() is None
    with pytest.raises(DeviceError, match="one LUT does not mix them") as caught:
        open_iphone(WantedIphone("ios"), SETTINGS, "executorch 1.0.0")
    assert f"pip install {HERE.replace(' ', '==')}," in caught.value.remedy


def test_an_app_without_it_says_how_to_have_it(app: App) -> None:
    assert app.process.poll() is None
    with pytest.raises(DeviceError, match=r"the app has no executorch \(it has: onnx\)") as caught:
        open_agent(DEVICE, SETTINGS)
    assert 'build Xcode\'s target "Lutbench with ExecuTorch"' in caught.value.remedy
