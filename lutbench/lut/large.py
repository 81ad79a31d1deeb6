"""Large LUTs, read a column at a time: only what is certainly right, as lutbench writes it.

Whatever else a file holds is left to the reader of rows (lutbench.lut.file), which alone decides what is an error and
names its line. Both make the same numbers of the same text, with float() and int().
"""

from __future__ import annotations

import csv
import math
import operator
import re
from collections.abc import Callable, Sequence
from functools import lru_cache
from itertools import groupby
from typing import Any

from lutbench.errors import SpaceError
from lutbench.lut.row import COLUMNS, COUNT_COLUMNS, FAILED_PREFIX, LATENCY_COLUMNS, OK, PART_COLUMNS, ColumnRows
from lutbench.space.blocks.table import KINDS
from lutbench.space.operator import name_template, parse_operator

LARGE = 2000  # lines from which reading columns pays for importing numpy

# column -> cells, as they stand in the file; in tuples, which the garbage collector soon stops to look through
_Texts = dict[str, tuple[str, ...]]

_FIGURES = (*LATENCY_COLUMNS, *COUNT_COLUMNS, "status")  # the columns that are not in the operator's name

# the kinds whose names are made of columns; the others' rows are looked at one by one
_NAMES: dict[str, tuple[str, tuple[str, ...]]] = {
    name: name_template(kind) for name, kind in KINDS.items() if kind.by_columns
}
_LARGEST_PART = {"kernel": 99, "stride": 99, "groups": 999}  # more digits than an operator's name may have
_LARGEST = 1 << 20


class _Unusual(Exception):  # noqa: N818 - not an error: the reader of rows decides
    """Something that reading by columns leaves to the reader of rows."""


def read_columns(lines: Sequence[str]) -> ColumnRows | None:
    """The rows of a LUT's CSV lines, the column line first; None where any of them is not plainly right."""
    try:
        _require(len(lines) > 1 and lines[0] == ",".join(COLUMNS))
        heads, texts = _split(lines[1:])
        parts = _parts(heads)
        return ColumnRows({**parts, **_figures(texts, parts["kind"]), "status": texts["status"]})
    except (_Unusual, SpaceError, csv.Error, ValueError, OverflowError):
        return None


def _require(condition: object) -> None:
    if not condition:
        raise _Unusual


def _split(lines: Sequence[str]) -> tuple[tuple[str, ...], _Texts]:
    """Of each line the text that names the operator and its parts, and the columns of the rest."""
    width = 1 + len(_FIGURES)
    cells: list[str] = []  # one flat list: one per line would keep the garbage collector busy
    for line in lines:
        row = _split_line(line)
        _require(len(row) == width)
        cells += row
    return tuple(cells[::width]), {name: tuple(cells[place::width]) for place, name in enumerate(_FIGURES, 1)}


def _split_line(line: str) -> list[str]:
    if '"' not in line and "\r" not in line:  # then commas are all there is to CSV
        return line.rsplit(",", len(_FIGURES))
    cells = next(csv.reader([line], strict=True))
    head = ",".join(cells[: -len(_FIGURES)])
    _require(line.startswith(f"{head},"))  # only the status may be quoted
    return [head, *cells[-len(_FIGURES) :]]


def _converted(cells: Sequence[Any], convert: Callable[[Any], Any]) -> tuple[Any, ...]:
    """Each cell converted, each distinct one once."""
    known = {text: convert(text) for text in set(cells)}
    return tuple(map(known.__getitem__, cells))


def _whole(text: str) -> int:
    value = int(text)
    _require(str(value) == text)
    return value


def _expansion(text: str) -> float:
    value = float(text)
    _require(re.fullmatch(r"\d{1,3}(\.\d{1,6})?", text) and f"{value:g}" == text)
    return value


_CONVERT: dict[str, Callable[[str], Any]] = {
    **dict.fromkeys(PART_COLUMNS, _whole),
    "kind": str,
    "expansion": _expansion,
}


