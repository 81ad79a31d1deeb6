"""Reads the inputs of a model in a FlatBuffers file, of whichever runtime."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

from lutbench.errors import ExportError
from lutbench.export.artifact import Companion
from lutbench.export.flat import FlatError
from lutbench.export.model_inputs import Declared
from lutbench.reading.files import read_bytes
from lutbench.reading.kinds import ARTIFACT

_MARK_PLACE = 4  # bytes; before it is where the root table lies


def read_flat_model(
    path: Path, mark: bytes, what: str, inputs: Callable[[bytes], Iterable[Declared]]
) -> tuple[tuple[Declared, ...], tuple[Companion, ...]]:
    """Its inputs, and no files beside it; ExportError where it is no such file, or a damaged one.

    what: the format, as errors name it.
    """
    data = read_bytes(path, ARTIFACT)
    if data[_MARK_PLACE : _MARK_PLACE + len(mark)] != mark:
        raise ExportError(f"not {what}", path=path)
    try:
        return tuple(inputs(data)), ()
    except FlatError as error:
        raise ExportError(f"{what} that is damaged: {error}", path=path) from error
