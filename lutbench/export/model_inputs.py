"""What a user's model is timed with: sizes that its file leaves open, and values, by a user's choices or assumed."""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lutbench.errors import ExportError
from lutbench.export.artifact import ModelInput
from lutbench.files import write_atomically
from lutbench.reading.kinds import ARRAY
from lutbench.reading.npy import read_npy

MOST_ELEMENTS = 1 << 28  # of one input: 1 GiB of floats
_MOST_DIMENSIONS = 64  # numpy's
RANDOM_FLOATS, RANDOM_BYTES, RANDOM_INTEGERS = "random normal", "random bytes", "random 0 or 1"  # said of values
_MOST_SAID = 6  # values that are listed one by one
_BATCH = re.compile(r"(?i)(data_)?(n|b|bs|nb|batch|batch_?size|batch_?dim|n_?batch|num_?batch(es)?|n_?images?)")
# what exporters write where a size has no name: torch, Paddle, tf2onnx, onnxruntime, torch.export's symbols
_NO_NAME = re.compile(
    r"(?i)\?*|none|-1|unk(nown)?_*\d*|.*dynamic_?(dimension|axes|dim).*|s\d+|dim_?\d+|axis_?\d+|.+_dim_\d+|ununsed.*"
)

Shape = tuple[int, ...]


@dataclass(frozen=True)
class Declared:
    """An input as the file has it.

    dtype: numpy's name, "" for one that has none there.
    sizes: None where the file does not even say how many. An open size is its name, or "?".
    """

    name: str
    dtype: str
    sizes: tuple[int | str, ...] | None
    batch_axis: int | None = None  # the size that the file itself calls the batch


@dataclass(frozen=True)
class Choices:
    """A user's, for one model, by its inputs' names.

    values: one number for all of an input, or one for each.
    """

    shapes: Mapping[str, Shape] = field(default_factory=dict)
    values: Mapping[str, tuple[float, ...]] = field(default_factory=dict)
    files: Mapping[str, Path] = field(default_factory=dict)


def choose_inputs(
    path: Path, declared: Sequence[Declared], choices: Choices, folder: Path, batch: int = 1
) -> tuple[tuple[ModelInput, ...], dict[str, int]]:
    """Every input with its shape and values, and the open sizes' names that have one size each.

    folder: where files of values are put.
    batch: of inputs that leave it open; several must be what one takes. ExportError where a size stays open, or a
        choice does not fit.
    """
    arrays = {name: _array_in(path, name, file) for name, file in choices.files.items()}
    given = {**{name: tuple(array.shape) for name, array in arrays.items()}, **choices.shapes}
    for one in declared:
        if one.sizes and len(one.sizes) > _MOST_DIMENSIONS:
            problem = f"input {one.name} has {len(one.sizes)} dimensions, more than arrays have"
            raise ExportError(problem, path=path)
        _check_fits(path, one, given.get(one.name), arrays.get(one.name))
    named = _sizes_by_name(declared, given)
    batches = {shape[0] for shape in given.values() if len(shape) > 1}
    inputs = []
    for one in declared:
        numbers = choices.values.get(one.name)
        shape, assumed = _shape(path, one, given.get(one.name), named, numbers, batches.copy(), batch)
        values = arrays.get(one.name) if numbers is None else _array_of(path, one, shape, numbers)
        if values is not None:
            values = _as_declared(path, one, values)
        said = _said(one, numbers, choices.files.get(one.name))
        inputs.append(_stored(one, shape, values, said, assumed, folder))
    if batch > 1 and not any(one.shape and one.shape[0] == batch for one in inputs):
        first = f"input {inputs[0].name} is {_text(inputs[0].shape)}" if inputs else "it has no input"
        raise ExportError(
            f"it does not take {batch} images at once: {first}",
            path=path,
            remedy="export it with an open first dimension, or time it without --batch",
        )
    sizes = _sizes_by_name(declared, {one.name: one.shape for one in inputs})
    return tuple(inputs), sizes


def _check_fits(path: Path, one: Declared, shape: Shape | None, array: Any) -> None:
    if shape is None:
        return
    if array is not None and tuple(array.shape) != shape:
        raise ExportError(f"input {one.name} is given as {_text(shape)} and a file of {_text(array.shape)}", path=path)
    if one.sizes is None:
        return
    fits = len(one.sizes) == len(shape) and all(
        isinstance(old, str) or old == new for old, new in zip(one.sizes, shape, strict=True)
    )
    if not fits:
        raise ExportError(f"input {one.name} is {_text(one.sizes)}, which {_text(shape)} does not fit", path=path)


def _sizes_by_name(declared: Sequence[Declared], shapes: Mapping[str, Shape]) -> dict[str, int]:
    """The open sizes' names that stand for one size wherever a shape is known; the others are not names of one size."""
    found: dict[str, set[int]] = {}
    for one in declared:
        for old, new in zip(one.sizes or (), shapes.get(one.name, ()), strict=False):
            if isinstance(old, str) and not _NO_NAME.fullmatch(old):
                found.setdefault(old, set()).add(new)
    return {name: sizes.pop() for name, sizes in found.items() if len(sizes) == 1}


