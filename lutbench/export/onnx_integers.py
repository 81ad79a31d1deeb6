"""Integers on both sides of a quantised graph, so that no conversion from or to float is timed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
from onnx import GraphProto, ModelProto, NodeProto, TensorProto, helper, numpy_helper

from lutbench.export.onnx_graph import Constants, graphs_within, names_read, rename, rename_uses
from lutbench.export.quantisation import Quantisation

INPUT, OUTPUT = "input", "output"
NHWC, NCHW = (0, 2, 3, 1), (0, 3, 1, 2)
_LEVELS = 255  # steps of uint8
_Values = npt.NDArray[Any]


def integer_inputs_outputs(
    model: ModelProto, inner_in: bool, inner_out: bool, given: _Values, made: Callable[[ModelProto], _Values]
) -> tuple[Quantisation, Quantisation]:
    """Makes the input and the output uint8, in place; what their integers mean.

    The quantizer's own scale is taken where it quantised the tensor; what else reads the input gets it dequantised,
    and an output that it left in float is quantised at the end.

    given: what the input was calibrated with.
    made: what the model gives for that, asked only for an output left in float.
    inner_in, inner_out: the input or output is (N, H, W, C), by a transpose that ONNX Runtime cancels against its
        own.
    """
    graph = model.graph
    last = next((node for node in graph.node if OUTPUT in node.output), None)
    if last is None or last.op_type != "DequantizeLinear":
        _quantise_output(graph, last, made(model))
    output_quantisation = _take_output(graph, inner_out)
    input_quantisation = _take_input(graph, inner_in, given)
    return input_quantisation, output_quantisation


def _quantisation_of(values: _Values) -> Quantisation:
    """uint8's steps for values of this range, 0 among them."""
    low, high = min(0.0, float(values.min())), max(0.0, float(values.max()))
    step = (high - low) / _LEVELS or 1.0
    return Quantisation(step, round(-low / step))


def _parameters(graph: GraphProto, name: str, quantisation: Quantisation) -> list[str]:
    """The quantisation as constants of the graph: their names."""
    names = [f"{name}_scale", f"{name}_zero_point"]
    values = (np.float32(quantisation.step), np.uint8(quantisation.zero_point))
    graph.initializer.extend(numpy_helper.from_array(np.array(v), n) for v, n in zip(values, names, strict=True))
    return names


def _quantise_output(graph: GraphProto, last: NodeProto | None, values: _Values) -> None:
    """Puts a QuantizeLinear and a DequantizeLinear behind an output in float."""
    real = f"{OUTPUT}_real"
    if last is None:  # the output is the input, or a constant
        raise ValueError("the output is not computed from the input")
    rename(graph, OUTPUT, real)
    parameters = _parameters(graph, OUTPUT, _quantisation_of(values))
    graph.node.append(helper.make_node("QuantizeLinear", [real, *parameters], [f"{OUTPUT}_integers"]))
    graph.node.append(helper.make_node("DequantizeLinear", [f"{OUTPUT}_integers", *parameters], [OUTPUT]))


def _quantisation(graph: GraphProto, node: NodeProto) -> Quantisation:
    constants = Constants(graph)
    scale, zero_point = (constants.get(name) for name in node.input[1:3])
    if scale is None or zero_point is None or scale.size != 1:
        raise ValueError("the quantizer left no scale of the graph's input or output")
    return Quantisation(float(scale), int(zero_point))


def _take_output(graph: GraphProto, inner: bool) -> Quantisation:
    """Lets the graph end before its last DequantizeLinear."""
    last = next(node for node in graph.node if OUTPUT in node.output)
    found = _quantisation(graph, last)
    integers = last.input[0]
    if any(OUTPUT in node.input for one in graphs_within(graph) for node in one.node):
        rename(graph, OUTPUT, f"{OUTPUT}_real")  # something in the graph goes on with it
    else:
        graph.node.remove(last)
    shape = [d.dim_value for d in graph.output[0].type.tensor_type.shape.dim]
    if inner:
        shape = [shape[axis] for axis in NHWC]
        graph.node.append(helper.make_node("Transpose", [integers], [OUTPUT], perm=NHWC, name="to_nhwc"))
    else:
        rename(graph, integers, OUTPUT)
    graph.output[0].CopyFrom(helper.make_tensor_value_info(OUTPUT, TensorProto.UINT8, shape))
    return found


def _take_input(graph: GraphProto, inner: bool, given: _Values) -> Quantisation:
    """Lets the graph begin behind its first QuantizeLinear; what else reads the input gets it dequantised."""
    real = f"{INPUT}_real"
    rename_uses(graph, INPUT, real)
    quantizers = [node for node in graph.node if node.op_type == "QuantizeLinear" and node.input[0] == real]
    inside = quantizers[0].output[0] if quantizers else f"{INPUT}_nchw"
    integers = inside if inner else INPUT
    found = _quantisation(graph, quantizers[0]) if quantizers else _quantisation_of(given)
    for node in quantizers:
        if _quantisation(graph, node) != found:
            continue
        graph.node.remove(node)
        if node.output[0] == OUTPUT:  # a net that hands its input on
            graph.node.append(helper.make_node("Identity", [integers], [OUTPUT]))
        else:
            rename_uses(graph, node.output[0], integers)
    if real in names_read(graph):
        parameters = _parameters(graph, INPUT, found)
        graph.node.insert(0, helper.make_node("DequantizeLinear", [integers, *parameters], [real]))
    shape = [d.dim_value for d in graph.input[0].type.tensor_type.shape.dim]
    if inner:
        shape = [shape[axis] for axis in NHWC]
        graph.node.insert(0, helper.make_node("Transpose", [INPUT], [integers], perm=NCHW, name="to_nchw"))
    graph.input[0].CopyFrom(helper.make_tensor_value_info(INPUT, TensorProto.UINT8, shape))
    return found
