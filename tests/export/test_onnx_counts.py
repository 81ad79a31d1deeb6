"""Counts of ONNX files against arithmetic that anyone can redo."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static

from lutbench.export.onnx_counts import Counts, count_onnx
from lutbench.export.onnx_export import export_onnx
from lutbench.space.fbnet import fbnet
from lutbench.space.operator import parse_operator
from lutbench.space.zoo import find_whole_net
from tests.onnx_models import convolution, save_model, tokens

FLOAT = TensorProto.FLOAT


def test_a_convolution(tmp_path: Path) -> None:
    assert count_onnx(convolution(tmp_path / "a.onnx")) == Counts(8 * 8 * 4 * 27, 4 * 27)


def test_an_open_shape_leaves_the_products_untold(tmp_path: Path) -> None:
    assert count_onnx(convolution(tmp_path / "a.onnx", (1, 3, "H", "W"))) == Counts(None, 4 * 27)


def test_a_declared_output_that_differs_from_the_real_one_is_not_counted_with(tmp_path: Path) -> None:
    node = helper.make_node("Conv", ["x", "w"], ["y"], pads=[1, 1, 1, 1])
    kinds = {"x": (FLOAT, [1, 3, 8, 8])}, {"y": (FLOAT, [1, 99, 7, 7])}
    path = save_model(tmp_path / "a.onnx", [node], *kinds, {"w": np.ones((4, 3, 3, 3), np.float32)})
    assert count_onnx(path) == Counts(8 * 8 * 4 * 27, 4 * 27)


def test_weights_of_four_bits_packed_in_bytes(tmp_path: Path) -> None:
    """The file's own declaration says what the product gives, for ONNX infers nothing of ONNX Runtime's operators."""
    options = {"K": 64, "N": 16, "bits": 4, "block_size": 32}
    node = helper.make_node("MatMulNBits", ["x", "w", "s", "z"], ["y"], domain="com.microsoft", **options)
    kinds = {"x": (FLOAT, [5, 64])}, {"y": (FLOAT, [5, 16])}
    constants = {"w": np.ones((16, 2, 16), np.uint8), "s": np.ones(32, np.float32), "z": np.ones((16, 1), np.uint8)}
    path = save_model(tmp_path / "a.onnx", [node], *kinds, constants, domains={"com.microsoft": 1})
    assert count_onnx(path) == Counts(5 * 64 * 16, 64 * 16)


@pytest.mark.parametrize(
    ("kind", "left", "weight", "made", "macs"),
    [
        ("MatMul", [2, 5, 7], (7, 3), [2, 5, 3], 2 * 5 * 7 * 3),
        ("Gemm", [5, 7], (7, 3), [5, 3], 5 * 7 * 3),
        ("ConvTranspose", [1, 4, 5, 5], (4, 2, 3, 3), None, 4 * 5 * 5 * 2 * 9),
        ("Add", [5, 7], (5, 7), [5, 7], 0),
    ],
)
def test_products(
    kind: str, left: list[int], weight: tuple[int, ...], made: list[int] | None, macs: int, tmp_path: Path
) -> None:
    node = helper.make_node(kind, ["x", "w"], ["y"])
    path = tmp_path / "a.onnx"
    save_model(path, [node], {"x": (FLOAT, left)}, {"y": (FLOAT, made)}, {"w": np.ones(weight, np.float32)})
    assert count_onnx(path) == Counts(macs, int(np.prod(weight)))


def test_what_is_not_counted_gives_no_figure(tmp_path: Path) -> None:
    node = helper.make_node("Einsum", ["x", "w"], ["y"], equation="ij,jk->ik")
    kinds = {"x": (FLOAT, [5, 7])}, {"y": (FLOAT, [5, 3])}
    path = save_model(tmp_path / "a.onnx", [node], *kinds, {"w": np.ones((7, 3), np.float32)})
    assert count_onnx(path) == Counts(None, 21)


@given(data=st.data())
@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_damaged_file_is_counted_or_not(data: st.DataObject, tmp_path: Path) -> None:
    whole = bytearray(tokens(tmp_path / "whole.onnx").read_bytes())
    for _ in range(data.draw(st.integers(1, 4))):
        whole[data.draw(st.integers(0, len(whole) - 1))] = data.draw(st.integers(0, 255))
    path = tmp_path / "fuzz.onnx"
    path.write_bytes(bytes(whole))
    counts = count_onnx(path)
    assert (counts.macs or 0) >= 0 and (counts.params or 0) >= 0


def test_integers_that_say_how_are_no_parameters(tmp_path: Path) -> None:
    assert count_onnx(tokens(tmp_path / "a.onnx")) == Counts(0, 10)


@pytest.mark.parametrize("name", ["ir_k3_e6_g1_16x8x8_16_s1", "fc_32_10"])
@pytest.mark.parametrize("dtype", ["int8", "fp32"])
def test_exported_operators_count_as_they_say(name: str, dtype: str, tmp_path: Path) -> None:
    operator = parse_operator(name)
    path = tmp_path / "a.onnx"
    path.write_bytes(export_onnx(operator, dtype).data)
    assert count_onnx(path).macs == operator.macs


def test_a_whole_net_in_int8(tmp_path: Path) -> None:
    model = find_whole_net("mobilenet_v2@32x0.35", (fbnet(32, 1.0),))
    path = tmp_path / "a.onnx"
    path.write_bytes(export_onnx(model, "int8").data)
    counts = count_onnx(path)
    assert counts.macs == model.macs
    biases = 17056 * 0.25  # a file has a bias for each batch norm
    assert counts.params is not None and model.params < counts.params < model.params + 2 * biases


def test_constants_in_nodes_and_in_branches_are_counted(tmp_path: Path) -> None:
    weight = np.ones((4, 3, 3, 3), np.float32)
    made = helper.make_node("Constant", [], ["w"], value=numpy_helper.from_array(weight))
    conv = helper.make_node("Conv", ["x", "w"], ["y"], pads=[1, 1, 1, 1])
    kinds = {"x": (FLOAT, [1, 3, 8, 8])}, {"y": (FLOAT, [1, 4, 8, 8])}
    assert count_onnx(save_model(tmp_path / "a.onnx", [made, conv], *kinds)) == Counts(8 * 8 * 4 * 27, 4 * 27)
    branches = {
        name: helper.make_graph([made, conv], name, [], [helper.make_tensor_value_info("y", FLOAT, [1, 4, 8, 8])])
        for name in ("then_branch", "else_branch")
    }
    node = helper.make_node("If", ["c"], ["out"], **branches)
    path = save_model(
        tmp_path / "b.onnx", [node], kinds[0] | {"c": (TensorProto.BOOL, [])}, {"out": (FLOAT, [1, 4, 8, 8])}
    )
    assert count_onnx(path) == Counts(None, 2 * 4 * 27)


class _Random(CalibrationDataReader):  # type: ignore[misc]
    def __init__(self) -> None:
        rng = np.random.default_rng(0)
        self._left = [{"x": rng.standard_normal((1, 3, 8, 8)).astype(np.float32)}]

    def get_next(self) -> dict[str, np.ndarray] | None:
        return self._left.pop() if self._left else None


@pytest.mark.parametrize(
    ("form", "kind"),
    [
        (QuantFormat.QOperator, QuantType.QUInt8),
        (QuantFormat.QDQ, QuantType.QUInt8),
        (QuantFormat.QDQ, QuantType.QInt16),
    ],
)
def test_quantised_graphs_count_as_the_float_one(form: QuantFormat, kind: QuantType, tmp_path: Path) -> None:
    """Operators of ONNX Runtime's own, QLinearAdd and QLinearGlobalAveragePool, stand between the products."""
    rng = np.random.default_rng(0)
    nodes = [
        helper.make_node("Conv", ["x", "a", "bias"], ["one"], pads=[1, 1, 1, 1]),
        helper.make_node("Conv", ["one", "b"], ["two"], pads=[1, 1, 1, 1]),
        helper.make_node("Add", ["one", "two"], ["sum"]),
        helper.make_node("GlobalAveragePool", ["sum"], ["pooled"]),
        helper.make_node("Flatten", ["pooled"], ["flat"]),
        helper.make_node("MatMul", ["flat", "m"], ["y"]),
    ]
    sizes = {"a": (4, 3, 3, 3), "bias": (4,), "b": (4, 4, 3, 3), "m": (4, 5)}
    constants = {name: rng.standard_normal(size).astype(np.float32) for name, size in sizes.items()}
    kinds = {"x": (FLOAT, [1, 3, 8, 8])}, {"y": (FLOAT, [1, 5])}
    path = save_model(tmp_path / "float.onnx", nodes, *kinds, constants)
    macs, params = 64 * 4 * 27 + 64 * 4 * 36 + 20, 4 * 27 + 4 + 4 * 36 + 20
    assert count_onnx(path) == Counts(macs, params)
    made = tmp_path / "quantised.onnx"
    weights = QuantType.QInt8
    quantize_static(path, made, _Random(), quant_format=form, activation_type=kind, weight_type=weights)
    assert count_onnx(made) == Counts(macs, params)


def test_the_sizes_it_was_timed_with_count(tmp_path: Path) -> None:
    path = convolution(tmp_path / "a.onnx", (1, 3, "H", "W"))
    assert count_onnx(path, {"x": (1, 3, 10, 8)}) == Counts(10 * 8 * 4 * 27, 4 * 27)
