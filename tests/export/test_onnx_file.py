"""A user's ONNX files: what is run as it is, what gets its shapes fixed, and what is refused in one line."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

import onnx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper

from lutbench.errors import ExportError
from lutbench.export.cache import ArtifactCache
from lutbench.export.onnx_file import prepare_onnx_file
from tests.onnx_models import convolution, save_model, tokens


@pytest.fixture
def cache(tmp_path: Path) -> ArtifactCache:
    return ArtifactCache(tmp_path / "cache")


def input_shapes(path: Path) -> dict[str, list[int]]:
    graph = onnx.load(path).graph
    return {value.name: [d.dim_value for d in value.type.tensor_type.shape.dim] for value in graph.input}


def test_a_file_with_fixed_shapes_is_used_in_place(tmp_path: Path, cache: ArtifactCache) -> None:
    path = convolution(tmp_path / "a.onnx")
    for shapes in ({}, {"x": (1, 3, 8, 8)}, {"other": (7,)}):
        prepared = prepare_onnx_file(path, shapes, cache)
        assert prepared.artifact.path == path
        assert prepared.artifact.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
        assert prepared.inputs == ("x",)


def test_an_open_batch_is_one(tmp_path: Path, cache: ArtifactCache) -> None:
    for batch in ("N", None, -1):
        path = convolution(tmp_path / "a.onnx", (batch, 3, 8, 8))
        artifact = prepare_onnx_file(path, {}, cache).artifact
        assert artifact.path != path
        assert input_shapes(artifact.path) == {"x": [1, 3, 8, 8]}


def test_a_shape_decides_the_sizes_that_inputs_share(tmp_path: Path, cache: ArtifactCache) -> None:
    path = tokens(tmp_path / "t.onnx")
    artifact = prepare_onnx_file(path, {"mask": (2, 7)}, cache).artifact
    assert input_shapes(artifact.path) == {"ids": [2, 7], "mask": [2, 7]}
    (kept, _) = onnx.load(artifact.path).graph.output
    assert [d.dim_value for d in kept.type.tensor_type.shape.dim] == [2, 7, 2]
    other = prepare_onnx_file(path, {"mask": (2, 9)}, cache).artifact
    assert other.name != artifact.name and other.path != artifact.path


def test_an_input_without_any_shape(tmp_path: Path, cache: ArtifactCache) -> None:
    path = convolution(tmp_path / "a.onnx", None)
    with pytest.raises(ExportError, match=r"input x has no shape; give it, such as --shape x=1,3,224,224"):
        prepare_onnx_file(path, {}, cache)
    artifact = prepare_onnx_file(path, {"x": (1, 3, 5, 5)}, cache).artifact
    assert input_shapes(artifact.path) == {"x": [1, 3, 5, 5]}


def test_weights_beside_a_file_come_along_into_its_copy(tmp_path: Path, cache: ArtifactCache) -> None:
    beside = {"save_as_external_data": True, "location": "weights.bin", "size_threshold": 0}
    path = convolution(tmp_path / "a.onnx", ("N", 3, 8, 8), **beside)
    artifact = prepare_onnx_file(path, {}, cache).artifact
    onnx.checker.check_model(str(artifact.path))
    assert len(onnx.load(artifact.path, load_external_data=False).graph.initializer[0].raw_data) == 4 * 27 * 4
    (tmp_path / "weights.bin").unlink()
    with pytest.raises(ExportError, match=r"weights\.bin"):
        prepare_onnx_file(path, {}, ArtifactCache(tmp_path / "another"))


def _huge(path: Path) -> None:
    size = (TensorProto.FLOAT, [1 << 20, 1 << 20])
    save_model(path, [helper.make_node("Relu", ["x"], ["y"])], {"x": size}, {"y": size})


@pytest.mark.parametrize(
    ("make", "shapes", "problem"),
    [
        (lambda path: path, {}, "no such file"),
        (Path.mkdir, {}, "is a folder, not a model"),
        (lambda path: path.write_bytes(b""), {}, "not an ONNX model"),
        (lambda path: path.write_bytes(b"\x08\xff\xfe junk"), {}, "not an ONNX model"),
        (lambda path: convolution(path, ("N", 3, "H", 8)), {}, r"--shape x=1,3,N,8"),
        (convolution, {"x": (1, 3, 9, 9)}, r"\(1, 3, 8, 8\), which \(1, 3, 9, 9\) does not fit"),
        (convolution, {"x": (1, 3)}, "does not fit"),
        (lambda path: convolution(path, ("N", 3, "H", "H")), {"x": (1, 3, 4, 5)}, "H twice"),
        (tokens, {}, r"--shape (ids|mask)=1,N"),
        (_huge, {}, "more than"),
    ],
)
def test_what_cannot_be_run_says_why(
    make: Callable[[Path], object], shapes: dict[str, tuple[int, ...]], problem: str, tmp_path: Path,
    cache: ArtifactCache,
) -> None:  # fmt: skip
    path = tmp_path / "a.onnx"
    make(path)
    with pytest.raises(ExportError, match=problem) as caught:
        prepare_onnx_file(path, shapes, cache)
    assert "\n" not in str(caught.value)


@given(data=st.binary(max_size=400))
@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_bytes_end_in_anything_but_an_export_error(data: bytes, tmp_path: Path, cache: ArtifactCache) -> None:
    path = tmp_path / "fuzz.onnx"
    path.write_bytes(data)
    with pytest.raises(ExportError):
        prepare_onnx_file(path, {}, cache)


@given(data=st.data())
@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_damage_to_a_model_ends_in_anything_else(data: st.DataObject, tmp_path: Path, cache: ArtifactCache) -> None:
    whole = bytearray(convolution(tmp_path / "whole.onnx", ("N", 3, 8, 8)).read_bytes())
    for _ in range(data.draw(st.integers(1, 4))):
        whole[data.draw(st.integers(0, len(whole) - 1))] = data.draw(st.integers(0, 255))
    path = tmp_path / "fuzz.onnx"
    path.write_bytes(bytes(whole[: data.draw(st.integers(1, len(whole)))]))
    try:
        assert prepare_onnx_file(path, {}, cache).artifact.path.exists()
    except ExportError as error:
        assert error.path == path
