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
from onnx import TensorProto, helper
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static
from torch import Tensor

from lutbench.errors import ExportError
from lutbench.export.artifact import Exported
from lutbench.export.check import accuracy_note, check_error, relative_error
from lutbench.export.onnx_graph import initialisers_of_their_own
from lutbench.export.onnx_integers import INPUT, NCHW, NHWC, OUTPUT, integer_inputs_outputs
from lutbench.export.onnx_norms import norms_as_convolutions
from lutbench.export.own_file import put_files_in
from lutbench.export.quantisation import Quantisation
from lutbench.nn.parts import seed_of
from lutbench.nn.workload import Fitted, build_workload, input_shape
from lutbench.space.operator import Operator
from lutbench.space.workload import Workload, workload_name

OPSET = 17

_Array = npt.NDArray[Any]

_MOST_BYTES = 2 << 30  # protobuf's


def export_onnx(workload: Workload, dtype: str, *, fitted: Fitted | None = None, batch: int = 1) -> Exported:
    """The workload's ONNX file, checked against torch; ExportError where it cannot be made or is wrong.

    batch: of random images; a fitted net's file takes one.
    """
    name = workload_name(workload)
    if isinstance(workload, Operator) and workload.kind == "overhead":
        return Exported(_empty_graph(dtype), 0.0)
    module = fitted.module if fitted else build_workload(workload)
    shape = input_shape(workload, 1 if fitted else batch)
    rng = np.random.default_rng(seed_of(name))
    images = fitted.images.numpy() if fitted else rng.standard_normal(shape, dtype=np.float32)
    sample = images[: shape[0]]
    _check_size(module, name)
    try:
        model = put_files_in(_to_onnx(module, sample), module)
        quantisations, inner_in, inner_out, notes = None, False, False, []
        if dtype == "int8":
            left = norms_as_convolutions(model)
            notes = [f"{name}: {left} batch norms that stand alone stay in float"] if left else []
            model = _quantized(model, images, len(sample))
            inner_in = isinstance(workload, Operator) and workload.kind != "stem" and len(shape) == 4
            inner_out = isinstance(workload, Operator) and len(workload.output_shape) == 4
            quantisations = integer_inputs_outputs(model, inner_in, inner_out, sample, lambda real: _run(real, sample))
        data = model.SerializeToString(deterministic=True)
        error = _error_against_torch(data, module, sample, quantisations, inner_in, inner_out)
    except (RuntimeError, ValueError, onnx.checker.ValidationError) as failure:
        raise ExportError(f"ONNX export failed: {failure}", operator=name) from failure
    check_error(error, workload, dtype, fitted)
    input_quantisation, output_quantisation = quantisations or (None, None)
    notes += accuracy_note(error, workload, dtype)
    return Exported(
        data, error, notes=tuple(notes), input_quantisation=input_quantisation, output_quantisation=output_quantisation
    )


def open_onnx(exported: Exported) -> Callable[[Tensor], Tensor]:
    """A net's file in ONNX Runtime: (N, 3, R, R) -> (N, classes), real numbers on both sides."""
    session = _session(exported.data)

    def run(image: Tensor) -> Tensor:
        fed = exported.input_quantisation.integers(image) if exported.input_quantisation else image
        (got,) = session.run(None, {INPUT: fed.numpy()})
        found = torch.from_numpy(got)
        return exported.output_quantisation.real(found) if exported.output_quantisation else found

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


def _check_size(module: torch.nn.Module, name: str) -> None:
    """ExportError for weights that no single ONNX file holds; known before minutes of work on them."""
    size = sum(tensor.nbytes for tensor in (*module.parameters(), *module.buffers()))
    if size > _MOST_BYTES:
        raise ExportError(
            f"its weights are {size / (1 << 30):.1f} GiB, and one ONNX file holds 2",
            operator=name,
            remedy="export it with torch.onnx.export to a file, which puts them beside it, and give that file",
        )


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
        model = onnx.load(path)
    initialisers_of_their_own(model.graph)
    return model


class _Batches(CalibrationDataReader):  # type: ignore[misc]
    """Calibration. One random sample does for latency, which does not depend on the quantisation, and for the check."""

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


def _error_against_torch(
    data: bytes,
    module: torch.nn.Module,
    sample: _Array,
    quantisations: tuple[Quantisation, Quantisation] | None,
    inner_in: bool,
    inner_out: bool,
) -> float:
    """Root mean square difference between the artifact's output and torch's on the same input, over torch's."""
    fed, real = sample, sample
    if quantisations:
        fed = quantisations[0].integers(torch.from_numpy(sample)).numpy()
        real = quantisations[0].real(torch.from_numpy(fed)).numpy()
    with torch.no_grad():
        expected = module(torch.from_numpy(real))
    session = _session(data)
    (got,) = session.run(None, {INPUT: fed.transpose(NHWC) if inner_in else fed})
    got = got.transpose(NCHW) if inner_out else got
    found = torch.from_numpy(np.ascontiguousarray(got))
    return relative_error(quantisations[1].real(found) if quantisations else found, expected)


def _run(model: onnx.ModelProto, sample: _Array) -> _Array:
    """What a model with its input and output in float gives."""
    (got,) = _session(model.SerializeToString()).run(None, {INPUT: sample})
    return np.asarray(got)


def _session(data: bytes) -> Any:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])
