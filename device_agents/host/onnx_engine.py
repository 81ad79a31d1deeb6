"""ONNX Runtime on the CPU."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from lutbench.device_agents.host.buffers import ALIGNMENT, BUFFER_ELEMENTS, Buffers, rewriting, shared_buffers
from lutbench.device_agents.host.engine import Given, Loaded
from lutbench.private.onnxruntime_calls import direct_call, idle_call

# ONNX's name of a tensor's type -> numpy's
ONNX_DTYPES: dict[str, type[np.generic]] = {
    "tensor(float)": np.float32,
    "tensor(double)": np.float64,
    "tensor(float16)": np.float16,
    "tensor(uint8)": np.uint8,
    "tensor(int8)": np.int8,
    "tensor(uint16)": np.uint16,
    "tensor(int16)": np.int16,
    "tensor(uint32)": np.uint32,
    "tensor(int32)": np.int32,
    "tensor(uint64)": np.uint64,
    "tensor(int64)": np.int64,
    "tensor(bool)": np.bool_,
}
_SHARED = (np.uint8, np.float32)  # what exported operators and nets take: their buffers have BUFFER_ELEMENTS at least


@dataclass(frozen=True)
class _Tensor:
    """An input or output of a session and its place in its dtype's buffer.

    shape: None where only a run tells it.
    """

    name: str
    dtype: type[np.generic]
    shape: tuple[int, ...] | None
    start: int = 0

    @property
    def size(self) -> int:
        return math.prod(self.shape or ())

    @property
    def place(self) -> slice:
        return slice(self.start, self.start + self.size)


class OnnxEngine:
    """ONNX Runtime on the CPU. All sessions share one arena, so their scratch memory is as warm as a net's own."""

    def __init__(self, threads: int) -> None:
        import onnxruntime

        self._ort = onnxruntime
        self._threads = threads
        self._buffers: dict[Any, Buffers] = {}
        self._run_options = onnxruntime.RunOptions()  # without them each call makes its own, which takes 0.5 us
        onnxruntime.set_default_logger_severity(3)
        if threads > 1:
            # One pool for all sessions. Threads that have nothing to do go on looking for work for a while: with a pool
            # for each session those of the one before hold the cores on which the next one's are to run.
            onnxruntime.set_global_thread_pool_sizes(threads, 1)
        memory = onnxruntime.OrtMemoryInfo(
            "Cpu", onnxruntime.OrtAllocatorType.ORT_ARENA_ALLOCATOR, 0, onnxruntime.OrtMemType.DEFAULT
        )
        onnxruntime.create_and_register_allocator(memory, None)

    def load(self, name: str, path: str, given: Given | None = None) -> Loaded:
        del name
        if given is None:
            return self._bound(self._session(path, {}), None)
        if given.dimensions:
            # the runtime knows more sizes beforehand so, as a user's own session would; but what it then infers of the
            # model can contradict what the model declares, and of such a model only a run tells
            try:
                return self._bound(self._session(path, given.dimensions), given)
            except Exception:  # noqa: BLE001 - a runtime's own exception types are not public; the next one tells
                pass
        return self._bound(self._session(path, {}), given)

    def _session(self, path: str, dimensions: Mapping[str, int]) -> Any:
        options = self._ort.SessionOptions()
        if self._threads > 1:
            options.use_per_session_threads = False
        else:
            options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.log_severity_level = 3 if not dimensions else 4
        options.add_session_config_entry("session.use_env_allocators", "1")
        for name, size in dimensions.items():
            options.add_free_dimension_override_by_name(name, size)
        return self._ort.InferenceSession(path, options, providers=["CPUExecutionProvider"])

    def _bound(self, session: Any, given: Given | None) -> Loaded:
        inputs = _tensors(session.get_inputs(), given.shapes if given else {})
        outputs = _tensors(session.get_outputs())
        unknown = [tensor.name for tensor in inputs if tensor.shape is None]
        if unknown:
            raise ValueError(f"the shape of input {', '.join(unknown)} is not fixed")
        buffers = self._buffers_for([*inputs, *outputs])
        binding = session.io_binding()
        copies = []
        for tensor in inputs:
            target, source = buffers[tensor.dtype].input[tensor.place], buffers[tensor.dtype].source[tensor.place]
            if given and tensor.name in given.values:
                source = np.fromfile(given.values[tensor.name], tensor.dtype)
            binding.bind_input(tensor.name, "cpu", 0, tensor.dtype, tensor.shape, target.ctypes.data)
            copies.append((target, source))
        rewrite = rewriting(copies)
        if given:
            outputs = _as_they_are(session, binding, outputs, rewrite)
        for tensor in outputs:
            if tensor.shape is None:
                binding.bind_output(tensor.name, "cpu")  # the runtime allocates it in each run
                continue
            target = buffers[tensor.dtype].output[tensor.place]
            binding.bind_output(tensor.name, "cpu", 0, tensor.dtype, tensor.shape, target.ctypes.data)
        run = direct_call(session, binding, self._run_options)
        return Loaded(run, rewrite, idle_call(binding), buffers)

    def _buffers_for(self, tensors: Sequence[_Tensor]) -> dict[Any, Buffers]:
        """The shared buffers of each dtype; a larger pair from here on where these are too small.

        Earlier bindings keep theirs.
        """
        sizes = {
            dtype: max(tensor.place.stop for tensor in tensors if tensor.dtype == dtype)
            for dtype in {tensor.dtype for tensor in tensors}
        }
        return {
            dtype: shared_buffers(self._buffers, dtype, size, BUFFER_ELEMENTS if dtype in _SHARED else 1)
            for dtype, size in sizes.items()
        }


def _tensors(given: Sequence[Any], shapes: Mapping[str, tuple[int, ...]] | None = None) -> list[_Tensor]:
    """A session's inputs or outputs, one behind the other in their dtype's buffer.

    shapes: of those left open.
    """
    found: list[_Tensor] = []
    ends: dict[Any, int] = {}
    for value in given:
        if value.type not in ONNX_DTYPES:
            raise ValueError(f"{value.name} is a {value.type}, which cannot be bound")
        dtype = ONNX_DTYPES[value.type]
        shape = (shapes or {}).get(value.name, value.shape)
        fixed = shape is not None and all(isinstance(size, int) and size >= 0 for size in shape)
        tensor = _Tensor(value.name, dtype, tuple(shape) if fixed else None, ends.get(dtype, 0))
        ends[dtype] = -(-tensor.place.stop // ALIGNMENT) * ALIGNMENT
        found.append(tensor)
    return found


def _as_they_are(
    session: Any, binding: Any, outputs: Sequence[_Tensor], rewrite: Callable[[], object]
) -> list[_Tensor]:
    """The outputs, without the shape of those that a run gives another one than the model declares."""
    for tensor in outputs:
        binding.bind_output(tensor.name, "cpu")
    rewrite()
    session.run_with_iobinding(binding)
    made = [tuple(value.shape()) for value in binding.get_outputs()]
    binding.clear_binding_outputs()
    return [t if t.shape == shape else replace(t, shape=None) for t, shape in zip(outputs, made, strict=True)]
