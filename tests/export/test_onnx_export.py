from __future__ import annotations

import subprocess
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
import pytest
import torch

from lutbench.errors import ExportError
from lutbench.export import check, onnx_export
from lutbench.export.onnx_export import export_onnx
from lutbench.space.fbnet import fbnet
from lutbench.space.graph import GraphBuilder, Model
from lutbench.space.macro import Space
from lutbench.space.operator import OVERHEAD, parse_operator
from lutbench.space.sampling import random_nets
from lutbench.space.zoo import find_whole_net
from tests.export.small import NAMES


def optimised(data: bytes, tmp_path: Path) -> Counter[str]:
    """Operator types that ONNX Runtime really runs."""
    options = ort.SessionOptions()
    options.log_severity_level = 3
    options.optimized_model_filepath = str(tmp_path / "optimised.onnx")
    ort.InferenceSession(data, options, providers=["CPUExecutionProvider"])
    return Counter(node.op_type for node in onnx.load(tmp_path / "optimised.onnx").graph.node)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("dtype", ["int8", "fp32"])
def test_artifacts_compute_what_torch_computes(name: str, dtype: str) -> None:
    exported = export_onnx(parse_operator(name), dtype)
    assert exported.check_error <= check.MAX_ERROR[dtype]
    session = ort.InferenceSession(exported.data, providers=["CPUExecutionProvider"])
    expected = {"int8": "tensor(uint8)", "fp32": "tensor(float)"}[dtype]
    assert [given.type for given in (*session.get_inputs(), *session.get_outputs())] == [expected] * 2


@pytest.mark.parametrize("name", NAMES)
def test_int8_runs_without_conversions_and_transposes_of_its_own(name: str, tmp_path: Path) -> None:
    kinds = optimised(export_onnx(parse_operator(name), "int8").data, tmp_path)
    assert not kinds["QuantizeLinear"] and not kinds["DequantizeLinear"]
    shuffle = 2 if "_g2_" in name else 0
    edge = (
        1 if name.startswith(("stem", "pool")) else 0
    )  # a whole net has these two as well: after its input, before its pool
    assert kinds["Transpose"] <= shuffle + edge
    if "ir_" in name:
        assert kinds["QLinearConv"] == 3


def test_weights_are_per_channel_int8_and_activations_uint8() -> None:
    model = onnx.load_from_string(export_onnx(parse_operator(NAMES[1]), "int8").data)
    constants = {tensor.name: onnx.numpy_helper.to_array(tensor) for tensor in model.graph.initializer}
    weights = [node for node in model.graph.node if node.op_type == "DequantizeLinear" and node.input[0] in constants]
    kernels = [node for node in weights if constants[node.input[0]].ndim == 4]
    assert len(kernels) == 3
    for node in kernels:
        values, scales = constants[node.input[0]], constants[node.input[1]]
        assert values.dtype == np.int8 and scales.shape == (values.shape[0],)
    zero_points = [
        constants[node.input[2]]
        for node in model.graph.node
        if node.op_type == "QuantizeLinear" and len(node.input) > 2
    ]
    assert zero_points and all(point.dtype == np.uint8 for point in zero_points)


def test_the_same_operator_gives_the_same_bytes_in_any_process() -> None:
    code = (
        "import hashlib; from lutbench.export.onnx_export import export_onnx;"
        "from lutbench.space.operator import parse_operator;"
        f"print(hashlib.sha256(export_onnx(parse_operator({NAMES[1]!r}), 'int8').data).hexdigest())"
    )
    digests = {
        subprocess.run([sys.executable, "-W", "ignore", "-c", code], capture_output=True, text=True, check=True).stdout
        for _ in range(2)
    }
    assert len(digests) == 1


def test_a_whole_net(tiny: Space, tmp_path: Path) -> None:
    (net,) = random_nets(tiny, 1, 0, "test")
    exported = export_onnx(net, "int8")
    assert exported.check_error <= check.MAX_NET_ERROR["int8"]
    session = ort.InferenceSession(exported.data, providers=["CPUExecutionProvider"])
    assert session.get_inputs()[0].shape == [1, 3, 32, 32]
    assert session.get_outputs()[0].shape == [1, 10]
    kinds = optimised(exported.data, tmp_path)
    assert not kinds["QuantizeLinear"] and not kinds["DequantizeLinear"]


def test_the_empty_graph_is_one_node() -> None:
    model = onnx.load_from_string(export_onnx(OVERHEAD, "int8").data)
    assert [node.op_type for node in model.graph.node] == ["Identity"]


