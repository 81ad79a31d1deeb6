"""Operator or whole net -> ONNX for ONNX Runtime: int8 (QDQ) or fp32.

int8: weights int8 per output channel, activations uint8, graph inputs and outputs uint8, so that no conversion from
float is timed. An operator that stands inside a net reads and writes (N, H, W, C): ONNX Runtime runs quantised
convolutions in that layout and would otherwise wrap each isolated operator in two transposes that a net does not have.
"""

from __future__ import annotations

import tempfile
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
import onnxruntime
import torch
from onnx import TensorProto, helper, numpy_helper
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static
from torch import Tensor

from lutbench.errors import ExportError
from lutbench.export.artifact import Exported
from lutbench.export.check import check_error, relative_error
from lutbench.export.scale import Scale
from lutbench.nn.modules import seed_of
from lutbench.nn.subject import Fitted, build_subject, input_shape
from lutbench.space.operator import Operator
from lutbench.space.subject import Subject, subject_name

OPSET = 17
INPUT, OUTPUT = "input", "output"
NHWC, NCHW = (0, 2, 3, 1), (0, 3, 1, 2)

_Array = npt.NDArray[Any]


def export_onnx(subject: Subject, dtype: str, *, fitted: Fitted | None = None, batch: int = 1) -> Exported:
    """The subject's ONNX file, checked against torch; ExportError where it cannot be made or is wrong.

    batch: of random images; a fitted net's file takes one.
    """
    name = subject_name(subject)
    if isinstance(subject, Operator) and subject.kind == "overhead":
        return Exported(_empty_graph(dtype), 0.0)
    module = fitted.module if fitted else build_subject(subject)
    shape = input_shape(subject, 1 if fitted else batch)
    rng = np.random.default_rng(seed_of(name))
    images = fitted.images.numpy() if fitted else rng.standard_normal(shape, dtype=np.float32)
    sample = images[: shape[0]]
    try:
        model = _to_onnx(module, sample)
        scales, inner_in, inner_out = None, False, False
        if dtype == "int8":
            model = _quantized(_norms_as_convolutions(model), images, len(sample))
            inner_in = isinstance(subject, Operator) and subject.kind != "stem" and len(shape) == 4
            inner_out = isinstance(subject, Operator) and len(subject.output_shape) == 4
            scales = _integer_inputs_outputs(model, inner_in, inner_out)
        data = model.SerializeToString(deterministic=True)
        error = _error_against_torch(data, module, sample, scales, inner_in, inner_out)
    except (RuntimeError, ValueError, onnx.checker.ValidationError) as failure:
        raise ExportError(f"ONNX export failed: {failure}", operator=name) from failure
    check_error(error, subject, dtype, fitted)
    input_scale, output_scale = scales or (None, None)
    return Exported(data, error, input_scale=input_scale, output_scale=output_scale)


def open_onnx(exported: Exported) -> Callable[[Tensor], Tensor]:
    """A net's file in ONNX Runtime: (N, 3, R, R) -> (N, classes), real numbers on both sides."""
    session = _session(exported.data)

    def run(image: Tensor) -> Tensor:
        fed = exported.input_scale.integers(image) if exported.input_scale else image
        (got,) = session.run(None, {INPUT: fed.numpy()})
        found = torch.from_numpy(got)
        return exported.output_scale.real(found) if exported.output_scale else found

    return run


def _empty_graph(dtype: str) -> bytes:
    """A graph that copies one element: what is left is the runtime's own overhead of a call."""
    kind = TensorProto.UINT8 if dtype == "int8" else TensorProto.FLOAT
    graph = helper.make_graph(
        [helper.make_node("Identity", [INPUT], [OUTPUT])],
        "overhead",
        [helper.make_tensor_value_info(INPUT, kind, [1, 1])],
        [helper.make_tensor_value_info(OUTPUT, kind, [1, 1])],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=8)
    return bytes(model.SerializeToString(deterministic=True))


def _to_onnx(module: torch.nn.Module, sample: _Array) -> onnx.ModelProto:
    """torch's TorchScript-based exporter: 10 times faster on a block than the one built on torch.export."""
    with tempfile.TemporaryDirectory(prefix="lutbench-") as folder, warnings.catch_warnings(), torch.no_grad():
        path = Path(folder) / "module.onnx"
        warnings.simplefilter("ignore")
        torch.onnx.export(
            module,
            (torch.from_numpy(sample),),
            path,
            dynamo=False,
            input_names=[INPUT],
            output_names=[OUTPUT],
            opset_version=OPSET,
        )
        return onnx.load(path)


