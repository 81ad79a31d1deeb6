"""NNI's latency table (its PFLD and FBNet examples, `lut.txt`): one record per line as a Python literal, microseconds.

    {'op_name': 'mb_k3_e2_res', 'op_data_shape': (14, 14, 32, 32, 1), 'op_dtype': 'float', 'op_latency': 123.4}

op_data_shape is (width, height, channels in, channels out, stride). A JSON or YAML list of such records, or JSON lines,
are taken in as well.
"""

from __future__ import annotations

import ast
import re
import warnings
from collections.abc import Iterator
from pathlib import Path

from lutbench.errors import LutError, UsageError
from lutbench.lut.importers.entry import Collector, Reading, decode, known, printable
from lutbench.lut.metadata import UNKNOWN
from lutbench.reading.json_text import parse_json, plain_json
from lutbench.reading.kinds import PUBLISHED_TABLE
from lutbench.reading.plain import show
from lutbench.reading.yaml_text import top_level_items
from lutbench.space.candidate import Candidate
from lutbench.space.operator import Operator, block_operator

_LONGEST_LINE = 4096
_LARGEST_SIZE = 1 << 20
# the examples' own names (mb_k3_e2_res) and FBNet's (ir_k3_e6; ir_k3_s2: expansion 1, two groups)
_MB = re.compile(r"mb_k(?P<kernel>\d)(?:_e(?P<expansion>\d))?(?P<res>_res)?", re.ASCII)
_IR = re.compile(r"ir_k(?P<kernel>\d)_(?:e(?P<expansion>\d)|s(?P<groups>2))", re.ASCII)
_DTYPES = {"float": "fp32", "float32": "fp32", "int8": "int8"}


def read(data: bytes, path: Path, select: str) -> Reading:
    """The rows of one op_dtype; select names it where there are several."""
    records = list(_records(decode(data, path), path))
    dtype = _chosen(records, select, path)
    found = Collector()
    for record, line in records:
        if not isinstance(record, dict):
            found.leave_out(f"line {line}", f"is {show(record)}, not a record")
        elif _dtype(record) == dtype:
            _add(found, record, line)
    return Reading(tuple(found.entries), tuple(found.left_out), dtype=_DTYPES.get(dtype, UNKNOWN), select=dtype)


def _records(text: str, path: Path) -> Iterator[tuple[object, int]]:
    start = text.lstrip()[:2]
    if start.startswith("["):
        items = parse_json(text, path, PUBLISHED_TABLE)
        yield from ((item, number) for number, item in enumerate(items, start=1))
    elif start.startswith("-"):
        yield from top_level_items(text, path, PUBLISHED_TABLE)
    else:
        yield from ((_literal(line, number, path), number) for number, line in _lines(text))


def _lines(text: str) -> Iterator[tuple[int, str]]:
    return ((number, line.strip()) for number, line in enumerate(text.split("\n"), start=1) if line.strip())


def _literal(line: str, number: int, path: Path) -> object:
    """A line's record: a Python literal, or JSON, which has words of its own (null, true)."""
    if len(line) > _LONGEST_LINE or not line.startswith("{"):
        raise LutError(
            "is not a record {'op_name': ..., 'op_data_shape': ..., 'op_latency': ...}", path=path, line=number
        )
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # an odd escape in a text is not for the user to read about
            found: object = ast.literal_eval(line)
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
        try:
            found = plain_json(line)
        except ValueError:
            raise LutError("is neither a Python literal nor JSON", path=path, line=number) from None
    return found


def _dtype(record: dict[object, object]) -> str:
    dtype = record.get("op_dtype", "")
    return printable(dtype) if isinstance(dtype, str) else show(dtype)


def _chosen(records: list[tuple[object, int]], select: str, path: Path) -> str:
    there = sorted({_dtype(record) for record, _ in records if isinstance(record, dict)})
    if not there:
        raise LutError("holds no record with op_name, op_data_shape and op_latency", path=path)
    if select and select not in there:
        raise UsageError(f"the file has no op_dtype {select!r}", path=path, remedy=f"--select {', '.join(there)}")
    if not select and len(there) > 1:
        raise UsageError(
            f"the file holds {len(there)} op_dtypes", path=path, remedy=f"--select {', '.join(filter(None, there))}"
        )
    return select or there[0]


def _add(found: Collector, record: dict[object, object], line: int) -> None:
    name, shape = record.get("op_name"), _shape(record.get("op_data_shape"))
    if not isinstance(name, str) or shape is None:
        found.leave_out(f"line {line}", "op_name or op_data_shape (width, height, in, out, stride) is missing or wrong")
        return
    key = f"{name}-{'x'.join(str(size) for size in shape)}"
    found.add(key, known(lambda: _operator(name, *shape)), record.get("op_latency"))


def _shape(value: object) -> tuple[int, int, int, int, int] | None:
    """(width, height, channels in, channels out, stride), from a list or, as YAML has tuples, from text."""
    if isinstance(value, str):
        numbers = re.fullmatch(r"[\[(]\s*(\d{1,6}(?:\s*,\s*\d{1,6}){4})\s*[\])]", value, re.ASCII)
        value = [int(text) for text in numbers[1].split(",")] if numbers else None
    if not isinstance(value, (list, tuple)) or len(value) != 5:
        return None
    if any(not isinstance(size, int) or isinstance(size, bool) or not 0 < size <= _LARGEST_SIZE for size in value):
        return None
    width, height, c_in, c_out, stride = value
    return width, height, c_in, c_out, stride


def _operator(name: str, width: int, height: int, c_in: int, c_out: int, stride: int) -> Operator | None:
    """One of lutbench's operators; None for dilated, squeezed, separable and ghost ones, which are none."""
    if name == "skip":
        return block_operator(Candidate(), c_in, height, width, c_out, stride)
    if name == "conv1x1":
        return Operator("conv", c_in, height, width, c_out, 1, stride)
    match = _IR.fullmatch(name) or _MB.fullmatch(name)
    if match is None:
        return None
    parts = match.groupdict()
    candidate = Candidate(int(parts["kernel"]), float(parts["expansion"] or 1), int(parts.get("groups") or 1))
    block = block_operator(candidate, c_in, height, width, c_out, stride)
    # an mb block adds its input only where its name says so, and whatever the channels are
    adds = block.has_residual if name.startswith("ir_") else parts["res"] is not None and stride == 1
    return block if adds == block.has_residual else None
