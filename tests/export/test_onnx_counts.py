"""Counts of ONNX files against arithmetic that anyone can redo."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper

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
