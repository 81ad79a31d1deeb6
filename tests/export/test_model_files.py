"""Users' model files: run as they are, with sizes and values given or said; the rest is refused in one line."""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper

from lutbench.errors import ExportError
from lutbench.export.artifact import Artifact, ModelInput
from lutbench.export.model_files import prepare_model, read_model
from lutbench.export.model_inputs import Choices
from tests.onnx_models import convolution, ort_format, save_model, tokens

BESIDE = {"save_as_external_data": True, "location": "weights.bin", "size_threshold": 0}


@pytest.fixture
def prepare(tmp_path: Path) -> Callable[..., Artifact]:
    def prepared(path: Path, **choices: dict[str, object]) -> Artifact:
        return prepare_model(read_model(path), Choices(**choices), tmp_path / "cache")  # type: ignore[arg-type]

    return prepared


Prepare = Callable[..., Artifact]


def inputs_of(artifact: Artifact) -> dict[str, ModelInput]:
    assert artifact.use is not None
    return {one.name: one for one in artifact.use.inputs}


def test_a_file_is_used_in_place_and_stays_as_it_is(tmp_path: Path, prepare: Prepare) -> None:
    for shape, shapes in (
        ((1, 3, 8, 8), {}),
        ((1, 3, 8, 8), {"x": (1, 3, 8, 8)}),
        (("N", 3, "H", 8), {"x": (2, 3, 5, 8)}),
    ):
        path = convolution(tmp_path / "a.onnx", shape)
        before = path.read_bytes()
        artifact = prepare(path, shapes=shapes)
        assert artifact.path == path and path.read_bytes() == before
        assert artifact.sha256 == hashlib.sha256(before).hexdigest()
        assert inputs_of(artifact)["x"].shape == shapes.get("x", shape)


@pytest.mark.parametrize(
    "batch", ["N", "batch_size", "Batch", None, -1, "?", "unk__61", "p2o.DynamicDimension.0", "s0"]
)
def test_an_open_batch_is_one_and_that_is_said(batch: str | int | None, tmp_path: Path, prepare: Prepare) -> None:
    one = inputs_of(prepare(convolution(tmp_path / "a.onnx", (batch, 3, 8, 8))))["x"]
    assert (one.shape, one.assumed) == ((1, 3, 8, 8), True)


@pytest.mark.parametrize("name", ["num_samples", "T", "sequence_length", "frames", "height"])
def test_an_open_first_size_that_is_no_batch_is_asked_for(name: str, tmp_path: Path, prepare: Prepare) -> None:
    path = convolution(tmp_path / "a.onnx", (name, 3, 8, 8))
    with pytest.raises(ExportError, match=r"--shape x=N,3,8,8"):
        prepare(path)
    assert not inputs_of(prepare(path, shapes={"x": (7, 3, 8, 8)}))["x"].assumed


def test_a_batchs_name_at_another_place_too_is_no_batch(tmp_path: Path, prepare: Prepare) -> None:
    with pytest.raises(ExportError, match=r"input x is \(N, 3, N, N\): open sizes"):
        prepare(convolution(tmp_path / "a.onnx", ("N", 3, "N", "N")))


def test_the_size_that_a_file_calls_its_batch_is_one(tmp_path: Path, prepare: Prepare) -> None:
    path = convolution(tmp_path / "a.onnx", ("images", 3, 8, 8))
    model = onnx.load(path)
    model.graph.input[0].type.tensor_type.shape.dim[0].denotation = "DATA_BATCH"
    onnx.save(model, path)
    assert inputs_of(prepare(path))["x"].shape == (1, 3, 8, 8)


def test_an_open_length_alone_is_no_batch(tmp_path: Path, prepare: Prepare) -> None:
    path = save_model(
        tmp_path / "a.onnx", [helper.make_node("Relu", ["x"], ["y"])], {"x": (1, [None])}, {"y": (1, [None])}
    )
    with pytest.raises(ExportError, match="--shape x=N"):
        prepare(path)


