"""Engines: a runtime's artifacts made ready to be invoked with inputs and outputs bound beforehand."""

from __future__ import annotations

import math
import mmap
import os
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from lutbench.private.onnxruntime_calls import direct_call, idle_call

BUFFER_ELEMENTS = 1 << 22  # of the shared input and output; larger ones where an artifact needs them
_ALIGNMENT = 64  # elements: every tensor of a buffer begins a cache line

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
# what ONNX Runtime puts before its own words: error code, path of the file, C++ source and function
_CLUTTER = re.compile(
    r"\[ONNXRuntimeError\] : \d+ : [A-Z_]+ : |Load model from \S+ failed:|\S*/onnxruntime_src/\S+:\d+ .*?\) (?=[A-Z])"
)
_SHARED = (np.uint8, np.float32)  # what exported operators and nets take: their buffers have BUFFER_ELEMENTS at least


@dataclass(frozen=True)
class Loaded:
    """An artifact ready to run.

    invoke calls the runtime and nothing else; rewrite_input writes the input, as the layer before it in a net would.
    idle calls into the same binding, by the same way, where there is nothing to do: what Python's part of a call costs.
    buffers: kept alive here, for the runtime holds bare addresses.
    """

    invoke: Callable[[], object]
    rewrite_input: Callable[[], object]
    idle: Callable[[], object]
    buffers: object


@dataclass(frozen=True)
class Given:
    """What a user's model is run with. shapes: of its inputs; values: files of raw numbers, of inputs that have some;
    dimensions: sizes of names that the model leaves open, for the runtime to know beforehand."""

    shapes: Mapping[str, tuple[int, ...]]
    values: Mapping[str, str]
    dimensions: Mapping[str, int]


class Engine(Protocol):
    """One runtime in this process."""

    def load(self, name: str, path: str, given: Given | None = None) -> Loaded:
        """The artifact, ready; RuntimeError or ValueError where the runtime refuses it.

        given: of a user's model; None: an artifact that lutbench exported, whose sizes are fixed.
        """


def reason_of(error: Exception) -> str:
    """One line that says what a runtime refused."""
    return f"{type(error).__name__}: {tidy(str(error))}"[:300]


def tidy(message: str) -> str:
    """A runtime's message in one line, without what only its authors need."""
    return _CLUTTER.sub("", " ".join(message.split()))


def random_values(dtype: npt.DTypeLike, size: int) -> npt.NDArray[Any]:
    """Seeded values: any byte, standard normal floats, and 0 or 1 for wider integers and bools.

    Those are indices and masks more often than quantities, and 0 and 1 are in the range of every index.
    """
    rng = np.random.default_rng(0)
    kind = np.dtype(dtype)
    if kind.kind == "f":
        return rng.standard_normal(size, dtype=np.float32).astype(kind)
    if kind.itemsize == 1 and kind.kind != "b":
        limits = np.iinfo(kind)
        return rng.integers(limits.min, limits.max + 1, size, dtype=kind)
    return rng.integers(0, 2, size, dtype=np.uint8).astype(kind)


def _pages(kind: np.dtype[Any], size: int) -> npt.NDArray[Any]:
    """Zeros that begin at a page, in pages of the usual size, as a runtime's own tensors do.

    numpy's own begin 16 bytes into a cache line and ask for huge pages; operators took up to 6 % longer there.
    """
    length = size * kind.itemsize
    private = {} if os.name == "nt" else {"flags": mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS}
    return np.frombuffer(mmap.mmap(-1, max(1, length), **private), np.uint8, length).view(kind)


class Buffers:
    """Inputs and outputs of every artifact share two buffers per dtype, as the layers of a net share its arena.

    The values are random once: kernels take the same time for any, but not for denormal floats.
    """

    def __init__(self, dtype: npt.DTypeLike, size: int) -> None:
        values = random_values(dtype, size)
        self.source, self.input, self.output = (_pages(values.dtype, size) for _ in range(3))
        self.source[:] = self.input[:] = values


def shared_buffers(held: dict[Any, Buffers], dtype: Any, size: int, least: int = BUFFER_ELEMENTS) -> Buffers:
    """The buffers of a dtype that an engine holds; a larger pair from here on where these are too small."""
    current = held.get(dtype)
    if current is None or len(current.source) < size:
        held[dtype] = current = Buffers(dtype, max(size, least))
    return current


@dataclass(frozen=True)
class _Tensor:
    """An input or output of a session and its place in its dtype's buffer. shape: None where only a run tells it."""

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
        options.intra_op_num_threads = self._threads
        options.inter_op_num_threads = 1
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
    """A session's inputs or outputs, one behind the other in their dtype's buffer. shapes: of those left open."""
    found: list[_Tensor] = []
    ends: dict[Any, int] = {}
    for value in given:
        if value.type not in ONNX_DTYPES:
            raise ValueError(f"{value.name} is a {value.type}, which cannot be bound")
        dtype = ONNX_DTYPES[value.type]
        shape = (shapes or {}).get(value.name, value.shape)
        fixed = shape is not None and all(isinstance(size, int) and size >= 0 for size in shape)
        tensor = _Tensor(value.name, dtype, tuple(shape) if fixed else None, ends.get(dtype, 0))
        ends[dtype] = -(-tensor.place.stop // _ALIGNMENT) * _ALIGNMENT
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


def rewriting(copies: Sequence[tuple[npt.NDArray[Any], npt.NDArray[Any]]]) -> Callable[[], object]:
    """A function that copies each (target, source).

    By memoryviews: what numpy's copyto runs puts as much code through the caches as a small operator has, and the
    runtime's call behind it is slower for it.
    """
    views = [(target.view(np.uint8).data, source.view(np.uint8).data) for target, source in copies]
    everything = slice(None)
    if len(views) == 1:
        return partial(views[0][0].__setitem__, everything, views[0][1])

    def rewrite() -> None:
        for target, source in views:
            target[:] = source

    return rewrite


def _executorch(threads: int) -> Engine:
    from lutbench.device_agents.host.executorch_engine import ExecuTorchEngine

    return ExecuTorchEngine(threads)


def _torchscript(threads: int) -> Engine:
    from lutbench.device_agents.host.torchscript_engine import TorchScriptEngine

    return TorchScriptEngine(threads)


ENGINES: dict[str, Callable[[int], Engine]] = {
    "onnx": OnnxEngine,
    "executorch": _executorch,
    "torchscript": _torchscript,
}
