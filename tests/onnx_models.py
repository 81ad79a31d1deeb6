"""Small ONNX files for tests, made by hand."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, helper, numpy_helper

Tensors = dict[str, tuple[int, Sequence[int | str | None] | None]]  # name -> ONNX's element type, shape


def save_model(
    path: Path,
    nodes: Sequence[onnx.NodeProto],
    inputs: Tensors,
    outputs: Tensors,
    constants: dict[str, npt.NDArray[Any]] | None = None,
    **options: Any,
) -> Path:
    """options: opset, ir_version, domains (name -> version), and those of onnx.save."""
    opsets = {"": options.pop("opset", 17), **options.pop("domains", {})}
    graph = helper.make_graph(
        list(nodes),
        path.stem,
        [helper.make_tensor_value_info(name, *kind) for name, kind in inputs.items()],
        [helper.make_tensor_value_info(name, *kind) for name, kind in outputs.items()],
        [numpy_helper.from_array(values, name) for name, values in (constants or {}).items()],
    )
    imports = [helper.make_opsetid(domain, number) for domain, number in opsets.items()]
    model = helper.make_model(graph, opset_imports=imports, ir_version=options.pop("ir_version", 8))
    onnx.save(model, path, **options)
    return path


def convolution(path: Path, shape: Sequence[int | str | None] | None = (1, 3, 8, 8), **options: Any) -> Path:
    """3x3, 3 to 4 channels, padded: 3 * 9 * 4 parameters."""
    weight = np.random.default_rng(0).standard_normal((4, 3, 3, 3)).astype(np.float32)
    node = helper.make_node("Conv", ["x", "w"], ["y"], pads=[1, 1, 1, 1])
    made = None if shape is None else [shape[0], 4, *shape[2:]]
    kinds: tuple[Tensors, Tensors] = {"x": (TensorProto.FLOAT, shape)}, {"y": (TensorProto.FLOAT, made)}
    return save_model(path, [node], *kinds, {"w": weight}, **options)


def tokens(path: Path) -> Path:
    """Embedding of ids, masked: int64 and bool inputs of (batch, length), two float outputs, 5 * 2 parameters."""
    nodes = [
        helper.make_node("Gather", ["table", "ids"], ["rows"]),
        helper.make_node("Cast", ["mask"], ["weights"], to=TensorProto.FLOAT),
        helper.make_node("Unsqueeze", ["weights", "axis"], ["columns"]),
        helper.make_node("Mul", ["rows", "columns"], ["kept"]),
        helper.make_node("ReduceSum", ["kept", "one"], ["sum"], keepdims=0),
    ]
    table = np.arange(10, dtype=np.float32).reshape(5, 2)
    return save_model(
        path,
        nodes,
        {"ids": (TensorProto.INT64, ["batch", "length"]), "mask": (TensorProto.BOOL, ["batch", "length"])},
        {"kept": (TensorProto.FLOAT, ["batch", "length", 2]), "sum": (TensorProto.FLOAT, ["batch", 2])},
        {"table": table, "axis": np.array([2]), "one": np.array([1])},
    )


def ort_format(path: Path) -> Path:
    """The model in ONNX Runtime's own format, beside it."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC
    options.optimized_model_filepath = str(path.with_suffix(".ort"))
    options.add_session_config_entry("session.save_model_format", "ORT")
    onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    return path.with_suffix(".ort")
