"""Multiply-accumulates and parameters of an ONNX file, from its own shapes."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

Shape = tuple[int, ...]


@dataclass(frozen=True)
class Counts:
    """macs: of one run, of convolutions and matrix products. params: constants of the model. None: cannot be told."""

    macs: int | None
    params: int | None


def _conv(_given: Shape, weight: Shape, made: Shape) -> int:
    return math.prod(made) * math.prod(weight[1:])


def _conv_transpose(given: Shape, weight: Shape, _made: Shape) -> int:
    return math.prod(given) * math.prod(weight[1:])


# operator -> its two factors' places among its inputs, and its multiply-accumulates from their shapes and the output's
_MACS: dict[str, tuple[int, int, Callable[[Shape, Shape, Shape], int]]] = {
    "Conv": (0, 1, _conv),
    "ConvInteger": (0, 1, _conv),
    "FusedConv": (0, 1, _conv),
    "QLinearConv": (0, 3, _conv),
    "ConvTranspose": (0, 1, _conv_transpose),
    **dict.fromkeys(("MatMul", "MatMulInteger"), (0, 1, lambda given, _weight, made: math.prod(made) * given[-1])),
    "QLinearMatMul": (0, 3, lambda given, _weight, made: math.prod(made) * given[-1]),
    **dict.fromkeys(
        ("Gemm", "FusedGemm"), (0, 1, lambda given, _weight, made: math.prod(made) * math.prod(given) // made[0])
    ),
    "QGemm": (0, 3, lambda given, _weight, made: math.prod(made) * math.prod(given) // made[0]),
}
# operators that multiply in a way this does not count, or hold a graph of their own: better no figure than a wrong one
_UNCOUNTED = {"Einsum", "LSTM", "GRU", "RNN", "Attention", "DeformConv", "If", "Loop", "Scan"}
_DOMAINS = {"", "ai.onnx"}
# scales and zero points stand at these places
_QUANTISATION = {
    "QuantizeLinear": (1, 2),
    "DequantizeLinear": (1, 2),
    "QLinearConv": (1, 2, 4, 5, 6, 7),
    "QLinearMatMul": (1, 2, 4, 5, 6, 7),
    "QGemm": (1, 2, 4, 5, 7, 8),
    "ConvInteger": (2, 3),
    "MatMulInteger": (2, 3),
}


def count_onnx(path: Path) -> Counts:
    """The counts of a model; None for what its file does not tell."""
    import onnx
    from google.protobuf.message import DecodeError  # type: ignore[import-untyped]

    try:
        model = onnx.load(str(path), load_external_data=False)
        model = onnx.shape_inference.infer_shapes(model, data_prop=True)
    except (onnx.shape_inference.InferenceError, DecodeError, RuntimeError, ValueError, OSError):
        # shapes that contradict each other, or more than 2 GiB
        return Counts(None, None)
    return Counts(_macs(model.graph), _params(model.graph))


def _macs(graph: Any) -> int | None:
    shapes = _shapes(graph)
    total = 0
    for node in graph.node:
        if node.op_type in _UNCOUNTED or (node.domain not in _DOMAINS and node.op_type not in _MACS):
            return None
        if node.op_type not in _MACS:
            continue
        given, weight, macs = _MACS[node.op_type]
        if max(given, weight) >= len(node.input) or not node.output:
            return None
        found = [shapes.get(name) for name in (node.input[given], node.input[weight], node.output[0])]
        if not all(found):
            return None
        total += macs(*(shape for shape in found if shape))
    return total


def _shapes(graph: Any) -> dict[str, Shape]:
    """The shapes that are known in full."""
    found = {tensor.name: tuple(tensor.dims) for tensor in graph.initializer}
    for value in (*graph.input, *graph.value_info, *graph.output):
        sizes = tuple(d.dim_value for d in value.type.tensor_type.shape.dim)
        if all(size > 0 for size in sizes):
            found.setdefault(value.name, sizes)
    return found


def _params(graph: Any) -> int:
    """Constants of floats or bytes, and the 32 bit integers of quantised layers' biases; no scales or zero points."""
    from onnx import TensorProto

    scales = {node.input[p] for node in graph.node for p in _QUANTISATION.get(node.op_type, ()) if p < len(node.input)}
    quantised = {name for node in graph.node if node.op_type in _QUANTISATION for name in node.input}
    kinds = {getattr(TensorProto, k) for k in ("FLOAT", "FLOAT16", "BFLOAT16", "DOUBLE", "INT8", "UINT8")}
    return sum(
        math.prod(tensor.dims)
        for tensor in graph.initializer
        if tensor.name not in scales and (tensor.data_type in kinds or tensor.name in quantised)
    )
