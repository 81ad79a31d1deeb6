"""`lutbench export` from Python: the files compute what the trained net does, and say how they are to be fed."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
import torch

from lutbench.errors import CheckpointError, ExportError, OutputError, UsageError
from lutbench.events import Event, Note
from lutbench.jobs.export import SUMMARY, ExportRequest, deploy
from lutbench.jobs.train import train_net, train_request
from lutbench.nn.workload import empty_net
from lutbench.search.checkpoint import load_weights
from lutbench.search.data.find import find_data
from lutbench.search.data.options import DataOptions
from lutbench.search.hardware import Hardware
from lutbench.space.architecture import Architecture, write_architecture
from lutbench.space.find import find_spaces
from lutbench.space.net import Net, parse_net
from tests.conftest import TINY_TOML, made_once

CANDIDATES = "k3_e1,k5_e2|k5_e2,k3_e2_g2"


def quiet(_event: Event) -> None:
    pass


@pytest.fixture(scope="session")
def trained(run_folder: Path) -> Path:
    """A folder with a trained net: net.json, weights.pt."""
    return made_once(run_folder, "trained", _train)


def _train(folder: Path) -> None:
    (folder / "tiny.toml").write_text(TINY_TOML)
    ((space,), _) = find_spaces(str(folder / "tiny.toml"), (), (1.0,))
    write_architecture(Architecture(parse_net(CANDIDATES, space, "found"), {}, 0, TINY_TOML), folder / "net.json")
    recipe = {"epochs": 3, "batch_size": 16, "learning_rate": 0.05}
    request = train_request(str(folder / "net.json"), folder=folder, resolution=16, classes=4, recipe=recipe)
    assert train_net(request, Hardware(), quiet).result.test.accuracy > 0.7


def request(trained: Path, folder: Path, **changes: object) -> ExportRequest:
    base = ExportRequest(net=str(trained / "net.json"), folder=folder, weights=trained / "weights.pt", test_images=60)
    return replace(base, **changes)  # type: ignore[arg-type]


def test_every_runtime_classifies_as_torch_does(trained: Path, tmp_path: Path) -> None:
    found = deploy(request(trained, tmp_path, runtimes=("onnx", "executorch", "torchscript")), quiet)
    assert [file.path.name for file in found.files] == [
        *("int8.onnx", "fp32.onnx", "int8.pte", "fp32.pte", "int8.pt", "fp32.pt"),
    ]
    assert found.torch_accuracy is not None and found.torch_accuracy > 0.7
    assert (found.test_images, found.calibration_images) == (60, 256)
    for file in found.files:
        assert file.accuracy is not None and file.agreement is not None
        assert file.agreement == 1 if file.dtype == "fp32" else file.agreement > 0.9
        assert abs(file.accuracy - found.torch_accuracy) <= 1 - file.agreement
        assert file.path.read_bytes() == file.exported.data


def test_a_file_can_be_run_from_its_summary_alone(trained: Path, tmp_path: Path) -> None:
    deploy(request(trained, tmp_path), quiet)
    about: dict[str, Any] = json.loads((tmp_path / SUMMARY).read_text())
    int8 = about["files"][0]
    source = find_data("digits", DataOptions(16, 4))
    images, labels = next(source.test_batches(100))
    pixels = images * torch.tensor(about["input"]["std"])[:, None, None]
    pixels += torch.tensor(about["input"]["mean"])[:, None, None]
    assert pixels.min() >= 0 and pixels.max() <= 1.001  # what a camera gives
    given = int8["input"]
    integers = np.clip(np.rint(images.numpy() / given["scale"]) + given["zero_point"], 0, 255).astype(given["dtype"])
    session = onnxruntime.InferenceSession(tmp_path / int8["file"])
    chosen = [int(session.run(None, {"input": one[None]})[0].argmax()) for one in integers]
    assert np.mean(np.array(chosen) == labels.numpy()) == pytest.approx(about["torch_accuracy"], abs=0.1)
    assert about["classes"] == list(source.class_names) and about["input"]["shape"] == [1, 3, 16, 16]


def test_weights_are_those_of_the_training(trained: Path, tmp_path: Path) -> None:
    found = deploy(request(trained, tmp_path, dtypes=("fp32",)), quiet)
    assert isinstance(found.net, Net)
    module = empty_net(found.net)
    module.load_state_dict(load_weights(trained / "checkpoint.pt").state)
    image = torch.randn(1, 3, 16, 16)
    session = onnxruntime.InferenceSession(found.files[0].path)
    (got,) = session.run(None, {"input": image.numpy()})
    with torch.no_grad():
        assert np.allclose(got, module.eval()(image).numpy(), atol=1e-4)


def test_another_resolution_than_the_training_s(trained: Path, tmp_path: Path) -> None:
    found = deploy(request(trained, tmp_path, resolution=32, dtypes=("fp32",)), quiet)
    assert found.net.input_shape == (1, 3, 32, 32) and found.torch_accuracy is not None


def test_random_weights_have_to_be_asked_for_and_are_not_judged(trained: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no weights are given; --weights"):
        deploy(request(trained, tmp_path, weights=None), quiet)
    events: list[Event] = []
    found = deploy(request(trained, tmp_path, weights=None, random_weights=True), events.append)
    assert any(isinstance(event, Note) and event.warning and "random" in event.text for event in events)
    assert found.torch_accuracy is None and all(file.accuracy is None for file in found.files)
    assert found.net.input_shape == (1, 3, 32, 32)


def test_what_is_wrong_is_said(trained: Path, tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"is of net tiny@32x1\.0"):
        deploy(request(trained, tmp_path, net="fbnet_a"), quiet)
    junk = tmp_path / "junk.pt"
    junk.write_bytes(b"PK\x03\x04junk")
    for path, problem in ((junk, "no checkpoint, or a damaged one"), (tmp_path / "none.pt", "there is no checkpoint")):
        with pytest.raises(CheckpointError, match=problem):
            deploy(request(trained, tmp_path, weights=path), quiet)
    with pytest.raises(UsageError, match="no runtime is called 'tflite'"):
        deploy(request(trained, tmp_path, runtimes=("tflite",)), quiet)
    with pytest.raises(OutputError, match="cannot write there"):
        deploy(request(trained, Path("/proc/none")), quiet)


def test_a_second_runtime_s_files_stand_beside_the_first_s(trained: Path, tmp_path: Path) -> None:
    deploy(request(trained, tmp_path), quiet)
    deploy(request(trained, tmp_path, runtimes=("torchscript",), dtypes=("fp32",)), quiet)
    files = {file["file"]: file for file in json.loads((tmp_path / SUMMARY).read_text())["files"]}
    assert list(files) == ["fp32.pt", "int8.onnx", "fp32.onnx"]
    assert files["int8.onnx"]["input"]["scale"] > 0  # without which the file cannot be fed


def test_overwriting_keeps_what_is_listed_of_the_same_net(trained: Path, tmp_path: Path) -> None:
    """The other runtime's file is still there: without its scales in export.json nobody could feed it."""
    deploy(request(trained, tmp_path, dtypes=("fp32",)), quiet)
    deploy(request(trained, tmp_path, runtimes=("torchscript",), dtypes=("fp32",), overwrite=True), quiet)
    assert [file["file"] for file in json.loads((tmp_path / SUMMARY).read_text())["files"]] == ["fp32.pt", "fp32.onnx"]


