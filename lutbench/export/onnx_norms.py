"""Batch norms that stand alone, made into what ONNX Runtime has in int8."""

from __future__ import annotations

from typing import Any

from lutbench.export.onnx_graph import Constants, names_read

_RANKS = (3, 4)  # of inputs whose norm can be a convolution that ONNX Runtime has in int8


def norms_as_convolutions(model: Any) -> int:
    """Makes batch norms that stand alone 1x1 depthwise convolutions, in place; how many had to be left in float.

    Left are those of other ranks, of parameters that the graph computes, of types other than float, and those that
    norm by the batch at hand.
    """
    import onnx

    graph = model.graph
    norms = [node for node in graph.node if node.op_type == "BatchNormalization"]
    if not norms:
        return 0
    constants = Constants(graph)
    ranks = _ranks(onnx.shape_inference.infer_shapes(model).graph)
    left = sum(not _replaced(graph, node, constants, ranks.get(node.input[0], 0)) for node in norms)
    used = names_read(graph)
    for tensor in [tensor for tensor in graph.initializer if tensor.name not in used]:
        graph.initializer.remove(tensor)
    for node in [n for n in graph.node if n.op_type in ("Constant", "Identity") and not used & set(n.output)]:
        graph.node.remove(node)
    return left


def _ranks(graph: Any) -> dict[str, int]:
    return {
        value.name: len(value.type.tensor_type.shape.dim)
        for value in (*graph.input, *graph.value_info, *graph.output)
        if value.type.tensor_type.HasField("shape")
    }


def _replaced(graph: Any, node: Any, constants: Constants, rank: int) -> bool:
    import numpy as np
    from onnx import helper, numpy_helper

    attributes = {attribute.name: attribute for attribute in node.attribute}
    by_the_batch = "training_mode" in attributes and attributes["training_mode"].i == 1
    values = [constants.get(name) for name in node.input[1:5]]
    known = len(values) == 4 and all(value is not None and value.dtype == np.float32 for value in values)
    if rank not in _RANKS or by_the_batch or not known:
        return False
    gamma, beta, mean, variance = values
    epsilon = attributes["epsilon"].f if "epsilon" in attributes else 1e-5
    weight = (gamma / np.sqrt(variance + epsilon)).astype(np.float32)
    bias = (beta - mean * weight).astype(np.float32)
    names = [f"{node.output[0]}_weight", f"{node.output[0]}_bias"]
    for name, value in zip(names, (weight.reshape(-1, *[1] * (rank - 1)), bias), strict=True):
        graph.initializer.append(numpy_helper.from_array(value, name))
    inputs = [node.input[0], *names]
    node.CopyFrom(helper.make_node("Conv", inputs, [node.output[0]], name=node.name, group=len(weight)))
    return True
