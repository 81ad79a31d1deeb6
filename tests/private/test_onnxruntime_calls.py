"""What is private of ONNX Runtime gives the same results as the public call, with it and without."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import onnxruntime
import pytest
from onnx import TensorProto, helper

from lutbench.private.onnxruntime_calls import direct_call, idle_call


@pytest.fixture
def session() -> Any:
    value = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [4]) for name in ("x", "y")]
    graph = helper.make_graph([helper.make_node("Neg", ["x"], ["y"])], "negation", value[:1], value[1:])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    return onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])


def bound(session: Any, given: Any, result: Any) -> Any:
    binding = session.io_binding()
    binding.bind_input("x", "cpu", 0, np.float32, [4], given.ctypes.data)
    binding.bind_output("y", "cpu", 0, np.float32, [4], result.ctypes.data)
    return binding


class Public:
    """A session or a binding of a version that has only what is public."""

    def __init__(self, whole: Any, *names: str) -> None:
        self.__dict__.update({name: getattr(whole, name) for name in names})


def test_the_version_installed_has_what_is_reached_into(session: Any) -> None:
    binding = bound(session, np.zeros(4, np.float32), np.zeros(4, np.float32))
    options = onnxruntime.RunOptions()
    assert direct_call(session, binding, options).func == session._sess.run_with_iobinding  # type: ignore[attr-defined]
    assert idle_call(binding) == binding._iobinding.synchronize_inputs


@pytest.mark.parametrize("private", [True, False])
def test_both_calls_compute_the_same(session: Any, private: bool) -> None:
    given, result = np.arange(4, dtype=np.float32), np.zeros(4, np.float32)
    binding = bound(session, given, result)
    used = session if private else SimpleNamespace(run_with_iobinding=session.run_with_iobinding)
    idle = idle_call(binding if private else Public(binding, "synchronize_inputs"))
    direct_call(used, binding, onnxruntime.RunOptions())()
    idle()
    assert result.tolist() == [0.0, -1.0, -2.0, -3.0]