def _shape(
    path: Path,
    one: Declared,
    given: Shape | None,
    named: Mapping[str, int],
    numbers: tuple[float, ...] | None,
    batches: set[int],
    batch: int,
) -> tuple[Shape, bool]:
    """An input's shape, and whether its batch was assumed.

    batches: first sizes of the shapes that were given.
    """
    if given is not None:
        return _checked(path, one, given), False
    if one.sizes is None:
        remedy = f"give it, such as --shape {one.name}=1,3,224,224"
        raise ExportError(f"input {one.name} has no shape", path=path, remedy=remedy)
    sizes = [named.get(size, size) if isinstance(size, str) else size for size in one.sizes]
    if len(sizes) == 1 and isinstance(sizes[0], str) and numbers is not None and len(numbers) > 1:
        sizes[0] = len(numbers)
    assumed = False
    for axis in range(len(sizes)):
        if _is_batch(one, axis, sizes):
            sizes[axis], assumed = batch, batch == 1
    if len(sizes) == 3 and sizes[1] in ("?", "") and len(batches) == 1:  # a state: (layers, batch, width)
        sizes[1], assumed = batches.pop(), True
    if any(isinstance(size, str) for size in sizes):
        example = ",".join(str(size) if isinstance(size, int) else "N" for size in sizes)
        what = "sizes" if sum(isinstance(size, str) for size in sizes) > 1 else "size"
        raise ExportError(
            f"input {one.name} is {_text(one.sizes)}: open {what}",
            path=path,
            remedy=f"give it: --shape {one.name}={example} with a number for each N",
        )
    return _checked(path, one, tuple(int(size) for size in sizes)), assumed


def _is_batch(one: Declared, axis: int, sizes: Sequence[int | str]) -> bool:
    """An open size that is a batch: the file says so, its name does, or it is the first of several and has no name."""
    size = sizes[axis]
    if isinstance(size, int):
        return False
    if one.batch_axis == axis:
        return True
    if _BATCH.fullmatch(size):
        return (one.sizes or ()).count(size) == 1  # N x 3 x N x N: one letter for all that is open
    return axis == 0 and len(sizes) > 1 and _NO_NAME.fullmatch(size) is not None


def _checked(path: Path, one: Declared, shape: Shape) -> Shape:
    if math.prod(shape) > MOST_ELEMENTS:
        raise ExportError(f"input {one.name} is {_text(shape)}: more than {MOST_ELEMENTS} values", path=path)
    return shape


def _array_in(path: Path, name: str, file: Path) -> Any:
    """A .npy file's array; ExportError where it is none."""
    try:
        array = read_npy(file, ARRAY)
    except ExportError as error:
        raise ExportError(f"--input {name}: {error}", path=path) from error
    if (
        max(array.size, *array.shape, 0) > MOST_ELEMENTS
    ):  # of nothing along one axis there may be any number along another
        raise ExportError(f"--input {name}: {file} has more than {MOST_ELEMENTS} values", path=path)
    return array


def _array_of(path: Path, one: Declared, shape: Shape, numbers: tuple[float, ...]) -> Any:
    import numpy as np

    count = math.prod(shape)
    if len(numbers) not in (1, count):
        problem = f"--value {one.name} has {len(numbers)} numbers, its shape {_text(shape)} has {count}"
        raise ExportError(problem, path=path, remedy="give one for all of them, or each")
    return np.full(shape, numbers[0]) if len(numbers) == 1 else np.array(numbers).reshape(shape)  # also of shape ()


def _as_declared(path: Path, one: Declared, values: Any) -> Any:
    """The values in the input's own type; ExportError where that would change them."""
    import numpy as np

    if not one.dtype:
        raise ExportError(f"input {one.name} takes no numbers", path=path)
    kind = np.dtype(one.dtype)
    if kind.kind != "f" and values.dtype.kind not in "iubf":
        raise ExportError(f"input {one.name} takes {kind.name}, not such values as these", path=path)
    with np.errstate(all="ignore"):
        found = values.astype(kind, order="C")  # ascontiguousarray would give a number a dimension
    same = np.array_equal(found, values) if kind.kind != "f" else values.dtype.kind in "fiub"
    if not same:
        raise ExportError(f"input {one.name} is {kind.name}, which does not hold the values given", path=path)
    return found


def _said(one: Declared, numbers: tuple[float, ...] | None, file: Path | None) -> str:
    """An input's values in a few words."""
    if numbers is not None:
        return (
            ",".join(f"{n:g}" if n != int(n) else str(int(n)) for n in numbers)
            if (len(numbers) <= _MOST_SAID)
            else f"{len(numbers)} values"
        )
    if file is not None:
        return file.name
    if not one.dtype:
        return ""  # text, or several tensors: the runtime says that it cannot be bound
    if one.dtype.startswith("float"):
        return RANDOM_FLOATS
    return RANDOM_BYTES if one.dtype in ("uint8", "int8") else RANDOM_INTEGERS


def _stored(one: Declared, shape: Shape, values: Any, said: str, assumed: bool, folder: Path) -> ModelInput:
    if values is None:
        return ModelInput(one.name, one.dtype, shape, said=said, assumed=assumed)
    data = values.tobytes()
    sha256 = hashlib.sha256(data).hexdigest()
    path = folder / f"{sha256}.bin"
    if not path.exists():
        write_atomically(path, data)
    return ModelInput(one.name, one.dtype, shape, path, sha256, said, assumed)


def _text(sizes: Sequence[int | str]) -> str:
    return f"({', '.join(str(size) for size in sizes)})"
