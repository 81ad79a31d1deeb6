"""The memory that artifacts read and write while they are timed: shared, and written anew before every call."""

from __future__ import annotations

import mmap
import os
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt

BUFFER_ELEMENTS = 1 << 22  # of the shared input and output; larger ones where an artifact needs them
ALIGNMENT = 64  # elements: every tensor of a buffer begins a cache line


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
