"""Damaged ONNX models: small ones with parts exchanged, cut, renamed or retyped, or with bytes changed."""

from __future__ import annotations

import random
import tempfile
from collections.abc import Callable
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any

from lutbench.errors import ExportError
from lutbench.export.model_files import prepare_model, read_model
from lutbench.export.model_inputs import Choices
from lutbench.export.onnx_counts import count_onnx
from tests.onnx_models import convolution, tokens


def mutated_models(rng: random.Random) -> bytes:
    """One damaged model; the same for the same state of rng."""
    model = _model(rng.choice(_seeds()))
    for _ in range(rng.randrange(4)):
        rng.choice(_CHANGES)(rng, model)
    data = bytearray(model.SerializeToString())
    for _ in range(rng.choice((0, 0, 1, 3))):
        data[rng.randrange(len(data))] = rng.randrange(256)
    return bytes(data[: rng.randrange(1, len(data) + 1)] if rng.random() < 0.1 else data)


def read_as_bench_does(path: Path) -> None:
    """What `bench` does with a model's file before a runtime sees it; ExportError where it refuses the file."""
    model = read_model(path)
    choices = Choices({one.name: (1, 3, 8, 8)[: len(one.sizes or ())] for one in model.inputs if one.sizes})
    with suppress(ExportError):  # sizes that it leaves open are asked for
        prepare_model(model, Choices(), path.parent / "cache")
    count_onnx(path, {})
    try:
        artifact = prepare_model(model, choices, path.parent / "cache")
    finally:
        count_onnx(path, dict(choices.shapes))
    assert artifact.use is not None


def _model(data: bytes) -> Any:
    import onnx

    return onnx.load_model_from_string(data)


@cache
def _seeds() -> tuple[bytes, ...]:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        beside = {"save_as_external_data": True, "location": "none.bin", "size_threshold": 0}
        made = (
            convolution(folder / "a.onnx"),
            convolution(folder / "b.onnx", ("N", 3, "H", "?")),
            convolution(folder / "c.onnx", **beside),
            tokens(folder / "d.onnx"),
        )
        return tuple(path.read_bytes() for path in made)


def _names(rng: random.Random, model: Any) -> None:
    node = rng.choice(model.graph.node) if model.graph.node else None
    names = (node.input if rng.random() < 0.5 else node.output) if node else ()
    if names:
        names[rng.randrange(len(names))] = rng.choice(["", "x", "w", "y", "ids", "none", "a\nb", "\u202e"])


def _dimension(rng: random.Random, model: Any) -> None:
    value = rng.choice([*model.graph.input, *model.graph.output, *model.graph.value_info] or [None])
    sizes = value.type.tensor_type.shape.dim if value else ()
    if sizes and rng.random() < 0.8:
        size = rng.choice(sizes)
        if rng.random() < 0.5:
            size.dim_value = rng.choice([0, -1, -(1 << 63), (1 << 63) - 1, 1 << 31, 7])
        else:
            size.dim_param = rng.choice(["", "?", "N", "batch", "x" * 5000, "\n", "unk__3"])
    elif value:
        value.type.tensor_type.ClearField("shape")


def _kind(rng: random.Random, model: Any) -> None:
    value = rng.choice([*model.graph.input, *model.graph.initializer] or [None])
    number = rng.choice([0, 1, 7, 8, 9, 16, 17, 23, 99, -5])
    if value is not None and hasattr(value, "data_type"):
        value.data_type = number
    elif value is not None:
        value.type.tensor_type.elem_type = number


def _operator(rng: random.Random, model: Any) -> None:
    if model.graph.node:
        node = rng.choice(model.graph.node)
        node.op_type = rng.choice(
            ["Conv", "MatMul", "Gemm", "Constant", "If", "QLinearConcat", "Identity", "", "Einsum"]
        )
        node.domain = rng.choice(["", "com.microsoft", "nowhere"])


def _tensor(rng: random.Random, model: Any) -> None:
    if model.graph.initializer:
        tensor = rng.choice(model.graph.initializer)
        del tensor.dims[rng.randrange(len(tensor.dims) + 1) :]
        tensor.dims.append(rng.choice([0, -3, 1 << 40, (1 << 63) - 1, 5]))
        if rng.random() < 0.3:
            tensor.data_location = 1
            entry = tensor.external_data.add()
            entry.key = rng.choice(["location", "offset", "length", "?"])
            entry.value = rng.choice(["../x", "/etc/passwd", "", "-1", "9" * 5000, "a.onnx", "input.onnx", "."])


def _cut(rng: random.Random, model: Any) -> None:
    parts = rng.choice([model.graph.node, model.graph.input, model.graph.output, model.graph.initializer])
    if parts:
        del parts[rng.randrange(len(parts))]


def _again(rng: random.Random, model: Any) -> None:
    parts = rng.choice([model.graph.node, model.graph.input, model.graph.output, model.graph.initializer])
    if parts:
        parts.add().CopyFrom(rng.choice(parts))


def _inner(rng: random.Random, model: Any) -> None:
    """A branch that is the whole graph, some levels deep."""
    for _ in range(rng.choice((1, 3, 30))):
        copy = type(model.graph)()
        copy.CopyFrom(model.graph)
        node = model.graph.node.add()
        node.op_type = rng.choice(["If", "Loop", "Other"])
        attribute = node.attribute.add()
        attribute.name = "then_branch"
        attribute.type = 5
        del copy.initializer[:]
        if copy.ByteSize() < 1 << 18:
            attribute.g.CopyFrom(copy)


_CHANGES: tuple[Callable[[random.Random, Any], None], ...] = (
    *(_names, _dimension, _dimension, _kind, _operator, _tensor, _cut, _again, _inner),
)