def test_a_shape_decides_the_sizes_that_inputs_share(tmp_path: Path, prepare: Prepare) -> None:
    path = tokens(tmp_path / "t.onnx")
    artifact = prepare(path, shapes={"mask": (2, 7)})
    assert {name: one.shape for name, one in inputs_of(artifact).items()} == {"ids": (2, 7), "mask": (2, 7)}
    assert artifact.use is not None and artifact.use.dimensions == {"batch": 2, "length": 7}
    other = prepare(path, shapes={"mask": (2, 9)})
    assert other.name != artifact.name and other.path == artifact.path


def test_a_name_that_stands_for_two_sizes_is_none(tmp_path: Path, prepare: Prepare) -> None:
    artifact = prepare(convolution(tmp_path / "a.onnx", ("N", 3, "H", "H")), shapes={"x": (1, 3, 4, 5)})
    assert artifact.use is not None and artifact.use.dimensions == {"N": 1}
    artifact = prepare(convolution(tmp_path / "a.onnx", ("?", 3, "?", "?")), shapes={"x": (1, 3, 4, 4)})
    assert artifact.use is not None and artifact.use.dimensions == {}


def test_sizes_of_zero(tmp_path: Path, prepare: Prepare) -> None:
    path = convolution(tmp_path / "a.onnx", (1, 3, 0, 8))
    assert inputs_of(prepare(path))["x"].shape == (1, 3, 0, 8)
    path = tokens(tmp_path / "t.onnx")
    assert inputs_of(prepare(path, shapes={"ids": (1, 0)}))["mask"].shape == (1, 0)


def test_an_input_without_any_shape(tmp_path: Path, prepare: Prepare) -> None:
    path = convolution(tmp_path / "a.onnx", None)
    with pytest.raises(ExportError, match=r"input x has no shape; give it, such as --shape x=1,3,224,224"):
        prepare(path)
    assert inputs_of(prepare(path, shapes={"x": (1, 3, 5, 5)}))["x"].shape == (1, 3, 5, 5)


def test_weights_beside_a_file_belong_to_it(tmp_path: Path, prepare: Prepare) -> None:
    path = convolution(tmp_path / "a.onnx", ("N", 3, 8, 8), **BESIDE)
    artifact = prepare(path)
    assert artifact.use is not None
    (weights,) = artifact.use.companions
    assert (weights.place, weights.path, weights.size_bytes) == ("weights.bin", tmp_path / "weights.bin", 4 * 27 * 4)
    (tmp_path / "weights.bin").write_bytes(bytes(4 * 27 * 4))
    assert prepare(path).name != artifact.name
    (tmp_path / "weights.bin").write_bytes(bytes(7))
    with pytest.raises(ExportError, match=r"cut short: weights\.bin has 7 bytes where 432 are needed"):
        prepare(path)
    (tmp_path / "weights.bin").unlink()
    with pytest.raises(ExportError, match=r"its weights are missing: there is no weights\.bin beside it"):
        prepare(path)
    (tmp_path / "weights.bin").mkdir()
    with pytest.raises(ExportError, match=r"a\.onnx: its weights cannot be read: weights\.bin is a folder"):
        prepare(path)


def test_nothing_is_said_of_values_of_a_type_that_has_none(tmp_path: Path, prepare: Prepare) -> None:
    node = helper.make_node("Identity", ["x"], ["y"])
    kinds = {"x": (TensorProto.STRING, [2])}, {"y": (TensorProto.STRING, [2])}
    assert inputs_of(prepare(save_model(tmp_path / "a.onnx", [node], *kinds)))["x"].said == ""


def at(path: Path, place: str) -> Path:
    """The model with its weights at another place."""
    model = onnx.load(path, load_external_data=False)
    for entry in model.graph.initializer[0].external_data:
        entry.value = place if entry.key == "location" else entry.value
    other = path.with_name("moved.onnx")
    other.write_bytes(model.SerializeToString())
    return other


