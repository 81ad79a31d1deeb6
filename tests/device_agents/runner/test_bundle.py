"""The bundle's manifest."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lutbench.device_agents.runner.bundle import FOLDER, MANIFEST, Bundle, describe_file, read_bundle, write_manifest
from lutbench.errors import RunnerBuildError


@pytest.fixture
def bundle(tmp_path: Path) -> Bundle:
    for name in ("loader", "runner", "libonnxruntime.so"):
        (tmp_path / name).write_text(name)
    made = Bundle(
        tmp_path,
        "android-arm64",
        "aarch64-linux-gnu",
        "glibc 2.36",
        "0.1.0",
        {"onnx": "onnxruntime 1", "executorch": "executorch 1"},
        {"onnx": [f"{FOLDER}/loader", f"{FOLDER}/runner"], "executorch": [f"{FOLDER}/loader"]},
        {"onnx": "libonnxruntime.so"},
        (
            describe_file(tmp_path / "loader", ["onnx", "executorch"], True),
            describe_file(tmp_path / "runner", ["onnx"], True),
            describe_file(tmp_path / "libonnxruntime.so", ["onnx"], False),
        ),
    )
    write_manifest(made)
    return made


def test_a_manifest_is_read_as_it_was_written(bundle: Bundle) -> None:
    assert read_bundle(bundle.folder) == bundle


def test_what_an_engine_needs_and_how_it_starts(bundle: Bundle) -> None:
    assert [file.name for file in bundle.needed("executorch")] == ["loader"]
    assert bundle.command("onnx", "/data/x y") == ["/data/x y/loader", "/data/x y/runner"]
    assert bundle.library("onnx", "/data") == "/data/libonnxruntime.so"
    assert bundle.library("executorch", "/data") is None
    assert bundle.digest("onnx") != bundle.digest("executorch")
    with pytest.raises(RunnerBuildError, match="no runtime torchscript"):
        bundle.command("torchscript", "/data")


def test_a_file_that_is_damaged_or_missing_is_named(bundle: Bundle) -> None:
    (bundle.folder / "runner").write_text("runneR")
    with pytest.raises(RunnerBuildError, match="runner: missing, or not the file"):
        read_bundle(bundle.folder)
    (bundle.folder / "runner").unlink()
    with pytest.raises(RunnerBuildError, match="runner: missing, or not the file"):
        read_bundle(bundle.folder)


def test_a_file_name_that_leads_elsewhere_is_refused(bundle: Bundle) -> None:
    entry = json.loads((bundle.folder / MANIFEST).read_text())
    entry["files"][0]["name"] = "../loader"
    (bundle.folder / MANIFEST).write_text(json.dumps(entry))
    with pytest.raises(RunnerBuildError, match="not a bundle's manifest"):
        read_bundle(bundle.folder)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=50)
@given(st.data())
def test_no_manifest_ends_in_anything_but_one_line(bundle: Bundle, data: st.DataObject) -> None:
    write_manifest(bundle)
    entry: dict[str, Any] = json.loads((bundle.folder / MANIFEST).read_text())
    values = st.none() | st.integers() | st.text(max_size=3) | st.lists(st.integers(), max_size=2)
    entry[data.draw(st.sampled_from(sorted(entry)))] = data.draw(values)
    (bundle.folder / MANIFEST).write_text(json.dumps(entry))
    try:
        read_bundle(bundle.folder)
    except RunnerBuildError as error:
        assert "\n" not in str(error)


@pytest.mark.parametrize("name", ["9" * 5000, "../runner", "/etc/passwd", "a/b", "..", "", "a\0b", "a b", "a\nb"])
def test_a_name_in_a_manifest_is_no_path(bundle: Bundle, name: str) -> None:
    path = bundle.folder / MANIFEST
    entry = json.loads(path.read_text())
    entry["files"][0]["name"] = name
    path.write_text(json.dumps(entry))
    with pytest.raises(RunnerBuildError, match=r"is no name of a file in a bundle|not a bundle's manifest"):
        read_bundle(bundle.folder)
