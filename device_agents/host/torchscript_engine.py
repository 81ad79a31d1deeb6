"""TorchScript, deprecated by PyTorch; this file and its exporter are all there is of it."""

from __future__ import annotations

import ctypes
import json
import math
import zipfile
from functools import partial
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from lutbench.device_agents.host.buffers import BUFFER_ELEMENTS, Buffers, rewriting
from lutbench.device_agents.host.engine import Given, Loaded

if TYPE_CHECKING:
    from torch import Tensor

DESCRIPTION = "lutbench.json"  # what the exporter put into the file beside the module
_PROFILED_CALLS = 3  # in its first calls TorchScript looks at shapes and compiles


class TorchScriptEngine:
    """Inputs share one buffer; each call makes its own output, as TorchScript does."""

    def __init__(self, threads: int) -> None:
        import torch

        torch.set_num_threads(threads)
        torch.set_num_interop_threads(1)
        torch.set_grad_enabled(False)
        self._torch = torch
        self._memories: dict[Any, _Memory] = {}

    def load(self, name: str, path: str, given: Given | None = None) -> Loaded:
        del name
        if given is not None:
            raise ValueError("files of users run with ONNX Runtime or ExecuTorch")
        about = _description(path)
        if about["engine"]:  # its weights are packed as they are loaded, for the engine that is set then
            self._torch.backends.quantized.engine = about["engine"]
        module = self._torch.jit.load(path)  # type: ignore[no-untyped-call]
        shape = tuple(about["shape"])
        size = math.prod(shape)
        memory = self._memory(np.uint8 if about["engine"] else np.float32, size)
        tensor = self._input(shape, about, memory)
        invoke = partial(module.forward, tensor)
        for _ in range(_PROFILED_CALLS):
            invoke()
        # idle: int() is the clock and a call; torch has none of a module's that does nothing
        target, source = memory.values[:size], memory.buffers.source[:size]
        return Loaded(invoke, rewriting([(target, source)]), int, (module, tensor, memory))

    def _memory(self, dtype: Any, size: int) -> _Memory:
        """The shared input; a larger one from here on where it is too small (earlier tensors keep theirs)."""
        current = self._memories.get(dtype)
        if current is None or len(current.values) < size:
            self._memories[dtype] = current = _Memory(self._torch, Buffers(dtype, max(size, BUFFER_ELEMENTS)))
        return current

    def _input(self, shape: tuple[int, ...], about: dict[str, Any], memory: _Memory) -> Tensor:
        from lutbench.private.torch_calls import empty_quint8

        torch = self._torch
        if not about["engine"]:
            return cast("Tensor", memory.tensor[: math.prod(shape)].view(shape))
        layout = torch.channels_last if about["channels_last"] else torch.contiguous_format
        tensor = empty_quint8(shape, about["scale"], about["zero_point"], layout)
        return tensor.set_(memory.tensor.storage(), 0, shape, tensor.stride())


class _Memory:
    """Numbers that NumPy writes and a tensor reads. A quantised tensor owns its memory, so NumPy looks into that."""

    def __init__(self, torch: Any, buffers: Buffers) -> None:
        self.buffers = buffers
        self.values = buffers.input
        if buffers.source.dtype != np.uint8:
            self.tensor = torch.from_numpy(self.values)
            return
        from lutbench.private.torch_calls import empty_quint8

        size = len(self.values)
        self.tensor = empty_quint8([size], 1.0, 0, torch.contiguous_format)
        self.values = np.ctypeslib.as_array((ctypes.c_uint8 * size).from_address(self.tensor.data_ptr()))
        self.values[:] = buffers.input


def _description(path: str) -> dict[str, Any]:
    """What the exporter wrote beside the module; ValueError where it wrote none."""
    try:
        with zipfile.ZipFile(path) as archive:
            (name,) = (name for name in archive.namelist() if name.endswith(f"/extra/{DESCRIPTION}"))
            about: dict[str, Any] = json.loads(archive.read(name))
    except (zipfile.BadZipFile, EOFError, ValueError) as error:
        raise ValueError(f"not a TorchScript file that lutbench made: {error}") from error
    if missing := {"shape", "channels_last", "engine", "scale", "zero_point"} - set(about):
        raise ValueError(f"its description lacks {', '.join(sorted(missing))}")
    return about