@lru_cache(maxsize=1)  # two LUTs that are compared mostly have the same operators
def _parts(heads: tuple[str, ...]) -> dict[str, tuple[Any, ...]]:
    """The columns of operator and parts, each row's parts found to be those of the operator that its name is of."""
    columns = ("operator", *PART_COLUMNS)
    _require(all(head.count(",") == len(columns) - 1 for head in heads))
    cells = ",".join(heads).split(",")
    texts = {name: tuple(cells[place :: len(columns)]) for place, name in enumerate(columns)}
    names = texts["operator"]
    _require(all(map(operator.lt, names, names[1:])))  # sorted, each once
    parts = {name: _converted(texts[name], _CONVERT[name]) for name in PART_COLUMNS}
    start = 0
    for _, same in groupby(texts["kind"]):  # sorted by name, the rows of a kind stand together
        end = start + len(list(same))
        run = slice(start, end)
        _check_run({n: v[run] for n, v in parts.items()}, {n: v[run] for n, v in texts.items()})
        start = end
    return {"operator": names, **parts}


def _check_run(parts: dict[str, tuple[Any, ...]], texts: _Texts) -> None:
    """That rows of one kind are named after their parts, and that those make an operator."""
    kind, names = parts["kind"][0], texts["operator"]
    if kind not in _NAMES:
        _check_each(names, parts)
        return
    template, filled = _NAMES[kind]
    plain = tuple(map(template.__mod__, zip(*(texts[column] for column in filled), strict=True)))
    if names != plain:  # some have further options in their names
        _check_each(names, parts)
        return
    same = parse_operator(names[0])  # what the name does not say is the same for all of a kind
    for column in PART_COLUMNS:
        values = set(parts[column])
        if column in filled and column != "expansion":
            _require(min(values) >= 1 and max(values) <= _LARGEST_PART.get(column, _LARGEST))
        elif column not in filled and not (column == "c_out" and kind in ("pool", "identity")):
            _require(values == {getattr(same, column)})
    if kind in ("pool", "identity"):
        _require(parts["c_out"] == parts["c_in"])
    if "kernel" in filled:
        _require(all(value % 2 for value in set(parts["kernel"])))
    if "groups" in filled:
        _check_groups(parts)


def _check_each(names: Sequence[str], parts: dict[str, tuple[Any, ...]]) -> None:
    for place, name in enumerate(names):
        found = parse_operator(name)
        _require(all(parts[column][place] == getattr(found, column) for column in PART_COLUMNS))


def _check_groups(parts: dict[str, tuple[Any, ...]]) -> None:
    """The rule of Operator: every channel count of an inverted residual block divides into its groups."""
    import numpy as np

    c_in, c_out, groups = (np.array(parts[column]) for column in ("c_in", "c_out", "groups"))
    middle = np.rint(c_in * np.array(parts["expansion"])).astype(np.int64)
    _require((middle >= 1).all())
    _require(not (c_in % groups).any() and not (middle % groups).any() and not (c_out % groups).any())


def _figures(texts: _Texts, kinds: Sequence[str]) -> dict[str, tuple[Any, ...]]:
    """The columns of latencies and counts, found to keep what Row asks for."""
    import numpy as np

    statuses = texts["status"]
    _require(all(text == OK or text.startswith(FAILED_PREFIX) for text in set(statuses)))
    ok = np.array([text == OK for text in statuses])
    failed = np.flatnonzero(~ok).tolist()
    latencies = {name: _floats(texts[name], failed) for name in LATENCY_COLUMNS}
    counts = {name: _converted(texts[name], int) for name in COUNT_COLUMNS}
    _require(all(min(values) >= 0 for values in counts.values()))
    latency_us, low_us, high_us, p10_us, p90_us, least_us = (np.array(latencies[name])[ok] for name in LATENCY_COLUMNS)
    free = np.array([kind == "identity" for kind in kinds])[ok]
    sane = np.isfinite(latency_us) & ((latency_us > 0) | ((latency_us == 0) & free))
    sane &= (low_us >= 0) & (low_us <= latency_us) & (latency_us <= high_us)
    sane &= (least_us >= 0) & (least_us <= p10_us) & (p10_us <= p90_us) & (p90_us < math.inf)
    _require(sane.all())
    return {**latencies, **counts}


def _floats(texts: Sequence[str], failed: Sequence[int]) -> tuple[float, ...]:
    """A column of latencies. A failed row has none; where it has, the reader of rows looks at it."""
    _require(not any(texts[place] for place in failed))
    if not failed:
        return tuple(map(float, texts))
    cells = list(texts)
    for place in failed:
        cells[place] = "nan"
    return tuple(map(float, cells))