def test_an_artifact_that_computes_something_else_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    other = torch.nn.Sequential(torch.nn.Conv2d(16, 16, 1), torch.nn.ReLU())

    def exported_as_another(module: torch.nn.Module, sample: np.ndarray) -> onnx.ModelProto:
        del module
        return original(other, sample)

    original = onnx_export._to_onnx
    monkeypatch.setattr(onnx_export, "_to_onnx", exported_as_another)
    with pytest.raises(ExportError, match="off torch's output"):
        export_onnx(parse_operator(NAMES[1]), "int8")


FLOAT_CONVERSIONS = ("QuantizeLinear", "DequantizeLinear")


@pytest.mark.parametrize("name", ["mobilenet_v2@32x0.35", "mnasnet@32x0.35", "shufflenet_v2@32x0.5"])
def test_a_published_model_runs_in_int8_from_end_to_end(name: str, tmp_path: Path) -> None:
    model = find_whole_net(name, (fbnet(32, 1.0),))
    exported = export_onnx(model, "int8")
    session = ort.InferenceSession(exported.data, providers=["CPUExecutionProvider"])
    assert [given.type for given in (*session.get_inputs(), *session.get_outputs())] == ["tensor(uint8)"] * 2
    kinds = optimised(exported.data, tmp_path)
    assert not [kind for kind in FLOAT_CONVERSIONS if kinds[kind]]
    assert isinstance(model, Model)
    assert kinds["QLinearConv"] == sum(node.kind == "conv" for node in model.graph.nodes)
    assert not kinds["Conv"]


@pytest.mark.parametrize("name", ["mobilenet_v2@32x0.35", "shufflenet_v2@32x0.5"])
def test_a_published_model_in_fp32(name: str) -> None:
    assert export_onnx(find_whole_net(name, (fbnet(32, 1.0),)), "fp32").check_error < 1e-5


SMALLEST = (
    "efficientnet_lite0",
    "mobilenet_v4_conv_s",
    "mobilenet_v4_hybrid_m",
    "mobileone_s0",
    "repvit_m0_9",
    "ghostnet",
)


@pytest.mark.slow
def test_the_smallest_published_net_of_each_newer_family_in_fp32() -> None:
    for name in SMALLEST:
        assert export_onnx(find_whole_net(f"{name}@32", ()), "fp32").check_error < 1e-5, name


def every_layer() -> Model:
    """Squeeze-and-excitation with hsigmoid and sigmoid gates, swish, a batch norm that stands alone, every pool."""
    net = GraphBuilder(3, 32, 32)
    first = net.conv(0, 16, 3, 2, activation="hswish")
    gate = net.conv(net.global_pool(first), 8, norm=False, bias=True, activation="relu")
    gated = net.mul(first, net.conv(gate, 16, norm=False, bias=True, activation="hsigmoid"))
    swish = net.depthwise(net.add(first, gated), 3, 1, "swish")
    gate = net.conv(net.global_pool(swish), 16, norm=False, bias=True, activation="sigmoid")
    joined = net.norm(net.concat([net.mul(swish, gate), net.conv(swish, 16, activation="relu6")]), "relu")
    shuffled = net.shuffle(joined, 2)
    halves = net.concat([net.slice(shuffled, 0, 16), net.conv(net.slice(shuffled, 16, 16), 16)])
    net.fc(net.global_pool(net.pool("max_pool", net.pool("avg_pool", halves, 2, 2), 3, 2)), 10)
    return Model("every_layer", 32, 1.0, net.graph())


@pytest.mark.parametrize("dtype", ["int8", "fp32"])
def test_every_kind_of_layer_computes_what_torch_computes(dtype: str) -> None:
    assert export_onnx(every_layer(), dtype).check_error <= check.MAX_ERROR[dtype]


def test_what_runs_in_float_is_hswish_and_hsigmoid_alone(tmp_path: Path) -> None:
    """ONNX Runtime has no int8 kernel for these two: one hswish and one hsigmoid, each between two conversions."""
    kinds = optimised(export_onnx(every_layer(), "int8").data, tmp_path)
    assert kinds["HardSigmoid"] == 2 and kinds["Mul"] == 1
    assert kinds["DequantizeLinear"] == kinds["QuantizeLinear"] == 2
    for name in ("BatchNormalization", "Conv", "Sigmoid", "Concat", "Add", "AveragePool", "Gemm", "Relu", "Clip"):
        assert not kinds[name], name


def test_weights_beyond_one_files_limit_are_known_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(onnx_export, "_MOST_BYTES", 10_000)
    monkeypatch.setattr(onnx_export, "_to_onnx", None)
    with pytest.raises(ExportError, match=r"its weights are 0\.0 GiB, and one ONNX file holds 2; export it with torch"):
        export_onnx(parse_operator("fc_1504_1000"), "fp32")
