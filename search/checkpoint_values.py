"""What may stand in a checkpoint: tensors and plain values in dictionaries and lists, no larger than the file."""

from __future__ import annotations

import os
import zipfile
from pathlib import Path
from typing import Any

import torch

from lutbench.reading.files import open_regular
from lutbench.reading.kinds import CHECKPOINT
from lutbench.reading.plain import DEEPEST, MOST_VALUES, NotPlainError, is_text, show

_MOST_MEMBERS = 1 << 20
_LARGEST_PICKLE = 256 << 20
_WHOLE_BITS = 128  # a generator's state has numbers of more than 64 bits


def check_archive(path: Path) -> None:
    """Before torch opens it: CheckpointError where there is no regular file; NotPlainError where it would grow.

    torch writes its archives without compression: a member that is compressed was made to grow.
    """
    descriptor, size = open_regular(path, CHECKPOINT)
    with os.fdopen(descriptor, "rb") as file:
        try:
            members = zipfile.ZipFile(file).infolist()
        except (zipfile.BadZipFile, ValueError, OSError, NotImplementedError) as error:
            raise NotPlainError("it is no archive of torch's") from error
    if len(members) > _MOST_MEMBERS or any(member.compress_type != zipfile.ZIP_STORED for member in members):
        raise NotPlainError("it is no archive as torch writes them")
    if sum(member.file_size for member in members) > size:
        raise NotPlainError("its parts are larger than the file")
    if any(member.filename.endswith(".pkl") and member.file_size > _LARGEST_PICKLE for member in members):
        raise NotPlainError("it holds too many values")


def check_values(value: object) -> None:
    """NotPlainError where a value is no tensor or plain value, or larger than what it is stored in."""
    stack: list[tuple[Any, int]] = [(value, 0)]
    seen = 0
    while stack:
        found, depth = stack.pop()
        seen += 1
        if seen > MOST_VALUES or depth > DEEPEST:
            raise NotPlainError("it holds too many values, or too deep ones")
        if isinstance(found, torch.Tensor):
            _check_tensor(found)
        elif isinstance(found, dict):
            for key in found:
                _check_plain(key)
            stack += [(item, depth + 1) for item in found.values()]
        elif isinstance(found, (list, tuple)):
            stack += [(item, depth + 1) for item in found]
        else:
            _check_plain(found)


def _check_tensor(tensor: torch.Tensor) -> None:
    if tensor.layout != torch.strided or tensor.is_quantized:
        raise NotPlainError("it holds a tensor of an odd layout")
    if tensor.numel() * tensor.element_size() > tensor.untyped_storage().nbytes():
        raise NotPlainError("it holds a tensor larger than what is stored of it")


def _check_plain(value: object) -> None:
    if not isinstance(value, (str, int, float, type(None))):
        raise NotPlainError(f"it holds {show(value)}")
    if isinstance(value, int) and value.bit_length() > _WHOLE_BITS:
        raise NotPlainError("it holds a very long number")
    if isinstance(value, str) and not is_text(value):
        raise NotPlainError("it holds text with half a character")
