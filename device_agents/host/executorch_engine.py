"""ExecuTorch on the CPU, by its own Python binding."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from lutbench.device_agents.host.buffers import ALIGNMENT, Buffers, rewriting, shared_buffers
from lutbench.device_agents.host.engine import Given, Loaded
from lutbench.private.executorch_calls import load_program, portable_library, use_threads

if TYPE_CHECKING:
    from torch import Tensor

# executorch/runtime/core/portable_type/scalar_type.h
EXECUTORCH_DTYPES: dict[int, Any] = {
    0: np.uint8, 1: np.int8, 2: np.int16, 3: np.int32, 4: np.int64, 5: np.float16, 6: np.float32, 7: np.float64,
    11: np.bool_,
}  # fmt: skip


class ExecuTorchEngine:
    """Inputs share one buffer; outputs are each program's own, for the binding lets nobody else give them."""

    def __init__(self, threads: int) -> None:
        self._library = portable_library()
        use_threads(self._library, threads)
        self._buffers: dict[Any, Buffers] = {}

    def load(self, name: str, path: str, given: Given | None = None) -> Loaded:
        del name
        try:
            program = load_program(self._library, path)
        except RuntimeError as error:
            raise ValueError(f"{_what_is_at(path)} ({error})") from error
        meta = program.meta
        tensors, copies, kept, start = [], [], [], 0
        planned = False  # as programs are unless their exporter was told otherwise: the runtime copies inputs, untimed
        for number in range(meta.num_inputs()):
            about = meta.input_tensor_meta(number)
            if about.dtype() not in EXECUTORCH_DTYPES:
                raise ValueError(f"input {number} has a type that cannot be bound (number {about.dtype()})")
            planned = planned or about.is_memory_planned()
            values = given.values.get(f"input{number}") if given else None
            shape = tuple(given.shapes.get(f"input{number}", about.sizes())) if given else tuple(about.sizes())
            tensor, copy, buffers = self._input(shape, EXECUTORCH_DTYPES[about.dtype()], start, values)
            start += -(-math.prod(shape) // ALIGNMENT) * ALIGNMENT
            tensors.append(tensor)
            copies.append(copy)
            kept.append(buffers)
        # the program and the tensors are kept: the method holds bare addresses into both
        run, rewrite = program.bind(tensors), rewriting(copies)

        def rewrite_and_put() -> None:
            rewrite()
            program.put(tensors)

        return Loaded(run, rewrite_and_put if planned else rewrite, program.idle, (program, tensors, kept))

    def _input(
        self, shape: tuple[int, ...], kind: Any, start: int, values: str | None
    ) -> tuple[Tensor, tuple[Any, Any], Buffers]:
        """A tensor on its dtype's shared buffer, from start on, and what to write there; in which order its axes lie
        there is the program's to know."""
        import torch

        size = math.prod(shape)
        current = shared_buffers(self._buffers, kind, start + size)
        target = current.input[start : start + size]
        source = current.source[start : start + size] if values is None else np.fromfile(values, kind)
        return torch.from_numpy(target).view(shape), (target, source), current


def _what_is_at(path: str) -> str:
    """Of a file that the runtime refused: its own errors are numbers."""
    with Path(path).open("rb") as file:
        kind = file.read(8)[4:]
    if not kind.startswith(b"ET"):
        return "not an ExecuTorch program"
    return f"a program of format {kind.decode('ascii', 'replace')} that is damaged, or not of this ExecuTorch's version"
