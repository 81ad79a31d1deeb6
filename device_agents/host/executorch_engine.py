"""ExecuTorch on the CPU, by its own Python binding."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from lutbench.device_agents.host.engines import Buffers, Loaded, rewriting, shared_buffers

if TYPE_CHECKING:
    from torch import Tensor

_FLOAT, _INT8 = 6, 1  # executorch/runtime/core/portable_type/scalar_type.h


class ExecuTorchEngine:
    """Inputs share one buffer; outputs are each program's own, for the binding lets nobody else give them."""

    def __init__(self, threads: int) -> None:
        from executorch.extension.pybindings import portable_lib

        # the first call of all: with a program loaded it crashes, and the pool's size cannot be set otherwise
        portable_lib._unsafe_reset_threadpool(threads)
        started = portable_lib._threadpool_get_thread_count()
        if started != threads:
            raise RuntimeError(f"ExecuTorch runs {started} threads where {threads} were asked for")
        self._lib = portable_lib
        self._buffers: dict[Any, Buffers] = {}

    def load(self, name: str, path: str) -> Loaded:
        del name
        try:
            program = self._lib._load_program(path)
        except RuntimeError as error:
            raise ValueError(f"{_what_is_at(path)} ({error})") from error
        method = program.load_method("forward")
        meta = method.method_meta()
        if (meta.num_inputs(), meta.num_outputs()) != (1, 1):
            raise ValueError(f"{meta.num_inputs()} inputs and {meta.num_outputs()} outputs are not one each")
        given = meta.input_tensor_meta(0)
        if given.dtype() not in (_FLOAT, _INT8):
            raise ValueError(f"the input's type is number {given.dtype()}, neither float nor int8")
        if given.is_memory_planned():
            raise ValueError("the program keeps its input in memory of its own")
        tensor, buffers, size = self._input(tuple(given.sizes()), given.dtype())
        method.set_inputs([tensor])
        target, source = buffers.input[:size], buffers.source[:size]
        rewrite, kept = rewriting([(target, source)]), (program, method, tensor, buffers)
        # the program and the tensor are kept: the method holds bare addresses into both. The binding redirects C++'s
        # streams into Python's around every call, has_etdump's as execute's, and that takes 1.9 us
        return Loaded(method.execute, rewrite, program.has_etdump, kept)

    def _input(self, shape: tuple[int, ...], dtype: int) -> tuple[Tensor, Buffers, int]:
        """A tensor on the shared buffer; in which order its axes lie there is the program's to know."""
        import torch

        size = math.prod(shape)
        kind: Any = np.int8 if dtype == _INT8 else np.float32
        current = shared_buffers(self._buffers, kind, size)
        return torch.from_numpy(current.input[:size]).view(shape), current, size


def _what_is_at(path: str) -> str:
    """Of a file that the runtime refused: its own errors are numbers."""
    with Path(path).open("rb") as file:
        kind = file.read(8)[4:]
    if not kind.startswith(b"ET"):
        return "not an ExecuTorch program"
    return f"a program of format {kind.decode('ascii', 'replace')} that is damaged, or not of this ExecuTorch's version"
