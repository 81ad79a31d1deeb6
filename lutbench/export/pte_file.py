"""Reads the inputs of an ExecuTorch program (.pte; executorch/schema/program.fbs)."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path

from lutbench.errors import ExportError
from lutbench.export.artifact import Companion
from lutbench.export.flat import FlatError, FlatTable
from lutbench.export.flat_model import read_flat_model
from lutbench.export.model_inputs import Declared
from lutbench.reading.plain import show

_MARK = b"ET"
_PLANS, _PLAN_NAME, _VALUES, _INPUTS = 1, 0, 2, 3
_KIND, _VALUE, _TENSOR = 0, 1, 5
_SCALAR_TYPE, _SIZES = 0, 2
_METHOD = "forward"
_MOST_NAMED = 5  # of other methods
_DTYPES = {
    0: "uint8", 1: "int8", 2: "int16", 3: "int32", 4: "int64", 5: "float16", 6: "float32", 7: "float64", 11: "bool",
    27: "uint16", 28: "uint32", 29: "uint64",
}  # fmt: skip


def read_pte(path: Path) -> tuple[tuple[Declared, ...], tuple[Companion, ...]]:
    """Its inputs: the largest sizes where it takes several. ExportError where it is no such file."""
    return read_flat_model(path, _MARK, "an ExecuTorch program", partial(_inputs, path))


def _inputs(path: Path, data: bytes) -> Iterator[Declared]:
    plans = {plan.text(_PLAN_NAME): plan for plan in FlatTable.root(data).tables(_PLANS)}
    if _METHOD not in plans:
        named = ", ".join(show(name) for name in list(plans)[:_MOST_NAMED]) or "none"
        raise ExportError(f"it has no method {_METHOD}, but {named}", path=path)
    values = list(plans[_METHOD].tables(_VALUES))
    for number, index in enumerate(plans[_METHOD].integers(_INPUTS)):
        if not 0 <= index < len(values):
            raise FlatError("an input that it has no value of")
        tensor = values[index].table(_VALUE) if values[index].integer(_KIND, "<B") == _TENSOR else None
        if tensor is None:
            raise ExportError(f"input {number} is no tensor, and cannot be bound", path=path)
        dtype = _DTYPES.get(tensor.integer(_SCALAR_TYPE, "<b"), "")
        yield Declared(f"input{number}", dtype, tuple(n if n >= 0 else "?" for n in tensor.integers(_SIZES)))