@pytest.mark.parametrize(
    ("place", "fine"),
    [
        ("weights.bin", True),
        ("sub/w.bin", True),
        ("sub/../weights.bin", True),
        ("../in/weights.bin", True),
        ("link_inside", True),
        ("../out/w.bin", False),
        ("link_outside", False),
        ("none.bin", False),
        ("/dev/zero", False),
        ("", False),
    ],
)
def test_weights_are_looked_for_where_onnx_runtime_does(
    place: str, fine: bool, tmp_path: Path, prepare: Prepare
) -> None:
    inside, outside = tmp_path / "in", tmp_path / "out"
    (inside / "sub").mkdir(parents=True)
    outside.mkdir()
    path = convolution(inside / "a.onnx", **BESIDE)
    for copy in (inside / "sub" / "w.bin", outside / "w.bin"):
        shutil.copy(inside / "weights.bin", copy)
    (inside / "link_inside").symlink_to("weights.bin")
    (inside / "link_outside").symlink_to(outside / "w.bin")
    moved = at(path, place)
    try:
        onnxruntime.InferenceSession(str(moved), providers=["CPUExecutionProvider"])
        runs = True
    except Exception:  # noqa: BLE001 - ONNX Runtime's types are not public
        runs = False
    assert runs == fine
    if fine:
        assert prepare(moved).use is not None
    else:
        with pytest.raises(ExportError, match="its weights are"):
            prepare(moved)


def test_a_cache_of_links_as_model_hubs_lay_it(tmp_path: Path, prepare: Prepare) -> None:
    blobs, snapshot = tmp_path / "blobs", tmp_path / "snapshots" / "abc" / "onnx"
    blobs.mkdir()
    snapshot.mkdir(parents=True)
    convolution(tmp_path / "model.onnx", **BESIDE)
    (tmp_path / "model.onnx").rename(blobs / "1111")
    (tmp_path / "weights.bin").rename(blobs / "2222")
    (snapshot / "model.onnx").symlink_to("../../../blobs/1111")
    (snapshot / "weights.bin").symlink_to("../../../blobs/2222")
    artifact = prepare(snapshot / "model.onnx")
    assert artifact.path == snapshot / "model.onnx"
    onnxruntime.InferenceSession(str(artifact.path), providers=["CPUExecutionProvider"])


def values_in(one: ModelInput) -> list[float]:
    assert one.values is not None
    return list(np.fromfile(one.values, one.dtype).tolist())


def test_a_value_for_an_input_without_dimensions(tmp_path: Path, prepare: Prepare) -> None:
    """A sampling rate, as speech models take it."""
    whole = TensorProto.INT64
    path = save_model(
        tmp_path / "rate.onnx",
        [helper.make_node("Mul", ["x", "sr"], ["y"])],
        {"x": (whole, (1, 3)), "sr": (whole, ())},
        {"y": (whole, (1, 3))},
    )
    np.save(tmp_path / "sr.npy", np.array(16000))
    for choices in ({"values": {"sr": (16000.0,)}}, {"files": {"sr": tmp_path / "sr.npy"}}):
        one = inputs_of(prepare(path, **choices))["sr"]
        assert (values_in(one), one.shape) == ([16000], ())


def test_values_by_number_and_by_file(tmp_path: Path, prepare: Prepare) -> None:
    path = tokens(tmp_path / "t.onnx")
    np.save(tmp_path / "ids.npy", np.array([[3, 1, 4]], np.int32))
    one = inputs_of(prepare(path, files={"ids": tmp_path / "ids.npy"}, values={"mask": (1,)}))
    assert values_in(one["ids"]) == [3, 1, 4] and values_in(one["mask"]) == [1, 1, 1]
    assert (one["ids"].said, one["mask"].said, one["mask"].shape) == ("ids.npy", "1", (1, 3))
    listed = inputs_of(prepare(path, shapes={"ids": (1, 3)}, values={"ids": (4, 0, 2)}))
    assert values_in(listed["ids"]) == [4, 0, 2] and listed["mask"].said == "random 0 or 1"
    assert (
        prepare(path, shapes={"ids": (1, 3)}).name != prepare(path, shapes={"ids": (1, 3)}, values={"ids": (1,)}).name
    )


