"""Engines: a runtime's artifacts made ready to be invoked with inputs and outputs bound beforehand."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

BUFFER_ELEMENTS = 1 << 22  # of the shared input and output; larger ones where an artifact needs them


@dataclass(frozen=True)
class Loaded:
    """An artifact ready to run.

    invoke calls the runtime and nothing else; rewrite_input writes the input, as the layer before it in a net would.
    buffers: kept alive here, for the runtime holds bare addresses.
    """

    invoke: Callable[[], object]
    rewrite_input: Callable[[], object]
    buffers: object


class Engine(Protocol):
    """One runtime in this process."""

    def load(self, name: str, path: str) -> Loaded:
        """The artifact, ready; RuntimeError or ValueError where the runtime refuses it."""


class Buffers:
    """Inputs and outputs of every artifact share two buffers, as the layers of a net share its arena.

    The values are random once: kernels take the same time for any, but not for denormal floats.
    """

    def __init__(self, dtype: npt.DTypeLike, size: int) -> None:
        rng = np.random.default_rng(0)
        self.dtype = np.dtype(dtype)
        integers = self.dtype == np.uint8
        self.source: npt.NDArray[Any] = (
            rng.integers(0, 256, size, dtype=np.uint8)
            if integers
            else rng.standard_normal(size, dtype=np.float32).astype(self.dtype)
        )
        self.input = self.source.copy()
        self.output = np.zeros_like(self.source)


class OnnxEngine:
    """ONNX Runtime on the CPU. All sessions share one arena, so their scratch memory is as warm as a net's own."""

    def __init__(self, threads: int) -> None:
        import onnxruntime

        self._ort = onnxruntime
        self._threads = threads
        self._buffers: dict[Any, Buffers] = {}
        onnxruntime.set_default_logger_severity(3)
        memory = onnxruntime.OrtMemoryInfo(
            "Cpu", onnxruntime.OrtAllocatorType.ORT_ARENA_ALLOCATOR, 0, onnxruntime.OrtMemType.DEFAULT
        )
        onnxruntime.create_and_register_allocator(memory, None)

    def load(self, name: str, path: str) -> Loaded:
        del name
        options = self._ort.SessionOptions()
        options.intra_op_num_threads = self._threads
        options.inter_op_num_threads = 1
        options.log_severity_level = 3
        options.add_session_config_entry("session.use_env_allocators", "1")
        session = self._ort.InferenceSession(path, options, providers=["CPUExecutionProvider"])
        (given,), (made,) = session.get_inputs(), session.get_outputs()
        dtype = {"tensor(uint8)": np.uint8, "tensor(float)": np.float32}.get(given.type)
        if dtype is None or made.type != given.type:
            raise ValueError(f"input {given.type} and output {made.type} are not both uint8 or float")
        size_in, size_out = int(np.prod(given.shape)), int(np.prod(made.shape))
        binding = session.io_binding()
        buffers = self._buffers_for(dtype, max(size_in, size_out))
        binding.bind_input(given.name, "cpu", 0, dtype, given.shape, buffers.input.ctypes.data)
        binding.bind_output(made.name, "cpu", 0, dtype, made.shape, buffers.output.ctypes.data)
        target, source = buffers.input[:size_in], buffers.source[:size_in]
        run = session.run_with_iobinding
        return Loaded(lambda: run(binding), lambda: np.copyto(target, source), buffers)

    def _buffers_for(self, dtype: Any, size: int) -> Buffers:
        """The shared buffers; a larger pair from here on where these are too small (earlier bindings keep theirs)."""
        current = self._buffers.get(dtype)
        if current is None or len(current.source) < size:
            self._buffers[dtype] = current = Buffers(dtype, max(size, BUFFER_ELEMENTS))
        return current


def _executorch(threads: int) -> Engine:
    from device_agents.host.executorch_engine import ExecuTorchEngine

    return ExecuTorchEngine(threads)


def _torchscript(threads: int) -> Engine:
    from device_agents.host.torchscript_engine import TorchScriptEngine

    return TorchScriptEngine(threads)


ENGINES: dict[str, Callable[[int], Engine]] = {
    "onnx": OnnxEngine,
    "executorch": _executorch,
    "torchscript": _torchscript,
}
