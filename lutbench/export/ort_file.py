"""Reads the inputs of a model in ONNX Runtime's own format (.ort; onnxruntime/core/flatbuffers/schema/ort.fbs)."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from lutbench.export.artifact import Companion
from lutbench.export.flat import FlatError, FlatTable
from lutbench.export.flat_model import read_flat_model
from lutbench.export.model_inputs import Declared

_MARK = b"ORTM"
_MODEL, _GRAPH = 1, 7  # of the session, of the model
_INITIALIZERS, _VALUES, _INPUTS = 0, 1, 5  # of the graph
_NAME, _TYPE = 0, 2  # of a value
_KIND, _OF_KIND, _TENSOR = 1, 2, 1  # of its type, and the kind that is a tensor
_ELEMENT, _SHAPE, _SIZES = 0, 1, 0
_SIZE, _SIZE_KIND, _NUMBER, _PARAM = 0, 0, 1, 2
_IS_NUMBER, _IS_PARAM = 1, 2
_DTYPES = {
    1: "float32", 2: "uint8", 3: "int8", 4: "uint16", 5: "int16", 6: "int32", 7: "int64", 9: "bool", 10: "float16",
    11: "float64", 12: "uint32", 13: "uint64",
}  # fmt: skip


def read_ort(path: Path) -> tuple[tuple[Declared, ...], tuple[Companion, ...]]:
    """Its inputs; ExportError where it is no such file."""
    return read_flat_model(path, _MARK, "a model in ONNX Runtime's format", _inputs)


def _inputs(data: bytes) -> Iterator[Declared]:
    model = FlatTable.root(data).table(_MODEL)
    graph = model.table(_GRAPH) if model else None
    if graph is None:
        raise FlatError("it has no graph")
    constants = {tensor.text(_NAME) for tensor in graph.tables(_INITIALIZERS)}
    values = {value.text(_NAME): value for value in graph.tables(_VALUES)}
    for name in graph.texts(_INPUTS):
        if name not in constants:
            yield _declared(name, values.get(name))


def _declared(name: str, value: FlatTable | None) -> Declared:
    kind = value.table(_TYPE) if value else None
    tensor = kind.table(_OF_KIND) if kind and kind.integer(_KIND, "<B") == _TENSOR else None
    if tensor is None:
        return Declared(name, "", ())
    shape = tensor.table(_SHAPE)
    sizes = None if shape is None else tuple(_size(dimension) for dimension in shape.tables(_SIZES))
    return Declared(name, _DTYPES.get(tensor.integer(_ELEMENT, "<i"), ""), sizes)


def _size(dimension: FlatTable) -> int | str:
    size = dimension.table(_SIZE)
    kind = size.integer(_SIZE_KIND, "<b") if size else 0
    if size is not None and kind == _IS_NUMBER and size.integer(_NUMBER, "<q") >= 0:
        return size.integer(_NUMBER, "<q")
    return (size.text(_PARAM) if size is not None and kind == _IS_PARAM else "") or "?"
