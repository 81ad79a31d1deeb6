"""What ONNX Runtime computes in blocks of channels, by its own optimised graphs."""

from __future__ import annotations

from pathlib import Path

import onnx
import onnxruntime as ort
import pytest

from lutbench.export.onnx_export import export_onnx
from lutbench.export.onnx_layout import block_channels
from lutbench.measure.layouts import ends_of
from lutbench.space.operator import parse_operator

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


@needs_blocks
@pytest.mark.parametrize("name", OPERATORS)
def test_an_operator_changes_its_layout_where_the_rules_say(name: str, tmp_path: Path) -> None:
    options = ort.SessionOptions()
    options.log_severity_level = 3
    options.optimized_model_filepath = str(tmp_path / "optimised.onnx")
    data = export_onnx(parse_operator(name), "fp32").data
    ort.InferenceSession(data, options, providers=["CPUExecutionProvider"])
    graph = onnx.load(tmp_path / "optimised.onnx").graph
    (given,), (taken,) = ([end.name for end in ends] for ends in (graph.input, graph.output))
    writers = {name: node for node in graph.node for name in node.output}
    last = writers[taken]
    if last.op_type == "Add":  # of the input, behind the change of what the convolution wrote
        last = next(writers[name] for name in last.input if name in writers)
    ends = ends_of(parse_operator(name), block_channels())
    assert ends.reads == any(node.op_type == "ReorderInput" for node in graph.node if given in node.input)
    assert ends.writes == (last.op_type == "ReorderOutput")
