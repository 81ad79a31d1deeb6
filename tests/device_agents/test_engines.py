"""The real ONNX Runtime with inputs and outputs of every number and kind."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from onnx import TensorProto, helper

from lutbench.device_agents.host.buffers import Buffers, random_values, rewriting
from lutbench.device_agents.host.engine import Given, reason_of
from lutbench.device_agents.host.onnx_engine import OnnxEngine
from tests.onnx_models import convolution, save_model, tokens

FLOAT, INT64 = TensorProto.FLOAT, TensorProto.INT64


@pytest.fixture(scope="module")
def engine() -> OnnxEngine:
    return OnnxEngine(1)


def test_several_inputs_and_outputs_of_several_dtypes(engine: OnnxEngine, tmp_path: Path) -> None:
    given = Given({"ids": (1, 6), "mask": (1, 6)}, {}, {"batch": 1, "length": 6})
    loaded = engine.load("t", str(tokens(tmp_path / "t.onnx")), given)
    buffers = loaded.buffers
    assert isinstance(buffers, dict)
    loaded.rewrite_input()
    loaded.invoke()
    ids, mask = buffers[np.int64].input[:6], buffers[np.bool_].input[:6]
    rows = np.arange(10, dtype=np.float32).reshape(5, 2)[ids] * mask[:, None]
    assert buffers[np.float32].output[:12].tolist() == rows.ravel().tolist()
    assert buffers[np.float32].output[64:66].tolist() == rows.sum(0).tolist()


def test_inputs_of_one_dtype_do_not_overlap_and_are_rewritten(engine: OnnxEngine, tmp_path: Path) -> None:
    kinds = {"a": (FLOAT, [3]), "b": (FLOAT, [])}, {"y": (FLOAT, [3])}
    path = save_model(tmp_path / "a.onnx", [helper.make_node("Add", ["a", "b"], ["y"])], *kinds)
    loaded = engine.load("a", str(path))
    buffers = loaded.buffers[np.float32]  # type: ignore[index]
    buffers.input[:128] = 0
    loaded.invoke()
    assert buffers.output[:3].tolist() == [0, 0, 0]
    loaded.rewrite_input()
    loaded.invoke()
    assert buffers.output[:3].tolist() == (buffers.source[:3] + buffers.source[64]).tolist()
    assert not buffers.input[3:64].any()


@pytest.mark.parametrize("dtype", [np.uint8, np.float32, np.int64, np.bool_])
def test_buffers_begin_at_a_page_and_are_rewritten_whole(dtype: type[np.generic]) -> None:
    buffers = Buffers(dtype, 3000)
    for memory in (buffers.source, buffers.input, buffers.output):
        assert memory.ctypes.data % 4096 == 0 and memory.flags.writeable and memory.dtype == dtype
    buffers.input[:] = buffers.output[:] = 0
    both = (buffers.input[:2000], buffers.source[:2000]), (buffers.output[1000:], buffers.source[1000:])
    rewriting(both[:1])()
    assert (buffers.input[:2000] == buffers.source[:2000]).all() and not buffers.input[2000:].any()
    rewriting(both)()
    assert (buffers.output[1000:] == buffers.source[1000:]).all() and not buffers.output[:1000].any()


def test_an_output_whose_shape_only_a_run_tells(engine: OnnxEngine, tmp_path: Path) -> None:
    kinds = {"x": (INT64, [4, 4])}, {"y": (INT64, [2, "n"])}
    path = save_model(tmp_path / "a.onnx", [helper.make_node("NonZero", ["x"], ["y"])], *kinds)
    loaded = engine.load("a", str(path))
    before = dict(engine._buffers)
    loaded.invoke()
    loaded.invoke()
    assert engine._buffers == before  # nothing was bound for it: the runtime made the output


def test_values_that_were_given_reach_the_model(engine: OnnxEngine, tmp_path: Path) -> None:
    kinds = {"x": (INT64, ["n"]), "by": (INT64, [])}, {"y": (INT64, ["n"])}
    path = save_model(tmp_path / "a.onnx", [helper.make_node("Div", ["x", "by"], ["y"])], *kinds)
    np.array([7, 9, 12]).tofile(tmp_path / "x.bin")
    np.array(3).tofile(tmp_path / "by.bin")
    values = {"x": str(tmp_path / "x.bin"), "by": str(tmp_path / "by.bin")}
    loaded = engine.load("a", str(path), Given({"x": (3,), "by": ()}, values, {"n": 3}))
    loaded.rewrite_input()
    loaded.invoke()
    assert loaded.buffers[np.int64].output[:3].tolist() == [2, 3, 4]  # type: ignore[index]


def test_declared_shapes_that_a_run_does_not_give(engine: OnnxEngine, tmp_path: Path) -> None:
    """As graphs are after somebody changed their input: ONNX Runtime runs them, into memory of its own."""
    kinds = {"x": (FLOAT, ["n", 3])}, {"y": (FLOAT, [7, 3])}
    path = save_model(tmp_path / "a.onnx", [helper.make_node("Identity", ["x"], ["y"])], *kinds)
    given = Given({"x": (2, 3)}, {}, {"n": 2})  # told beforehand, the runtime refuses it: 2 is not 7
    loaded = engine.load("a", str(path), given)
    buffers = loaded.buffers
    assert isinstance(buffers, dict)
    buffers[np.float32].output[:21] = 5
    loaded.rewrite_input()
    loaded.invoke()
    assert (buffers[np.float32].output[:21] == 5).all()
    kinds = {"x": (INT64, [4]), "s": (INT64, [2])}, {"y": (INT64, [2, 2])}
    path = save_model(tmp_path / "b.onnx", [helper.make_node("Reshape", ["x", "s"], ["y"])], *kinds)
    np.array([4, 1]).tofile(tmp_path / "s.bin")
    loaded = engine.load("b", str(path), Given({"x": (4,), "s": (2,)}, {"s": str(tmp_path / "s.bin")}, {}))
    buffers = loaded.buffers
    assert isinstance(buffers, dict)
    buffers[np.int64].output[:4] = 5
    loaded.invoke()
    assert (buffers[np.int64].output[:4] == 5).all()


def test_sizes_of_zero(engine: OnnxEngine, tmp_path: Path) -> None:
    kinds = {"past": (FLOAT, [1, "p", 4]), "x": (FLOAT, [1, 1, 4])}, {"y": (FLOAT, [1, "q", 4])}
    path = save_model(tmp_path / "a.onnx", [helper.make_node("Concat", ["past", "x"], ["y"], axis=1)], *kinds)
    loaded = engine.load("a", str(path), Given({"past": (1, 0, 4), "x": (1, 1, 4)}, {}, {"p": 0}))
    buffers = loaded.buffers
    assert isinstance(buffers, dict)
    buffers[np.float32].output[:5] = 5
    loaded.rewrite_input()
    loaded.invoke()
    assert buffers[np.float32].output[:5].tolist() == [*buffers[np.float32].source[:4].tolist(), 5]


@pytest.mark.parametrize(
    ("kind", "shape", "problem"), [(TensorProto.STRING, [2], "tensor\\(string\\)"), (FLOAT, ["n"], "is not fixed")]
)
def test_what_cannot_be_bound(
    kind: int, shape: list[int | str], problem: str, engine: OnnxEngine, tmp_path: Path
) -> None:
    path = tmp_path / "a.onnx"
    save_model(path, [helper.make_node("Identity", ["x"], ["y"])], {"x": (kind, shape)}, {"y": (kind, shape)})
    with pytest.raises(ValueError, match=problem):
        engine.load("a", str(path))


def test_random_values_are_valid_indices_and_masks_and_never_the_same_for_all() -> None:
    for dtype in (np.int32, np.int64, np.uint64, np.bool_):
        assert set(random_values(dtype, 1000).tolist()) == {0, 1}
    assert len(set(random_values(np.uint8, 10_000).tolist())) == 256
    assert random_values(np.int8, 10_000).min() == -128
    for dtype in (np.float16, np.float32, np.float64):
        values = random_values(dtype, 10_000)
        assert values.dtype == dtype and abs(float(values.astype(np.float64).mean())) < 0.05
    assert Buffers(np.int16, 3).input.tolist() == random_values(np.int16, 3).tolist()


@pytest.mark.parametrize(
    ("options", "problem"), [({"ir_version": 99}, "Unsupported model IR version"), ({"opset": 99}, "Opset 99")]
)
def test_a_reason_is_one_line_without_the_runtimes_own_paths(
    options: dict[str, int], problem: str, engine: OnnxEngine, tmp_path: Path
) -> None:
    path = convolution(tmp_path / "a.onnx", **options)
    with pytest.raises(Exception, match=problem) as caught:
        engine.load("a", str(path))
    reason = reason_of(caught.value)  # type: ignore[arg-type]
    assert problem in reason and "onnxruntime_src" not in reason and "\n" not in reason and str(path) not in reason


def test_all_sessions_share_one_pool_of_threads(tmp_path: Path) -> None:
    """In a process of its own, for a pool can be set once.

    Each session had a pool, whose threads went on looking for work while the next session's ran: on two cores the
    halves of what whole nets took differed by 17 to 22 %, and by 2 % with one pool.
    """
    code = (
        "import os, sys\n"
        "import onnxruntime\n"
        "from lutbench.device_agents.host.onnx_engine import OnnxEngine\n"
        "before = len(os.listdir('/proc/self/task'))\n"
        "engine, kept = OnnxEngine(int(sys.argv[2])), []\n"
        "for name in 'abc':\n"
        "    kept.append(engine.load(name, sys.argv[1]))\n"
        "    kept[-1].rewrite_input(); kept[-1].invoke()\n"
        "    print(len(os.listdir('/proc/self/task')) - before)\n"
    )
    path = convolution(tmp_path / "c.onnx")

    def started(threads: int) -> list[int]:
        command = [sys.executable, "-c", code, str(path), str(threads)]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        assert not done.stderr
        return [int(word) for word in done.stdout.split()]

    alone = started(1)
    assert alone == [alone[0]] * 3
    assert started(3) == [alone[0] + 2] * 3
