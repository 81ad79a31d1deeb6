"""HW-NAS-Bench: a pickle of {"fbnet": {"pixel3_latency": {key: milliseconds}, ...}, "nasbench201": ...}.

    ConvBlock_H112_W112_Cin16_Cout24_exp6_kernel3_stride2_group1   H, W: of the input
    ConvNorm_H224_W224_Cin3_Cout16_kernel3_stride2_group1, Skip_H.._W.._Cin.._Cout.._stride..,
    AvgP_H7_W7_Cin1984_Cout1984_kernel7_stride1, FC_Cin1984_Cout1000

One table holds the rows of two nets: ImageNet's (224 x 224) and CIFAR-100's (32 x 32).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from lutbench.errors import LutError, UsageError
from lutbench.lut.importers.entry import Collector, Reading, known, matched, printable
from lutbench.reading.kinds import PUBLISHED_TABLE
from lutbench.reading.pickle_data import load_data
from lutbench.reading.plain import show
from lutbench.space.operator import Operator

_SPACE = "fbnet"
_SUFFIX = "_latency"


def _key(kind: str, *fields: str) -> re.Pattern[str]:
    return re.compile("_".join([kind, *(rf"{field}(?P<{field}>\d{{1,6}})" for field in fields)]), re.ASCII)


_KEYS = {
    "ConvBlock": _key("ConvBlock", "H", "W", "Cin", "Cout", "exp", "kernel", "stride", "group"),
    "ConvNorm": _key("ConvNorm", "H", "W", "Cin", "Cout", "kernel", "stride", "group"),
    "Skip": _key("Skip", "H", "W", "Cin", "Cout", "stride"),
    "AvgP": _key("AvgP", "H", "W", "Cin", "Cout", "kernel", "stride"),
    "FC": _key("FC", "Cin", "Cout"),
}


def read(data: bytes, path: Path, select: str) -> Reading:
    """The rows of one device's table; select names it (`pixel3` or `pixel3_latency`)."""
    tables = _tables(load_data(data, path, PUBLISHED_TABLE), path)
    name = _chosen(tables, select, path)
    found = Collector()
    for key, value in tables[name].items():
        if isinstance(key, str):
            found.add(key, _operator(key), value)
        else:
            found.leave_out(show(key), "its key is not text")
    return Reading(tuple(found.entries), tuple(found.left_out), device=name.removesuffix(_SUFFIX), select=name)


def _tables(content: object, path: Path) -> dict[str, Mapping[object, object]]:
    """The latency tables of the FBNet space by name; those of energy are not latencies."""
    spaces: Any = content if isinstance(content, dict) else {}
    tables = spaces.get(_SPACE, spaces)
    found: dict[str, Mapping[object, object]] = {
        name: table
        for name, table in (tables.items() if isinstance(tables, dict) else ())
        if isinstance(name, str) and name.endswith(_SUFFIX) and isinstance(table, dict)
    }
    if not found:
        raise LutError(
            f"holds no latency table of operators: {_SPACE!r} with tables named NAME{_SUFFIX} is missing", path=path
        )
    return found


def _chosen(tables: Mapping[str, object], select: str, path: Path) -> str:
    there = ", ".join(printable(name.removesuffix(_SUFFIX)) for name in sorted(tables))
    if not select and len(tables) > 1:
        raise UsageError(f"the file holds the tables of {len(tables)} devices", path=path, remedy=f"--select {there}")
    name = select.removesuffix(_SUFFIX) + _SUFFIX if select else next(iter(tables))
    if name not in tables:
        raise UsageError(f"the file has no table {select!r}", path=path, remedy=f"--select {there}")
    return name


def _operator(key: str) -> Operator | None:
    kind = key.partition("_")[0]
    parts = matched(_KEYS[kind], key) if kind in _KEYS else None
    return known(lambda: _OPERATORS[kind](parts)) if parts else None


def _block(p: Mapping[str, int]) -> Operator:
    return Operator("ir", p["Cin"], p["H"], p["W"], p["Cout"], p["kernel"], p["stride"], float(p["exp"]), p["group"])


def _convolution(p: Mapping[str, int]) -> Operator | None:
    """Reads the image where it has three input channels, which no layer inside a net has."""
    if p["group"] != 1:
        return None
    kind: Any = "stem" if p["Cin"] == 3 else "conv"
    return Operator(kind, p["Cin"], p["H"], p["W"], p["Cout"], p["kernel"], p["stride"])


def _skip(p: Mapping[str, int]) -> Operator:
    if p["stride"] == 1 and p["Cin"] == p["Cout"]:
        return Operator("identity", p["Cin"], p["H"], p["W"], p["Cout"])
    return Operator("conv", p["Cin"], p["H"], p["W"], p["Cout"], 1, p["stride"])


def _pool(p: Mapping[str, int]) -> Operator | None:
    whole = p["kernel"] == p["H"] == p["W"]
    return Operator("pool", p["Cin"], p["H"], p["W"], p["Cout"]) if whole else None


def _classifier(p: Mapping[str, int]) -> Operator:
    return Operator("fc", p["Cin"], 1, 1, p["Cout"])


_OPERATORS: dict[str, Callable[[Mapping[str, int]], Operator | None]] = {
    "ConvBlock": _block,
    "ConvNorm": _convolution,
    "Skip": _skip,
    "AvgP": _pool,
    "FC": _classifier,
}
