"""Every space that comes along, from a LUT to files: profiled, predicted, searched, trained, exported.

The device and its artifacts are made up; nets are found, trained and exported as anybody's are, at a small size.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from lutbench.device_agents.fake import FakeAgent
from lutbench.device_agents.registry import Device
from lutbench.events import Event
from lutbench.export.artifact import Artifact
from lutbench.export.pool import Result
from lutbench.jobs import artifacts
from lutbench.jobs.export import ExportRequest, deploy
from lutbench.jobs.profile import ProfileRequest, profile
from lutbench.jobs.search import find_nets, search_request
from lutbench.jobs.train import train_net, train_request
from lutbench.lut.diff import diff
from lutbench.lut.predict import predict
from lutbench.report.page import page
from lutbench.search.hardware import Hardware
from lutbench.space.architecture import read_architecture
from lutbench.space.find import SPACES, find_spaces
from lutbench.space.net import net_of_key
from lutbench.space.sampling import random_nets
from lutbench.space.workload import Workload, workload_name
from tests.conftest import OVERHEAD_NS, operator_ns

WIDTHS = {"fbnetv2": 0.1}  # its channels are few then, and so are its operators
RESOLUTIONS = {"fbnet-cifar": 16}  # its stem does not halve it
DATA = {"data": "shapes:80@32", "classes": 4}


def quiet(_event: Event) -> None:
    pass


@pytest.fixture
def made_up(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Nothing is exported for the device."""

    def exported(workloads: Sequence[Workload], *_rest: Any) -> Iterator[Result]:
        for workload in workloads:
            yield workload, Artifact(workload_name(workload), "onnx", "int8", tmp_path / "x", "", 1, 0.0)

    monkeypatch.setattr(artifacts, "export_all", exported)


@pytest.mark.usefixtures("made_up")
@pytest.mark.parametrize("name", SPACES)
def test_from_a_lut_to_files(name: str, host: Device, tmp_path: Path) -> None:
    sizes = (RESOLUTIONS.get(name, 32),), (WIDTHS.get(name, 0.25),)
    spaces, _ = find_spaces(name, *sizes)
    (space,) = spaces

    def script(artifact: str, _depth: int, _invocation: int) -> int:
        if ":" not in artifact:
            return operator_ns(artifact)
        return OVERHEAD_NS + sum(operator_ns(op.name) - OVERHEAD_NS for op in net_of_key(artifact, spaces).operators)

    request = ProfileRequest(
        device=host, space=name, resolutions=sizes[0], widths=sizes[1], output=tmp_path / "lut.csv"
    )
    lut = profile(request, quiet, lambda *_: FakeAgent(script))
    assert lut.metadata.space.spaces == spaces
    assert {row.operator for row in lut.rows} == {op.name for op in space.operators}
    (net,) = random_nets(space, 1, 0, "drawn")
    took_us = script(net.key, 0, 0) / 1000
    assert predict(lut, net).latency_us == pytest.approx(took_us, rel=0.01)
    assert diff(lut, lut).geomean_ratio == 1
    assert f"{name} at" in page([lut])

    few = {"draws": 2, "rounds": 1, "views": 1, "nets": 1, "threads": 1}
    schedule = {"epochs": 1, "warmup": 0, "batch_size": 15}
    search = search_request(lut, folder=tmp_path / "found", schedule=schedule, **DATA, **few)
    found = find_nets(search, Hardware("cpu"), quiet)
    assert found is not None
    (one,) = found.nets
    assert read_architecture(one.path).net.space.name == name
    recipe = {"epochs": 1, "batch_size": 15}
    train = train_request(str(one.path), folder=tmp_path / "trained", recipe=recipe, **DATA)
    done = train_net(train, Hardware("cpu"), quiet)
    export = ExportRequest(net=str(one.path), folder=tmp_path / "files", weights=done.result.weights, test_images=20)
    files = deploy(export, quiet).files
    assert [file.path.name for file in files] == ["int8.onnx", "fp32.onnx"]
    assert files[1].agreement == 1