def _norms_as_convolutions(model: onnx.ModelProto) -> onnx.ModelProto:
    """Batch norms that stand alone, as 1x1 depthwise convolutions: ONNX Runtime has those in int8, batch norms not."""
    graph = model.graph
    constants = {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}
    norms = [node for node in graph.node if node.op_type == "BatchNormalization"]
    for node in norms:
        gamma, beta, mean, variance = (constants[name] for name in node.input[1:5])
        epsilon = next((a.f for a in node.attribute if a.name == "epsilon"), 1e-5)
        weight = (gamma / np.sqrt(variance + epsilon)).astype(np.float32)
        names = [f"{node.output[0]}_weight", f"{node.output[0]}_bias"]
        for name, values in zip(names, (weight.reshape(-1, 1, 1, 1), beta - mean * weight), strict=True):
            graph.initializer.append(numpy_helper.from_array(values.astype(np.float32), name))
        inputs = [node.input[0], *names]
        node.CopyFrom(helper.make_node("Conv", inputs, [node.output[0]], name=node.name, group=len(weight)))
    used = {name for node in graph.node for name in node.input}
    for tensor in [tensor for tensor in graph.initializer if norms and tensor.name not in used]:
        graph.initializer.remove(tensor)
    return model


class _Batches(CalibrationDataReader):  # type: ignore[misc]
    """Calibration. One random sample does for latency, which does not depend on the scales, and for the check."""

    def __init__(self, images: _Array, size: int) -> None:
        self._batches = ({INPUT: images[n : n + size]} for n in range(0, len(images), size))

    def get_next(self) -> dict[str, _Array] | None:
        return next(self._batches, None)


def _quantized(model: onnx.ModelProto, images: _Array, batch: int) -> onnx.ModelProto:
    with tempfile.TemporaryDirectory(prefix="lutbench-") as folder:
        path = Path(folder) / "quantized.onnx"
        quantize_static(
            model,
            path,
            _Batches(images, batch),
            quant_format=QuantFormat.QDQ,
            per_channel=True,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
        )
        return onnx.load(path)


def _integer_inputs_outputs(model: onnx.ModelProto, inner_in: bool, inner_out: bool) -> tuple[Scale, Scale]:
    """Takes the first QuantizeLinear and the last DequantizeLinear out of the graph, in place.

    inner_in, inner_out: the input or output is (N, H, W, C), by a transpose that ONNX Runtime cancels against its own.
    """
    graph = model.graph
    first = next((n for n in graph.node if INPUT in n.input and n.op_type == "QuantizeLinear"), None)
    last = next((n for n in graph.node if OUTPUT in n.output and n.op_type == "DequantizeLinear"), None)
    if first is None or last is None or sum(INPUT in n.input for n in graph.node) != 1:
        raise ValueError("the quantizer left the graph's input or output in float")
    constants = {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}
    input_scale, output_scale = (
        Scale(float(constants[node.input[1]]), int(constants[node.input[2]])) for node in (first, last)
    )
    shape_in = [d.dim_value for d in graph.input[0].type.tensor_type.shape.dim]
    shape_out = [d.dim_value for d in graph.output[0].type.tensor_type.shape.dim]
    inner_name, outer_name = first.output[0], last.input[0]
    graph.node.remove(first)
    graph.node.remove(last)
    if inner_in:
        shape_in = [shape_in[axis] for axis in NHWC]
        graph.node.insert(0, helper.make_node("Transpose", [INPUT], [inner_name], perm=NCHW, name="to_nchw"))
    else:
        _rename(graph, inner_name, INPUT)
    if inner_out:
        shape_out = [shape_out[axis] for axis in NHWC]
        graph.node.append(helper.make_node("Transpose", [outer_name], [OUTPUT], perm=NHWC, name="to_nhwc"))
    else:
        _rename(graph, outer_name, OUTPUT)
    graph.input[0].CopyFrom(helper.make_tensor_value_info(INPUT, TensorProto.UINT8, shape_in))
    graph.output[0].CopyFrom(helper.make_tensor_value_info(OUTPUT, TensorProto.UINT8, shape_out))
    return input_scale, output_scale


def _rename(graph: onnx.GraphProto, old: str, new: str) -> None:
    for node in graph.node:
        for names in (node.input, node.output):
            for position, name in enumerate(names):
                if name == old:
                    names[position] = new


def _error_against_torch(
    data: bytes,
    module: torch.nn.Module,
    sample: _Array,
    scales: tuple[Scale, Scale] | None,
    inner_in: bool,
    inner_out: bool,
) -> float:
    """Root mean square difference between the artifact's output and torch's on the same input, over torch's."""
    fed, real = sample, sample
    if scales:
        fed = scales[0].integers(torch.from_numpy(sample)).numpy()
        real = scales[0].real(torch.from_numpy(fed)).numpy()
    with torch.no_grad():
        expected = module(torch.from_numpy(real))
    session = _session(data)
    (got,) = session.run(None, {INPUT: fed.transpose(NHWC) if inner_in else fed})
    got = got.transpose(NCHW) if inner_out else got
    found = torch.from_numpy(np.ascontiguousarray(got))
    return relative_error(scales[1].real(found) if scales else found, expected)


def _session(data: bytes) -> Any:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])
