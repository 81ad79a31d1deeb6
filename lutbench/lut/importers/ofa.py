"""Once-for-all's and ProxylessNAS's latency tables: YAML, key -> {count, mean, std or var}, milliseconds.

    expanded_conv-input:56x56x24-output:28x28x32-expand:6-kernel:5-stride:2-idskip:0[-se:0-hs:0]
    Conv-input:224x224x3-output:112x112x32, Conv_1-..., Conv_2-..., AvgPool2D-..., Logits-input:7x7x1280-output:1000

Shapes are H x W x C. expand is the ratio in ProxylessNAS's tables and the expanded channels themselves in
once-for-all's (those with se and hs); no ratio is as large as the input's channels, so the number tells which it is.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from lutbench.lut.importers.entry import Collector, Reading, decode, known, matched, number_or_nan
from lutbench.reading.kinds import PUBLISHED_TABLE
from lutbench.reading.plain import show
from lutbench.reading.yaml_text import top_level_pairs
from lutbench.space.blocks.kind import Value
from lutbench.space.operator import Operator

_IN = r"input:(?P<h>\d{1,6})x(?P<w>\d{1,6})x(?P<c>\d{1,6})"
_OUT = r"output:(?P<ho>\d{1,6})x(?P<wo>\d{1,6})x(?P<co>\d{1,6})"
_BLOCK = re.compile(
    rf"expanded_conv-{_IN}-{_OUT}-expand:(?P<expand>\d{{1,6}})-kernel:(?P<kernel>\d{{1,2}})-stride:(?P<stride>\d{{1,2}})"
    r"-idskip:(?P<idskip>[01])(?:-se:(?P<se>[01]))?(?:-hs:(?P<hs>[01]))?",
    re.ASCII,
)
_PLAIN = re.compile(rf"[A-Za-z0-9_]+-{_IN}-{_OUT}", re.ASCII)
_LOGITS = re.compile(rf"Logits-{_IN}-output:(?:1x1x)?(?P<co>\d{{1,6}})", re.ASCII)
# of a MobileNetV3's table: the convolutions around its blocks end in a hard swish
_V3_SIGN = re.compile(r"-hs:[01]|^Conv_2-|^AvgPool2D-")


def read(data: bytes, path: Path, select: str) -> Reading:
    """Every row of the table; select must be empty: the file is of one device."""
    del select
    pairs = list(top_level_pairs(decode(data, path), path, PUBLISHED_TABLE))
    is_v3 = any(isinstance(key, str) and _V3_SIGN.search(key) for key, _, _ in pairs)
    found = Collector()
    for key, value, line in pairs:
        if not isinstance(key, str):
            found.leave_out(f"line {line}", f"its key is {show(key)}, not text")
        elif not isinstance(value, dict):
            found.add(key, _operator(key, is_v3), value)
        elif "mean" not in value:
            found.leave_out(key, "no latency: there is no mean")
        else:
            found.add(key, _operator(key, is_v3), value["mean"], _std(value), value.get("count"))
    return Reading(tuple(found.entries), tuple(found.left_out))


def _std(value: dict[object, object]) -> float:
    if "std" in value:
        return number_or_nan(value["std"])
    variance = number_or_nan(value.get("var"))
    return math.sqrt(variance) if variance >= 0 else math.nan


def _operator(key: str, is_v3: bool) -> Operator | None:
    name = key.partition("-")[0]
    if name not in _OPERATORS:
        return None
    hard = is_v3 and name in ("Conv", "Conv_1", "Conv_2")

    def made() -> Operator | None:
        op = _OPERATORS[name](key)
        return replace(op, options=(("activation", "hswish"),)) if op and hard else op

    return known(made)


def _block(key: str) -> Operator | None:
    """An inverted residual block, skipped over where ours is; expansion 1 has no first 1x1 convolution there."""
    parts = matched(_BLOCK, key)
    if parts is None or not parts["expand"] * parts["c"]:
        return None
    mid = parts["expand"] if parts["expand"] >= parts["c"] else parts["expand"] * parts["c"]
    expansion = float(f"{mid / parts['c']:g}") if mid != parts["c"] else 0
    options: list[tuple[str, Value]] = [("activation", "hswish")] if parts.get("hs") else []
    options += [("squeeze", 0.25)] if parts.get("se") else []
    shape = parts["c"], parts["h"], parts["w"], parts["co"]
    op = Operator("ir", *shape, parts["kernel"], parts["stride"], expansion, options=tuple(options))
    fits = op.mid_channels == mid and (op.h_out, op.w_out) == (parts["ho"], parts["wo"])
    return op if fits and op.has_residual == bool(parts["idskip"]) else None


def _stem(key: str) -> Operator | None:
    """The first convolution: 3x3, stride 2."""
    parts = matched(_PLAIN, key)
    if parts is None:
        return None
    op = Operator("stem", parts["c"], parts["h"], parts["w"], parts["co"], 3, 2)
    return op if (op.h_out, op.w_out) == (parts["ho"], parts["wo"]) else None


def _head(key: str) -> Operator | None:
    parts = matched(_PLAIN, key)
    if parts is None or (parts["h"], parts["w"]) != (parts["ho"], parts["wo"]):
        return None
    return Operator("conv", parts["c"], parts["h"], parts["w"], parts["co"], 1, 1)


def _hidden(key: str) -> Operator | None:
    """A 1x1 convolution behind the pool, which is a fully connected layer."""
    parts = matched(_PLAIN, key)
    if parts is None or {parts[name] for name in ("h", "w", "ho", "wo")} != {1}:
        return None
    return Operator("fc", parts["c"], 1, 1, parts["co"])


def _pool(key: str) -> Operator | None:
    parts = matched(_PLAIN, key)
    if parts is None or (parts["ho"], parts["wo"]) != (1, 1):
        return None
    return Operator("pool", parts["c"], parts["h"], parts["w"], parts["co"])


def _classifier(key: str) -> Operator | None:
    """Logits with a 1x1 input is the classifier; with a larger one it holds the pool as well."""
    parts = matched(_LOGITS, key)
    if parts is None:
        return None
    if (parts["h"], parts["w"]) != (1, 1):
        return Operator("poolfc", parts["c"], parts["h"], parts["w"], parts["co"])
    return Operator("fc", parts["c"], 1, 1, parts["co"])


_OPERATORS: dict[str, Callable[[str], Operator | None]] = {
    "expanded_conv": _block,
    "Conv": _stem,
    "Conv_1": _head,
    "Conv_2": _hidden,
    "AvgPool2D": _pool,
    "Logits": _classifier,
}