@pytest.mark.parametrize(
    ("choices", "problem"),
    [
        ({"values": {"ids": (1, 2)}}, "has 2 numbers, its shape \\(1, 3\\) has 3"),
        ({"values": {"ids": (0.5,)}}, "int64, which does not hold"),
        ({"values": {"mask": (2,)}}, "bool, which does not hold"),
        ({"files": {"ids": Path("none.npy")}}, "no such file"),
        ({"files": {"ids": Path(__file__)}}, r"no array in NumPy's \.npy format"),
    ],
)
def test_values_that_do_not_fit(
    choices: dict[str, dict[str, object]], problem: str, tmp_path: Path, prepare: Prepare
) -> None:
    with pytest.raises(ExportError, match=problem):
        prepare(tokens(tmp_path / "t.onnx"), shapes={"ids": (1, 3)}, **choices)


@pytest.mark.timeout(20)  # a pipe would wait for somebody who writes
def test_an_array_that_is_no_file_or_has_no_header_is_one_line(tmp_path: Path, prepare: Prepare) -> None:
    model = tokens(tmp_path / "t.onnx")
    os.mkfifo(tmp_path / "pipe.npy")
    np.save(tmp_path / "cut.npy", np.arange(3))
    data = (tmp_path / "cut.npy").read_bytes()
    (tmp_path / "cut.npy").write_bytes(data.replace(b"'descr': '<i8',", b"'descr': '<i8\\, "))  # a text without its end
    np.save(tmp_path / "huge.npy", np.arange(3))
    (tmp_path / "huge.npy").write_bytes(data.replace(b"(3,), }" + b" " * 14, b"(3000000000000000,), }"[:21]))
    nothing = np.zeros((0, 3), np.int8)
    np.save(tmp_path / "nothing.npy", nothing)
    data = (tmp_path / "nothing.npy").read_bytes()
    (tmp_path / "nothing.npy").write_bytes(data.replace(b"(0, 3), }" + b" " * 18, b"(0, 3000000000000000000), }"))
    with pytest.raises(ExportError, match="more than 268435456 values"):
        prepare(model, files={"ids": tmp_path / "nothing.npy"})
    reasons = {"pipe.npy": "is a pipe", "cut.npy": "no array", "huge.npy": "no array", ".": "is a folder"}
    for name, reason in reasons.items():
        with pytest.raises(ExportError, match=reason):
            prepare(model, files={"ids": tmp_path / name})
    if Path("/dev/zero").exists():
        with pytest.raises(ExportError, match="is a device"):
            prepare(model, files={"ids": Path("/dev/zero")})


@pytest.mark.parametrize("name", [b"weights_of", b"place_of_it", b"operator_x", b"the_graph", b"an_axis"])
def test_a_name_that_is_no_text_is_one_line(name: bytes, tmp_path: Path, prepare: Prepare) -> None:
    """Protobuf gives bytes where it should give text, wherever in the model that is."""
    path = tmp_path / "the_graph.onnx"
    weight = np.ones((4, 4), np.float32)
    node = helper.make_node("MatMul", ["x", "weights_of"], ["place_of_it"], name="operator_x")
    kinds = {"x": (1, ["an_axis", 4])}, {"place_of_it": (1, ["an_axis", 4])}
    data = save_model(path, [node], *kinds, {"weights_of": weight}).read_bytes()
    assert prepare(path, shapes={"x": (1, 4)})
    path.write_bytes(data.replace(name, b"\xff" + name[1:]))
    with pytest.raises(ExportError, match=r"an ONNX model that is damaged: b'.xff.* is no text"):
        prepare(path, shapes={"x": (1, 4)})


