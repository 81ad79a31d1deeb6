"""Multiply-accumulates and parameters of an ONNX file, from its own shapes."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lutbench.export.onnx_graph import graphs_within

Shape = tuple[int, ...]


@dataclass(frozen=True)
class Counts:
    """Work and size of a model.

    macs: of one run, of convolutions and matrix products.
    params: constants of the model. None: cannot be told.
    """

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
    "MatMulNBits": (0, 1, lambda given, _weight, made: math.prod(made) * given[-1]),
}
# operators that multiply in a way this does not count, or hold a graph of their own: better no figure than a wrong one
_UNCOUNTED = {"Einsum", "LSTM", "GRU", "RNN", "Attention", "DeformConv", "If", "Loop", "Scan"}
_DOMAINS = {"", "ai.onnx"}
# operators of ONNX Runtime's own -> ONNX's that gives the same shape, and which inputs it has; a negative place: every
# third from there on, as QLinearConcat has its tensors between scales and zero points
_ALIKE: dict[str, tuple[str, tuple[int, ...]]] = {
    "QLinearAdd": ("Add", (0, 3)),
    "QLinearMul": ("Mul", (0, 3)),
    "QLinearGlobalAveragePool": ("GlobalAveragePool", (0,)),
    "QLinearAveragePool": ("AveragePool", (0,)),
    "QLinearConcat": ("Concat", (-2,)),
    "QLinearReduceMean": ("ReduceMean", (0,)),
    "QLinearWhere": ("Where", (0, 1, 4)),
    "FusedMatMul": ("MatMul", (0, 1)),
    **dict.fromkeys(
        (
            "QLinearSigmoid", "QLinearLeakyRelu", "QLinearSoftmax", "QuantizeLinear", "DequantizeLinear", "Gelu",
            "FastGelu", "BiasGelu", "QuickGelu", "LayerNormalization", "SimplifiedLayerNormalization", "BiasSoftmax",
        ),
        ("Identity", (0,)),
    ),
}  # fmt: skip
# scales and zero points stand at these places
_QUANTISATION: dict[str, tuple[int, ...]] = {
    "QuantizeLinear": (1, 2),
    "DequantizeLinear": (1, 2),
    "QLinearConv": (1, 2, 4, 5, 6, 7),
    "QLinearMatMul": (1, 2, 4, 5, 6, 7),
    "QGemm": (1, 2, 4, 5, 7, 8),
    "ConvInteger": (2, 3),
    "MatMulInteger": (2, 3),
    **dict.fromkeys(("QLinearAdd", "QLinearMul"), (1, 2, 4, 5, 6, 7)),
    **dict.fromkeys(
        ("QLinearGlobalAveragePool", "QLinearAveragePool", "QLinearSigmoid", "QLinearLeakyRelu", "QLinearSoftmax"),
        (1, 2, 3, 4),
    ),
    "QLinearReduceMean": (1, 2, 3, 4),
    "QLinearWhere": (2, 3, 5, 6, 7, 8),
    "MatMulNBits": (2, 3, 4),
}
_PACKED = {"MatMulNBits", "MatMulBnb4"}  # several weights of one in each byte; K * N of them, by their attributes


def count_onnx(path: Path, shapes: Mapping[str, Shape] | None = None) -> Counts:
    """The counts of a model, its inputs having these shapes where it leaves them open; None: cannot be told."""
    import onnx
    from google.protobuf.message import DecodeError, EncodeError  # type: ignore[import-untyped]

    try:
        model = onnx.load(str(path), load_external_data=False)
    except (DecodeError, RuntimeError, ValueError, OSError):
        return Counts(None, None)
    params = _params(model)
    opened = _fix_shapes(model.graph, shapes or {})
    _spell_out(model.graph)

    def macs() -> int | None:
        try:
            return _macs(onnx.shape_inference.infer_shapes(model, data_prop=True).graph)
        except (onnx.shape_inference.InferenceError, DecodeError, EncodeError, RuntimeError, ValueError):
            return None  # shapes that contradict each other, or more than 2 GiB

    declared = _let_go(model.graph)
    found = macs()
    if found is None and not opened:  # it has operators of which ONNX infers nothing: the file's own word is left
        _take_back(model.graph, declared)
        found = macs()
    return Counts(found, params)


Said = tuple[list[Any], list[Any]]  # what a file says of shapes in between, and of its outputs


def _let_go(graph: Any) -> Said:
    """Takes what the file says of shapes behind its inputs, which may differ from the real ones."""
    declared = [deepcopy(value) for value in graph.value_info], [deepcopy(value) for value in graph.output]
    del graph.value_info[:]
    for value in graph.output:
        value.type.tensor_type.ClearField("shape")
    return declared


def _take_back(graph: Any, declared: Said) -> None:
    graph.value_info.extend(declared[0])
    del graph.output[:]
    graph.output.extend(declared[1])


def _fix_shapes(graph: Any, shapes: Mapping[str, Shape]) -> bool:
    """Gives the inputs their sizes; whether the file had left one open, so that its other shapes are of others."""
    opened = False
    for value in graph.input:
        tensor = value.type.tensor_type
        if value.name not in shapes or tuple(d.dim_value for d in tensor.shape.dim) == shapes[value.name]:
            continue
        opened = True
        del tensor.shape.dim[:]
        for size in shapes[value.name]:
            tensor.shape.dim.add().dim_value = size
    return opened


def _spell_out(graph: Any) -> None:
    """Puts ONNX's own operators in the place of ONNX Runtime's, for shapes alone: ONNX infers none of the others."""
    for node in graph.node:
        if node.domain in _DOMAINS or node.op_type not in _ALIKE:
            continue
        kind, places = _ALIKE[node.op_type]
        if places[0] < 0:
            inputs = list(node.input[-places[0] :: 3])
        else:
            inputs = [node.input[place] for place in places if place < len(node.input)]
        del node.input[:]
        node.input.extend(inputs)
        node.op_type, node.domain = kind, ""


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
        known = [shape for shape in found if shape is not None]
        if len(known) < len(found):
            return None
        total += macs(*known)
    return total


def _shapes(graph: Any) -> dict[str, Shape]:
    """The shapes that are known in full."""
    found = {name: tuple(tensor.dims) for name, tensor in _constants([graph])}
    for value in (*graph.input, *graph.value_info, *graph.output):
        sizes = tuple(d.dim_value for d in value.type.tensor_type.shape.dim)
        if value.type.tensor_type.HasField("shape") and all(size > 0 for size in sizes):
            found.setdefault(value.name, sizes)
    return found


def _constants(graphs: Iterable[Any]) -> Iterator[tuple[str, Any]]:
    """The tensors that stand in a model: initialisers, sparse ones by their values, and Constant nodes."""
    for graph in graphs:
        for tensor in getattr(graph, "initializer", ()):
            yield tensor.name, tensor
        for sparse in getattr(graph, "sparse_initializer", ()):
            yield sparse.values.name, sparse.values
        for node in graph.node:
            for attribute in node.attribute if node.op_type == "Constant" else ():
                if attribute.name == "value" and node.output:
                    yield node.output[0], attribute.t


def _params(model: Any) -> int:
    """Constants of floats, bytes and 16 bit integers, wherever they stand, and the 32 bit integers of quantised layers'
    biases; no scales or zero points."""
    from onnx import TensorProto

    graphs = list(graphs_within(model.graph))
    graphs += [graph for function in model.functions for graph in graphs_within(function)]
    nodes = [node for graph in graphs for node in graph.node]
    scales = {node.input[p] for node in nodes for p in _QUANTISATION.get(node.op_type, ()) if p < len(node.input)}
    for node in nodes:
        if node.op_type == "QLinearConcat":
            tensors = set(node.input[2::3])
            scales |= set(node.input) - tensors
    quantised = {name for node in nodes if node.op_type in _QUANTISATION for name in node.input}
    packed = {node.input[1]: _size(node) for node in nodes if node.op_type in _PACKED and len(node.input) > 1}
    kinds = {getattr(TensorProto, k) for k in ("FLOAT", "FLOAT16", "BFLOAT16", "DOUBLE")}
    kinds |= {getattr(TensorProto, k) for k in ("INT4", "UINT4", "INT8", "UINT8", "INT16", "UINT16")}
    kinds |= {getattr(TensorProto, k) for k in ("FLOAT8E4M3FN", "FLOAT8E4M3FNUZ", "FLOAT8E5M2", "FLOAT8E5M2FNUZ")}
    return sum(
        packed.get(name) or math.prod(tensor.dims)
        for name, tensor in _constants(graphs)
        if name not in scales and (tensor.data_type in kinds or name in quantised)
    )


def _size(node: Any) -> int:
    """A packed product's weights."""
    return math.prod(max(0, attribute.i) for attribute in node.attribute if attribute.name in ("K", "N"))
