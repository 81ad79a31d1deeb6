"""What ONNX Runtime computes in blocks of channels, by its own optimised graphs."""

from __future__ import annotations

from math import prod
from pathlib import Path

import onnx
import onnxruntime as ort
import pytest

from lutbench.export.onnx_export import export_onnx
from lutbench.export.onnx_layout import block_channels
from lutbench.measure.layouts import ends_of
from lutbench.measure.neighbours import pairs_of
from lutbench.space.find import known_space
from lutbench.space.operator import parse_operator
from lutbench.space.sampling import random_nets
from lutbench.space.workload import Workload

OPERATORS = (
    "stem_k3_3x16x16_16_s2",
    "ir_k3_e1_g1_16x8x8_16_s1",
    "ir_k5_e3_g1_16x8x8_24_s2",
    "ir_k3_e1_g2_16x8x8_16_s1",
    "ir_k3_e1_g2_32x8x8_32_s1",
    "ir_k3_e1_g2_64x8x8_112_s1",
    "conv_k1_24x8x8_32_s1",
    "fc_32_10",
)
needs_blocks = pytest.mark.skipif(not block_channels(), reason="this machine's ONNX Runtime computes in no blocks")


def test_blocks_are_of_as_many_channels_as_registers_have() -> None:
    flags = Path("/proc/cpuinfo").read_text()
    if "avx512f" in flags:
        assert block_channels() == 16
    elif " avx2" in flags:
        assert block_channels() == 8
    else:
        assert block_channels() in (0, 8, 16)


def optimised(workload: Workload, folder: Path) -> onnx.GraphProto:
    """The graph that ONNX Runtime makes of it."""
    options = ort.SessionOptions()
    options.log_severity_level = 3
    options.optimized_model_filepath = str(folder / "optimised.onnx")
    ort.InferenceSession(export_onnx(workload, "fp32").data, options, providers=["CPUExecutionProvider"])
    return onnx.load(folder / "optimised.onnx").graph


@needs_blocks
@pytest.mark.parametrize("name", OPERATORS)
def test_an_operator_changes_its_layout_where_the_rules_say(name: str, tmp_path: Path) -> None:
    graph = optimised(parse_operator(name), tmp_path)
    (given,), (taken,) = ([end.name for end in ends] for ends in (graph.input, graph.output))
    writers = {name: node for node in graph.node for name in node.output}
    last = writers[taken]
    if last.op_type == "Add":  # of the input, behind the change of what the convolution wrote
        last = next(writers[name] for name in last.input if name in writers)
    ends = ends_of(parse_operator(name), block_channels())
    assert ends.reads == any(node.op_type == "ReorderInput" for node in graph.node if given in node.input)
    assert ends.writes == (last.op_type == "ReorderOutput")


@needs_blocks
def test_a_net_leaves_additions_to_convolutions_where_the_rules_say(tmp_path: Path) -> None:
    space = known_space("fbnet-cifar").scaled(32, 1.0)
    own_passes = 0
    for net in random_nets(space, 3, 0, "adds"):
        operators = [operator for operator in net.operators if operator.is_measured]
        whole = onnx.shape_inference.infer_shapes(onnx.load_from_string(export_onnx(net, "fp32").data)).graph
        shapes = {value.name: [one.dim_value for one in value.type.tensor_type.shape.dim] for value in whole.value_info}
        left = [node.output[0] for node in optimised(net, tmp_path).node if node.op_type == "Add"]
        own_passes += len(left)
        elements = sum(prod(one.output_shape) for one in operators if one.kind == "ir" and one.has_residual)
        fused = pairs_of([one.name for one in operators], block_channels()).fused
        assert fused == pytest.approx((elements - sum(prod(shapes[name]) for name in left)) / 1e6)
    assert own_passes
