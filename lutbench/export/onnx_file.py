"""A user's ONNX file as an artifact: taken as it is where its inputs have fixed shapes, else a copy that fixes them."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lutbench.errors import ExportError
from lutbench.export.artifact import Artifact, Exported, Recipe
from lutbench.export.cache import ArtifactCache
from lutbench.reading.files import read_bytes
from lutbench.reading.kinds import MODEL

RUNTIME, SUFFIX = "onnx", ".onnx"
DTYPE_OF_FILE = "file"  # what a row says of a file's dtype: the file decides it
MOST_ELEMENTS = 1 << 28  # of one input: 1 GiB of floats

Shapes = Mapping[str, tuple[int, ...]]  # input -> shape, as a user gave it


@dataclass(frozen=True)
class PreparedFile:
    """artifact: what to run; inputs: the names of the model's inputs."""

    artifact: Artifact
    inputs: tuple[str, ...]


def prepare_onnx_file(path: Path, shapes: Shapes, cache: ArtifactCache, batch: int = 1) -> PreparedFile:
    """The file as an artifact; ExportError where it is no ONNX model, or an input's shape is open.

    shapes: those of inputs that the file leaves open, and of any others that the model has; the rest is not used.
    An open first dimension is the batch. ExportError too where file or shapes fix another batch.
    """
    data = _read(path)
    model = _parse(path, data)
    constants = {tensor.name for tensor in model.graph.initializer}
    inputs = tuple(value.name for value in model.graph.input if value.name not in constants)
    wanted = {name: shape for name, shape in shapes.items() if name in inputs}
    sha256 = hashlib.sha256(data).hexdigest()
    name = f"{path.name}#{sha256[:16]}"
    changed = _fix_shapes(path, model, inputs, wanted, batch)
    _check_batch(path, model, inputs, batch)
    if not changed:
        artifact = Artifact(name, RUNTIME, DTYPE_OF_FILE, path.resolve(), sha256, len(data), math.nan)
        return PreparedFile(artifact, inputs)
    fixed = {value.name: _sizes(value) for value in model.graph.input if value.name in inputs}
    recipe = Recipe(name + json.dumps(fixed), RUNTIME, DTYPE_OF_FILE, {"sha256": sha256})
    found = cache.get(recipe, SUFFIX) or cache.put(recipe, SUFFIX, Exported(_serialised(path, model), math.nan))
    return PreparedFile(found, inputs)


def _read(path: Path) -> bytes:
    return read_bytes(path, MODEL)


def _parse(path: Path, data: bytes) -> Any:
    import onnx
    from google.protobuf.message import DecodeError  # type: ignore[import-untyped]

    try:
        model = onnx.load_model_from_string(data)
    except (DecodeError, ValueError) as error:
        raise ExportError("not an ONNX model", path=path) from error
    if not model.graph.output:
        raise ExportError("not an ONNX model: it has no graph", path=path)
    return model


def _sizes(value: Any) -> list[int | str]:
    """An input's dimensions: sizes, names of open ones, "?" for those without a name."""
    dimensions = value.type.tensor_type.shape.dim
    return [d.dim_value if d.dim_value > 0 else d.dim_param or "?" for d in dimensions]


def _fix_shapes(path: Path, model: Any, inputs: tuple[str, ...], shapes: Shapes, batch: int) -> bool:
    """Gives every open dimension of the inputs its size, in place; whether there was any."""
    values = [value for value in model.graph.input if value.name in inputs and value.type.HasField("tensor_type")]
    changed = False
    for value in sorted(values, key=lambda value: value.name not in shapes):  # those given decide names others share
        sizes = _sizes(value)
        ranked = value.type.tensor_type.HasField("shape")
        given = shapes.get(value.name)
        if given is not None and not (ranked and list(given) == sizes):
            _set_shape(path, model, value, given)
            changed = True
        elif sizes and isinstance(sizes[0], str) and all(isinstance(size, int) for size in sizes[1:]):
            _set_shape(path, model, value, (batch, *(int(size) for size in sizes[1:])))
            changed = True
    for value in values:
        _check_fixed(path, value)
    return changed


def _set_shape(path: Path, model: Any, value: Any, shape: tuple[int, ...]) -> None:
    """Gives an input this shape, and the sizes that have a name there the same size wherever the name stands."""
    tensor = value.type.tensor_type
    if not tensor.HasField("shape"):
        for _ in shape:
            tensor.shape.dim.add()
    sizes = _sizes(value)
    fits = len(sizes) == len(shape) and all(
        isinstance(old, str) or old == new for old, new in zip(sizes, shape, strict=True)
    )
    if not fits:
        raise ExportError(f"input {value.name} is {_text(sizes)}, which {_text(shape)} does not fit", path=path)
    named: dict[str, int] = {}
    for dimension, size in zip(tensor.shape.dim, shape, strict=True):
        if dimension.dim_param and named.setdefault(dimension.dim_param, size) != size:
            raise ExportError(f"input {value.name} has {dimension.dim_param} twice, in two sizes", path=path)
        dimension.dim_value = size
    graph = model.graph
    for other in (*graph.input, *graph.output, *graph.value_info):
        for dimension in other.type.tensor_type.shape.dim:
            if dimension.dim_param in named:
                dimension.dim_value = named[dimension.dim_param]


def _check_batch(path: Path, model: Any, inputs: tuple[str, ...], batch: int) -> None:
    """ExportError where a batch of several is asked for and no input is of so many: its times would be of another."""
    sizes = {value.name: _sizes(value) for value in model.graph.input if value.name in inputs}
    if batch == 1 or any(found and found[0] == batch for found in sizes.values()):
        return
    first = next((f"input {name} is {_text(found)}" for name, found in sizes.items() if found), "it has no input")
    raise ExportError(
        f"it does not take {batch} images at once: {first}",
        path=path,
        remedy="export it with an open first dimension, or time it without --batch",
    )


def _check_fixed(path: Path, value: Any) -> None:
    sizes = _sizes(value)
    if not value.type.tensor_type.HasField("shape"):
        raise ExportError(
            f"input {value.name} has no shape", path=path, remedy=f"give it, such as --shape {value.name}=1,3,224,224"
        )
    if any(isinstance(size, str) for size in sizes):
        example = ",".join(
            str(size) if isinstance(size, int) else "1" if place == 0 else "N" for place, size in enumerate(sizes)
        )
        raise ExportError(
            f"input {value.name} is {_text(sizes)}: an open size",
            path=path,
            remedy=f"give it: --shape {value.name}={example} with a number for each N",
        )
    if math.prod(int(size) for size in sizes) > MOST_ELEMENTS:
        raise ExportError(f"input {value.name} is {_text(sizes)}: more than {MOST_ELEMENTS} values", path=path)


def _text(sizes: list[int | str] | tuple[int, ...]) -> str:
    return f"({', '.join(str(size) for size in sizes)})"


def _serialised(path: Path, model: Any) -> bytes:
    """The model's bytes with its weights inside, for a copy stands in another folder than weights in files beside."""
    from google.protobuf.message import EncodeError
    from onnx.checker import ValidationError
    from onnx.external_data_helper import load_external_data_for_model

    try:
        load_external_data_for_model(model, str(path.parent))
        return bytes(model.SerializeToString(deterministic=True))
    except (OSError, ValueError, EncodeError, ValidationError) as error:
        raise ExportError(f"its shapes cannot be fixed: {error}", path=path) from error