def test_overwriting_another_net_s_files_leaves_none_of_them_listed(trained: Path, tmp_path: Path) -> None:
    deploy(request(trained, tmp_path, dtypes=("fp32",)), quiet)
    events: list[Event] = []
    changes: dict[str, Any] = {"runtimes": ("torchscript",), "dtypes": ("fp32",), "resolution": 32, "overwrite": True}
    deploy(request(trained, tmp_path, **changes), events.append)
    assert [file["file"] for file in json.loads((tmp_path / SUMMARY).read_text())["files"]] == ["fp32.pt"]
    assert any(isinstance(event, Note) and "was of another export" in event.text for event in events)


@pytest.mark.parametrize("text", ["[]", "junk"])
def test_overwriting_replaces_a_summary_that_is_none(trained: Path, tmp_path: Path, text: str) -> None:
    (tmp_path / SUMMARY).write_text(text)
    deploy(request(trained, tmp_path, dtypes=("fp32",), overwrite=True), quiet)
    assert [file["file"] for file in json.loads((tmp_path / SUMMARY).read_text())["files"]] == ["fp32.onnx"]


def test_a_file_that_was_changed_is_no_longer_listed(trained: Path, tmp_path: Path) -> None:
    deploy(request(trained, tmp_path), quiet)
    (tmp_path / "int8.onnx").write_bytes(b"something else")
    events: list[Event] = []
    deploy(request(trained, tmp_path, dtypes=("fp32",)), events.append)
    assert [file["file"] for file in json.loads((tmp_path / SUMMARY).read_text())["files"]] == ["fp32.onnx"]
    assert any(isinstance(event, Note) and "no longer lists it" in event.text for event in events)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"weights": None, "random_weights": True, "resolution": 16}, "weights was sha256:"),
        ({"resolution": 32}, "shape was [1, 3, 16, 16] and is [1, 3, 32, 32]"),
    ],
)
def test_another_export_s_files_are_not_replaced(
    trained: Path, tmp_path: Path, changes: dict[str, Any], said: str
) -> None:
    deploy(request(trained, tmp_path, dtypes=("fp32",)), quiet)
    before = {path.name: path.read_bytes() for path in tmp_path.glob("[!.]*")}
    with pytest.raises(UsageError, match=r"the folder holds another export's files.*--overwrite") as raised:
        deploy(request(trained, tmp_path, dtypes=("fp32",), **changes), quiet)
    assert said in str(raised.value)
    assert {path.name: path.read_bytes() for path in tmp_path.glob("[!.]*")} == before
    deploy(request(trained, tmp_path, dtypes=("fp32",), overwrite=True, **changes), quiet)
    assert (tmp_path / "fp32.onnx").read_bytes() != before["fp32.onnx"]


def test_files_of_nobody_are_not_replaced(trained: Path, tmp_path: Path) -> None:
    (tmp_path / "fp32.onnx").write_bytes(b"mine")
    with pytest.raises(UsageError, match=r"fp32\.onnx: is there, and no export\.json"):
        deploy(request(trained, tmp_path), quiet)
    assert (tmp_path / "fp32.onnx").read_bytes() == b"mine"


def test_an_export_that_was_killed_goes_on(trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def stop(*_arguments: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("lutbench.jobs.export.summary", stop)
    with pytest.raises(KeyboardInterrupt):
        deploy(request(trained, tmp_path, dtypes=("fp32",)), quiet)
    monkeypatch.undo()
    assert (tmp_path / "fp32.onnx").exists()
    deploy(request(trained, tmp_path, dtypes=("fp32",)), quiet)
    assert len(json.loads((tmp_path / SUMMARY).read_text())["files"]) == 1


@pytest.mark.parametrize("text", ["[]", "{}", '{"files": [{"file": "../x", "sha256": ""}]}', "junk"])
def test_a_summary_that_is_none_is_said(trained: Path, tmp_path: Path, text: str) -> None:
    (tmp_path / SUMMARY).write_text(text)
    with pytest.raises(ExportError, match=r"export\.json"):
        deploy(request(trained, tmp_path), quiet)
