"""Metadata <-> the TOML of a LUT's header, with every type checked on the way in."""

from __future__ import annotations

import dataclasses
import math
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, get_args

from lutbench.errors import LutError
from lutbench.lut.metadata import ContextSection, Metadata, Provenance, SpaceSection
from lutbench.reading.plain import show

_PRECISION = 6  # decimals of fractions and scales in the header
_A_NUMBER: tuple[tuple[type, ...], str] = ((int, float), "a number")
_SECTIONS = {"space": SpaceSection, "context": ContextSection}


def metadata_to_toml(metadata: Metadata) -> dict[str, Any]:
    """Plain values for the header, scalars before tables."""
    flat = {field.name: _plain(getattr(metadata, field.name)) for field in dataclasses.fields(metadata)}
    for section in _SECTIONS:
        flat[section] = {key: _plain(value) for key, value in dataclasses.asdict(getattr(metadata, section)).items()}
    tables = {key: value for key, value in flat.items() if isinstance(value, dict)}
    return {key: value for key, value in flat.items() if key not in tables} | tables


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _plain(inner) for key, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(inner) for inner in value]
    return round(value, _PRECISION) if isinstance(value, float) else value


def metadata_from_toml(header: dict[str, Any], lines: list[str], path: Path) -> Metadata:
    """Metadata from a parsed header (without lutbench_lut and rows).

    lines: to name where something is wrong.

    Keys this version does not know are kept out: a later minor version may add some.
    """
    top = _checked(Metadata, header, lines, path, "")
    for section, kind in _SECTIONS.items():
        inner = _checked(kind, top.get(section, {}), lines, path, f"{section}.")
        try:
            top[section] = kind(**inner)
        except LutError as error:
            raise LutError(error.problem, path=path, line=_line(lines, "scale")) from error
    if top.get("provenance", "measured") not in get_args(Provenance):
        raise LutError(
            f"provenance {show(top['provenance'])} is none of {', '.join(get_args(Provenance))}",
            path=path,
            line=_line(lines, "provenance"),
        )
    _check_free(top, lines, path)
    for key in ("threads", "batch", "revision"):
        if top.get(key, 1) < 1:
            raise LutError(f"{key} {top[key]} is not positive", path=path, line=_line(lines, key))
    return Metadata(**top)


# what is read out of the tables that may hold anything -> what it must be where it is there
_FREE: dict[tuple[str, ...], tuple[type | tuple[type, ...], str]] = {
    **dict.fromkeys(
        [("quality", key) for key in ("target", "within_target", "delegated_share", "clock_us")], _A_NUMBER
    ),
    **dict.fromkeys([("quality", key) for key in ("additivity", "undelegated", "canary_us")], (dict, "a table")),
    **dict.fromkeys(
        [("quality", "additivity", key) for key in ("nets", "mean_abs_error", "max_abs_error", "noise_mean")], _A_NUMBER
    ),
}


def _check_free(top: Mapping[str, Any], lines: list[str], path: Path) -> None:
    for keys, (expected, description) in _FREE.items():
        value: Any = top
        for key in keys:
            value = value.get(key) if isinstance(value, Mapping) else None
        if value is not None and (not isinstance(value, expected) or isinstance(value, bool)):
            where = _line(lines, keys[-1])
            raise LutError(f"{'.'.join(keys)} must be {description}, not {show(value)}", path=path, line=where)


_TYPES: dict[str, tuple[type | tuple[type, ...], str]] = {
    "str": (str, "a string"),
    "int": (int, "a whole number"),
    "float": ((int, float), "a number"),
    "Provenance": (str, "a string"),
    "tuple[str, ...]": (list, "a list"),
    "tuple[int, ...]": (list, "a list"),
    "tuple[float, ...]": (list, "a list"),
    "tuple[Mapping[str, float], ...]": (list, "a list"),
    "Mapping[str, Any]": (dict, "a table"),
    "Mapping[str, float]": (dict, "a table"),
    "SpaceSection": (dict, "a table"),
    "ContextSection": (dict, "a table"),
}
_ITEMS: dict[str, tuple[type, ...]] = {
    "tuple[str, ...]": (str,),
    "tuple[int, ...]": (int,),
    "tuple[float, ...]": (int, float),
    "tuple[Mapping[str, float], ...]": (dict,),
}


def _checked(kind: type[Any], raw: dict[str, Any], lines: list[str], path: Path, prefix: str) -> dict[str, Any]:
    """raw's values for the fields of kind, each of its field's type; LutError names the line that is not."""
    found: dict[str, Any] = {}
    for field in dataclasses.fields(kind):
        optional = field.default is not dataclasses.MISSING or field.default_factory is not dataclasses.MISSING
        if field.name not in raw:
            if optional:
                continue
            raise LutError(f"{prefix}{field.name} is missing from the header", path=path)
        value = raw[field.name]
        annotation = str(field.type)
        expected, description = _TYPES[annotation]
        items = _ITEMS.get(annotation, ())
        wrong_item = (
            any(not isinstance(item, items) or isinstance(item, bool) for item in value)
            if (items and isinstance(value, list))
            else False
        )
        if not isinstance(value, expected) or isinstance(value, bool) or wrong_item:
            line = _line(lines, field.name)
            raise LutError(f"{prefix}{field.name} must be {description}, not {show(value)}", path=path, line=line)
        odd = [number for number in (value if isinstance(value, list) else [value]) if not _is_finite(number)]
        if odd:
            raise LutError(f"{prefix}{field.name} is {odd[0]}", path=path, line=_line(lines, field.name))
        found[field.name] = tuple(value) if isinstance(value, list) else value
    return found


def _is_finite(value: Any) -> bool:
    """False for a number that is none, or too large to compute with: TOML has whole numbers of any size."""
    try:
        return not isinstance(value, (int, float)) or math.isfinite(value)
    except OverflowError:
        return False


def _line(lines: list[str], key: str) -> int | None:
    pattern = re.compile(rf"#\s*{re.escape(key)}\s*=")
    return next((number for number, line in enumerate(lines, start=1) if pattern.match(line)), None)