def test_an_array_of_objects_is_not_unpickled(tmp_path: Path, prepare: Prepare) -> None:
    np.save(tmp_path / "bad.npy", np.array([{}], object), allow_pickle=True)
    with pytest.raises(ExportError, match="no array"):
        prepare(tokens(tmp_path / "t.onnx"), files={"ids": tmp_path / "bad.npy"})


def test_onnx_runtimes_own_format(tmp_path: Path, prepare: Prepare) -> None:
    whole = tokens(tmp_path / "t.onnx")
    ported = prepare(ort_format(whole), shapes={"ids": (1, 3)})
    assert ported.runtime == "onnx" and ported.use is not None
    expected = prepare(whole, shapes={"ids": (1, 3)})
    assert expected.use is not None
    assert [(i.name, i.dtype, i.shape) for i in ported.use.inputs] == [
        (i.name, i.dtype, i.shape) for i in expected.use.inputs
    ]


def _huge(path: Path) -> None:
    size = (TensorProto.FLOAT, [1 << 20, 1 << 20])
    save_model(path, [helper.make_node("Relu", ["x"], ["y"])], {"x": size}, {"y": size})


@pytest.mark.parametrize(
    ("make", "shapes", "problem"),
    [
        (lambda path: path, {}, "no such file"),
        (Path.mkdir, {}, "is a folder"),
        (lambda path: path.write_bytes(b""), {}, "not an ONNX model"),
        (lambda path: path.write_bytes(b"\x08\xff\xfe junk"), {}, "not an ONNX model"),
        (lambda path: path.write_bytes(b"version https://git-lfs.github.com/spec/v1\noid"), {}, "git lfs pull"),
        (lambda path: convolution(path, ("N", 3, "H", 8)), {}, r"--shape x=1,3,N,8"),
        (convolution, {"x": (1, 3, 9, 9)}, r"\(1, 3, 8, 8\), which \(1, 3, 9, 9\) does not fit"),
        (convolution, {"x": (1, 3)}, "does not fit"),
        (tokens, {}, r"--shape (ids|mask)=1,N"),
        (_huge, {}, "more than"),
    ],
)
def test_what_cannot_be_run_says_why(
    make: Callable[[Path], object], shapes: dict[str, tuple[int, ...]], problem: str, tmp_path: Path, prepare: Prepare
) -> None:
    path = tmp_path / "a.onnx"
    make(path)
    with pytest.raises(ExportError, match=problem) as caught:
        prepare(path, shapes=shapes)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "what", "remedy"),
    [
        ("m.tflite", "TensorFlow Lite", "tf2onnx"),
        ("m.pt", "PyTorch", "torch.onnx.export"),
        ("m.safetensors", "weights without the net", "torch.onnx.export"),
        ("m.mlmodel", "Core ML", "ONNX"),
        ("model.onnx_data", "the weights of an ONNX file", "beside it"),
        ("m.pb", "TensorFlow", "tf2onnx"),
    ],
)
def test_other_formats_say_what_they_are_and_what_would_do(name: str, what: str, remedy: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(b"anything")
    with pytest.raises(ExportError, match=what) as caught:
        read_model(tmp_path / name)
    assert remedy in caught.value.remedy
    with pytest.raises(ExportError, match="no such file"):
        read_model(tmp_path / f"other{name}")


@pytest.mark.parametrize("suffix", [".onnx", ".ort", ".pte"])
@given(data=st.binary(max_size=400))
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_bytes_end_in_anything_but_an_export_error(suffix: str, data: bytes, tmp_path: Path) -> None:
    path = tmp_path / f"fuzz{suffix}"
    path.write_bytes({".ort": b"\x10\0\0\0ORTM", ".pte": b"\x10\0\0\0ET12"}.get(suffix, b"") + data)
    with contextlib.suppress(ExportError):
        read_model(path)
