"""The layout that ONNX Runtime keeps fp32 activations in on this machine, by asking it.

On x86 it computes convolutions in (N, C/b, H, W, b), a block of b channels beside each other, where b is that of the
processor's vector registers (`lutbench.measure.layouts` says what nets save by it). A grouped convolution is computed
so where its groups fill blocks: the fewest channels of a group with which it is are b.
"""

from __future__ import annotations

import tempfile
from functools import cache
from pathlib import Path

_SIZES = (8, 16)  # channels, ascending
_DOMAIN = "com.microsoft.nchwc"  # of what computes in blocks


@cache
def block_channels() -> int:
    """The channels of a block; 0 where this machine's ONNX Runtime has no such layout."""
    return next((size for size in _SIZES if _is_in_blocks(size)), 0)


def _is_in_blocks(channels: int) -> bool:
    """Whether a convolution in two groups of so many channels is computed in blocks."""
    import numpy as np
    import onnx
    import onnxruntime
    from onnx import TensorProto, helper, numpy_helper

    shape = [1, 2 * channels, 4, 4]
    weights = numpy_helper.from_array(np.ones((2 * channels, channels, 1, 1), np.float32), "weights")
    conv = helper.make_node("Conv", ["input", "weights"], ["output"], group=2, kernel_shape=[1, 1])
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name in ("input", "output")]
    graph = helper.make_graph([conv], "grouped", ends[:1], ends[1:], [weights])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    with tempfile.TemporaryDirectory() as folder:
        options = onnxruntime.SessionOptions()
        options.optimized_model_filepath = str(Path(folder, "optimised.onnx"))
        options.intra_op_num_threads = 1
        options.log_severity_level = 3  # that what is written is this machine's is what is asked for
        onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
        found = onnx.load(options.optimized_model_filepath)
    return any(node.domain == _DOMAIN for node in found.graph.node)
