"""Reads a user's ONNX file: what its inputs are, and which other files it takes its weights from."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Any

from lutbench.errors import ExportError
from lutbench.export.artifact import Companion
from lutbench.export.model_inputs import Declared
from lutbench.export.onnx_graph import graphs_within
from lutbench.reading.files import check_regular, is_there, read_bytes
from lutbench.reading.kinds import ARTIFACT, MODEL
from lutbench.reading.plain import show

_POINTER = b"version https://git-lfs.github.com/spec/"
_CHUNK_BYTES = 1 << 22
_BATCH_DENOTATION = "DATA_BATCH"


def read_onnx(path: Path) -> tuple[tuple[Declared, ...], tuple[Companion, ...]]:
    """Inputs and companions; ExportError where it is no ONNX model, or its weights are not there."""
    model = parse_onnx(path)
    constants = {tensor.name for tensor in model.graph.initializer}
    constants |= {tensor.values.name for tensor in model.graph.sparse_initializer}
    inputs = tuple(_declared(value) for value in model.graph.input if value.name not in constants)
    return inputs, tuple(_companions(path, model))


def parse_onnx(path: Path) -> Any:
    """The model without the weights of files beside it; ExportError where it is none."""
    import onnx
    from google.protobuf.message import DecodeError  # type: ignore[import-untyped]

    data = read_bytes(path, MODEL)
    if data.startswith(_POINTER):
        raise ExportError("a pointer of Git LFS, not the model itself", path=path, remedy="git lfs pull fetches it")
    try:
        model = onnx.load_model_from_string(data)
    except (DecodeError, ValueError) as error:
        raise ExportError("not an ONNX model", path=path) from error
    if not model.graph.output:
        raise ExportError("not an ONNX model: it has no graph", path=path)
    if name := next(_broken_texts(model), None):
        raise ExportError(f"an ONNX model that is damaged: {show(name)} is no text", path=path)
    return model


def _broken_texts(message: Any) -> Iterator[bytes]:
    """Names and other texts that are not UTF-8, anywhere within: protobuf gives their bytes instead."""
    for field, value in message.ListFields():
        if field.type == field.TYPE_MESSAGE:
            for inner in (value,) if hasattr(value, "ListFields") else value:
                yield from _broken_texts(inner)
        elif field.type == field.TYPE_STRING:
            texts = (value,) if isinstance(value, str | bytes) else value
            yield from (text for text in texts if isinstance(text, bytes))


def digest(path: Path) -> tuple[str, int]:
    """A file's sha256 and size, read in pieces; ExportError where it cannot be read."""
    found, size = hashlib.sha256(), 0
    try:
        with path.open("rb") as file:
            while chunk := file.read(_CHUNK_BYTES):
                found.update(chunk)
                size += len(chunk)
    except OSError as error:
        raise ExportError(f"cannot be read: {error.strerror or error}", path=path) from error
    return found.hexdigest(), size


def _declared(value: Any) -> Declared:
    tensor = value.type.tensor_type
    if not value.type.HasField("tensor_type"):
        return Declared(value.name, "", ())  # a sequence, or an optional: the runtime says so
    if not tensor.HasField("shape"):
        return Declared(value.name, _dtype(tensor.elem_type), None)
    sizes = tuple(
        d.dim_value if d.HasField("dim_value") and d.dim_value >= 0 else d.dim_param or "?" for d in tensor.shape.dim
    )
    batch = [axis for axis, d in enumerate(tensor.shape.dim) if d.denotation == _BATCH_DENOTATION]
    return Declared(value.name, _dtype(tensor.elem_type), sizes, batch[0] if batch else None)


def _dtype(kind: int) -> str:
    """numpy's name of an element type; "" where numpy has none."""
    from onnx import TensorProto, helper

    known = {TensorProto.BOOL, TensorProto.FLOAT, TensorProto.DOUBLE, TensorProto.FLOAT16}
    known |= {getattr(TensorProto, f"{sign}INT{bits}") for sign in ("", "U") for bits in (8, 16, 32, 64)}
    return str(helper.tensor_dtype_to_np_dtype(kind)) if kind in known else ""


def _companions(path: Path, model: Any) -> Iterator[Companion]:
    """The files that tensors lie in, each once; ExportError where one is not there, is short, or may not be read."""
    needed: dict[str, int] = {}
    for tensor in _tensors(model):
        entries = {entry.key: entry.value for entry in tensor.external_data}
        try:
            end = int(entries.get("offset") or 0) + int(entries.get("length") or 0)
        except ValueError:
            raise ExportError(f"tensor {tensor.name} has no number for its place in a file", path=path) from None
        place = entries.get("location", "")
        needed[place] = max(end, needed.get(place, 0))
    for place, end in needed.items():
        found = _found(path, place)
        sha256, size = digest(found)
        if size < end:
            problem = f"its weights are cut short: {place} has {size} bytes where {end} are needed"
            raise ExportError(problem, path=path)
        yield Companion(place, found, sha256, size)


def _tensors(model: Any) -> Iterator[Any]:
    """Every tensor whose values lie in a file, wherever in the model it stands."""
    from onnx import TensorProto

    graphs = [*graphs_within(model.graph)]
    nodes = [node for graph in graphs for node in graph.node]
    for function in model.functions:
        nodes.extend(node for graph in graphs_within(function) for node in graph.node)
    for tensor in (
        *(tensor for graph in graphs for tensor in graph.initializer),
        *(
            tensor
            for node in nodes
            for a in node.attribute
            for tensor in (*([a.t] if a.HasField("t") else []), *a.tensors)
        ),
    ):
        if tensor.data_location == TensorProto.EXTERNAL:
            yield tensor


def _found(path: Path, place: str) -> Path:
    """Where ONNX Runtime looks: beside the link; it must lie in that folder or in the one of what the link leads to."""
    if not place or PurePosixPath(place).is_absolute() or "\0" in place:
        raise ExportError(f"its weights are in {place or 'a file without a name'}: not a place beside it", path=path)
    beside = path.parent / place
    real = Path(os.path.realpath(beside))
    allowed = {Path(os.path.realpath(path.parent)), Path(os.path.realpath(path)).parent}
    if not is_there(beside):
        raise ExportError(f"its weights are missing: there is no {place} beside it", path=path)
    if not any(real.is_relative_to(folder) for folder in allowed):
        raise ExportError(f"its weights are in {place}, outside of its folder, which ONNX Runtime refuses", path=path)
    try:
        check_regular(real, ARTIFACT)
    except ExportError as error:
        raise ExportError(f"its weights cannot be read: {place} {error.problem}", path=path) from error
    return beside
