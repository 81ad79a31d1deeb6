"""Blocks that are ONNX files: exported alone and in nets, counted, and what is wrong with them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper

from lutbench.errors import ExportError, LutbenchError, UsageError
from lutbench.export.exporters import find_exporter
from lutbench.export.onnx_export import export_onnx
from lutbench.export.own_code import check_trains
from lutbench.export.own_file import counted_file
from lutbench.nn.modules import build_operator
from lutbench.nn.own_allowed import ALLOWED_VARIABLE
from lutbench.nn.own_file import find_file
from lutbench.space.candidate import parse_candidate
from lutbench.space.macro import Space, Stage
from lutbench.space.net import Net
from lutbench.space.operator import Operator, block_operator, parse_operator
from tests.onnx_models import save_model


def block(path: Path, c_in: int = 8, c_out: int = 8, stride: int = 1, size: int | str = "h", opset: int = 17) -> Path:
    """3x3 convolution with bias and hard-swish; 9 * c_in * c_out + c_out constants."""
    rng = np.random.default_rng(0)
    weight = (rng.standard_normal((c_out, c_in, 3, 3)) * (2 / (9 * c_in)) ** 0.5).astype(np.float32)
    nodes = [
        helper.make_node("Conv", ["x", "w", "b"], ["made"], pads=[1, 1, 1, 1], strides=[stride, stride]),
        helper.make_node("HardSwish", ["made"], ["y"]),
    ]
    given = (TensorProto.FLOAT, ["n", c_in, size, size])
    made = (TensorProto.FLOAT, ["n", c_out, "h_out", "w_out"])
    constants = {"w": weight, "b": rng.standard_normal(c_out).astype(np.float32)}
    return save_model(path, nodes, {"x": given}, {"y": made}, constants, opset=opset)


@pytest.fixture
def blocks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv(ALLOWED_VARIABLE, "blocks/wide,blocks/wide.onnx")
    (tmp_path / "blocks").mkdir()
    return tmp_path / "blocks"


def operator(label: str, c_out: int = 8, stride: int = 1) -> Operator:
    return block_operator(parse_candidate(f"onnx_{label}"), 8, 6, 6, c_out, stride)


@pytest.mark.parametrize("dtype", ["fp32", "int8"])
@pytest.mark.parametrize("batch", [1, 2])
def test_a_file_is_exported_with_its_own_nodes(blocks: Path, dtype: str, batch: int) -> None:
    block(blocks / "wide_8_16_s2.onnx", c_out=16, stride=2, opset=20)
    exported = export_onnx(operator("blocks/wide", 16, 2), dtype, batch=batch)
    model = onnx.load_model_from_string(exported.data)
    kinds = {node.op_type for node in model.graph.node}
    assert exported.check_error < 0.05 and not model.functions and "File" not in " ".join(kinds)
    assert {"Conv"} <= kinds and ("QuantizeLinear" in kinds) == (dtype == "int8")
    assert model.graph.input[0].type.tensor_type.shape.dim[0].dim_value == batch


@pytest.mark.parametrize("dtype", ["fp32", "int8"])
def test_a_net_joins_files_of_several_versions(blocks: Path, dtype: str) -> None:
    block(blocks / "wide_8_8_s1.onnx", opset=14)
    block(blocks / "wide_8_16_s2.onnx", c_out=16, stride=2, opset=20)
    wide, plain = parse_candidate("onnx_blocks/wide"), parse_candidate("k3_e1")
    stages = (Stage(8, 2, 1, (wide, plain)), Stage(16, 1, 2, (wide, plain)))
    space = Space("files", 12, 1.0, 8, 3, 2, stages, (), head_channels=16, classes=4)
    net = Net("net", space, (wide, wide, wide), 16)
    exported = export_onnx(net, dtype)
    graph = onnx.load_model_from_string(exported.data).graph
    assert sum(node.op_type == "Conv" for node in graph.node) == 5  # stem, three files, head
    assert exported.check_error < 0.1
    if dtype == "int8":
        small = [tensor for tensor in graph.initializer if tensor.data_type == TensorProto.INT8]
        assert sum(len(tensor.dims) == 4 for tensor in small) == 5  # each layer has weights of its own
    expected = build_operator(parse_operator("onnx_blocks/wide_8x6x6_8_s1"))(torch.ones(1, 8, 6, 6))
    assert expected.shape == (1, 8, 6, 6) and bool(expected.abs().max() > 0)


def test_a_file_is_found_by_its_shape_and_counted(blocks: Path) -> None:
    op = operator("blocks/wide")
    names = ("wide.onnx", "wide_8_8_s1.onnx", "wide_8x6x6_8_s1.onnx")  # the last one says most
    for name in names:
        block(blocks / name)
        assert find_file(op).name == name
    assert find_file(operator("blocks/wide.onnx")).name == "wide.onnx"
    counted = counted_file(op)
    assert (counted.macs, counted.params) == (9 * 8 * 8 * 36, 9 * 8 * 8 + 8)
    block(blocks / names[-1], opset=20)
    assert counted.is_other(counted_file(op)) and not counted.is_other(counted)


def rewritten(path: Path, *nodes: onnx.NodeProto, inputs: int = 1, kind: int = TensorProto.FLOAT) -> None:
    given = {name: (kind, ["n", 8, 6, 6]) for name in ("x", "z")[:inputs]}
    save_model(path, list(nodes), given, {"y": (kind, ["n", 8, 6, 6])})


def wrong_file(path: Path, problem: str) -> None:
    node = helper.make_node("Relu", ["x"], ["y"])
    match problem:
        case "nothing":
            pass
        case "text":
            path.write_text("no model")
        case "empty":
            path.write_bytes(b"")
        case "channels":
            block(path, c_out=12)
        case "size":
            block(path, size=7)
        case "stride":
            block(path, stride=2)
        case "inputs":
            rewritten(path, helper.make_node("Add", ["x", "z"], ["y"]), inputs=2)
        case "integers":
            rewritten(path, node, kind=TensorProto.INT32)
        case "random":
            rewritten(path, helper.make_node("RandomNormalLike", ["x"], ["y"]))
        case "unknown":
            rewritten(path, helper.make_node("Relu", ["x"], ["y"], domain="com.example"))
        case "apart":
            block(path)
            onnx.save(onnx.load(path), path, save_as_external_data=True, location="weights", size_threshold=0)
            (path.parent / "weights").unlink()


@pytest.mark.parametrize(
    ("problem", "said"),
    [
        ("nothing", "there is no blocks/wide_8x6x6_8_s1.onnx or blocks/wide_8_8_s1.onnx or blocks/wide.onnx"),
        ("text", "not an ONNX model"),
        ("empty", "not an ONNX model"),
        ("channels", "gives (1, 12, 6, 6), but the layer asks for (1, 8, 6, 6)"),
        ("size", "takes ('n', 8, 7, 7), but the layer gives (1, 8, 6, 6)"),
        ("stride", "gives (1, 8, 3, 3), but the layer asks for (1, 8, 6, 6)"),
        ("inputs", "has 2 inputs, and a block has one"),
        ("integers", "its input is a tensor(int32), and a block's a tensor(float)"),
        ("random", "gives something else when it runs again"),
        ("unknown", "ONNX Runtime cannot load it"),
        ("apart", "there is no weights beside it"),
    ],
)
def test_one_line_for_a_file_that_does_not_fit(blocks: Path, problem: str, said: str) -> None:
    wrong_file(blocks / "wide.onnx", problem)
    with pytest.raises(LutbenchError) as caught:
        counted_file(operator("blocks/wide"))
    text = str(caught.value)
    assert said in text and "\n" not in text
    with pytest.raises(LutbenchError):  # an export looks for itself: the file may have changed since
        export_onnx(operator("blocks/wide"), "fp32")


@pytest.mark.parametrize("runtime", ["executorch", "torchscript"])
def test_other_runtimes_say_that_they_do_not_run_it(blocks: Path, runtime: str) -> None:
    block(blocks / "wide.onnx")
    with pytest.raises(ExportError, match=rf"onnx blocks are \.onnx files, which {runtime} does not run"):
        find_exporter(runtime, "fp32").export(operator("blocks/wide"), "fp32")


def test_a_file_is_not_trained(blocks: Path) -> None:
    block(blocks / "wide.onnx")
    with pytest.raises(UsageError, match="weights of a file are constants, so it cannot be trained or searched with"):
        build_operator(operator("blocks/wide")).train()
    stages = (Stage(8, 1, 1, (parse_candidate("onnx_blocks/wide"), parse_candidate("k3_e1"))),)
    with pytest.raises(UsageError, match="onnx_blocks/wide_8x6x6_8_s1: the weights of a file"):
        check_trains(Space("files", 12, 1.0, 8, 3, 2, stages, (), head_channels=16))
