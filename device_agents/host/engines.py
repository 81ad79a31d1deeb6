"""Which engine runs which runtime's artifacts. Each is imported when it is asked for: a runtime is slow to load."""

from __future__ import annotations

from collections.abc import Callable

from lutbench.device_agents.host.engine import Engine


def _onnx(threads: int) -> Engine:
    from lutbench.device_agents.host.onnx_engine import OnnxEngine

    return OnnxEngine(threads)


def _executorch(threads: int) -> Engine:
    from lutbench.device_agents.host.executorch_engine import ExecuTorchEngine

    return ExecuTorchEngine(threads)


def _torchscript(threads: int) -> Engine:
    from lutbench.device_agents.host.torchscript_engine import TorchScriptEngine

    return TorchScriptEngine(threads)


ENGINES: dict[str, Callable[[int], Engine]] = {
    "onnx": _onnx,
    "executorch": _executorch,
    "torchscript": _torchscript,
}
