"""Plain values: texts, numbers, truth values, lists and tables, of bounded depth, size and digits."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

DEEPEST = 32  # lists and tables within one another
MOST_VALUES = 4_000_000  # of one file, counted as often as they are referred to
WHOLE_BITS = 64  # of a whole number, as TOML has it
_LONGEST_SHOWN = 80
_PLAIN = (str, int, float, bool, type(None))


class NotPlainError(ValueError):
    """A value that no file of ours holds. Its text is a clause: "NAME is a date"."""


def check_plain(value: object, finite: bool = True) -> None:
    """NotPlainError where a value is deeper, larger or of another type than a file's may be.

    finite: whether infinities and NaN are refused. Time is linear in what the value holds; what is there several times
    by reference counts as often, so that a few bytes that refer to themselves do not pass for a small value.
    """
    stack: list[tuple[Any, int, str]] = [(value, 0, "")]
    seen = 0
    while stack:
        found, depth, where = stack.pop()
        kind = type(found)
        if kind is dict or kind is list:
            seen += len(found)
            if seen > MOST_VALUES:
                raise NotPlainError(f"it holds more than {MOST_VALUES:,} values")
            if depth == DEEPEST:
                raise NotPlainError(f"it is nested more than {DEEPEST} deep")
            if kind is list:
                if not _are_small(found):
                    stack += [(item, depth + 1, where) for item in found]
            else:
                for key, item in found.items():
                    _check_one(key, "a name", finite)
                    stack.append((item, depth + 1, key if isinstance(key, str) else where))
        else:
            _check_one(found, where, finite)


def _are_small(items: list[int]) -> bool:
    """Whether they are whole numbers of a usual size, as samples are: then there is nothing to look at."""
    if not items or set(map(type, items)) != {int}:
        return False
    return min(items) >= -(1 << 63) and max(items) < 1 << 63


def _check_one(value: object, where: str, finite: bool) -> None:
    if _is_usual(value):
        return  # nearly all: a name for a message is not made for them
    name = f"{show(where)} is" if where else "a value is"
    if not isinstance(value, _PLAIN):
        raise NotPlainError(f"{name} {_type_name(value)}; write text in quotes")
    if isinstance(value, int) and value.bit_length() > WHOLE_BITS:
        raise NotPlainError(f"{name} a whole number of more than {WHOLE_BITS} bits")
    if finite and isinstance(value, float) and not math.isfinite(value):
        raise NotPlainError(f"{name} {value}, not a finite number")
    if isinstance(value, str) and not value.isascii() and not is_text(value):
        raise NotPlainError(f"{name} text with half a character (a surrogate)")


def _is_usual(value: object) -> bool:
    if isinstance(value, str):
        return value.isascii()
    if isinstance(value, float):
        return math.isfinite(value)
    return isinstance(value, int) and -(1 << 63) <= value < 1 << 63


def is_text(value: str) -> bool:
    """False where a text holds surrogates, which no file, terminal or name can."""
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True


def _type_name(value: object) -> str:
    names = {"datetime": "a date", "date": "a date", "time": "a time", "bytes": "bytes"}
    return names.get(type(value).__name__, f"a {type(value).__name__}")


def show(value: object) -> str:
    """A value for a message: short, one line, ASCII, and never an error of its own."""
    if isinstance(value, (list, tuple, dict, set)):
        return f"a {type(value).__name__} of {len(value)}"
    if isinstance(value, int) and not isinstance(value, bool) and value.bit_length() > 256:
        return "a very long number"
    if isinstance(value, (str, bytes)):
        text = ascii(value[: 2 * _LONGEST_SHOWN])
    elif isinstance(value, _PLAIN):
        text = ascii(value)
    else:
        text = _type_name(value)
    return text if len(text) <= _LONGEST_SHOWN else f"{text[: _LONGEST_SHOWN - 3]}..."


def changes(old: Mapping[str, object], new: Mapping[str, object]) -> str:
    """What differs between two tables, for a message: `seed was 1 and is 2, shape was [1, 3] and is [1, 4]`.

    A name that one of them lacks counts as None there. Tables within them are compared name by name.
    """
    found = []
    for key in {**new, **old}:
        was, now = old.get(key), new.get(key)
        if isinstance(was, dict) and isinstance(now, dict):
            found.append(changes(was, now))
        elif was != now:
            found.append(f"{key} was {_short(was)} and is {_short(now)}")
    return ", ".join(text for text in found if text)


def _short(value: object) -> str:
    """As it is, where that is short; a name stands without quotes."""
    text = value if isinstance(value, str) else str(value) if _is_short_list(value) else ""
    return text if 0 < len(text) < _LONGEST_SHOWN else show(value)


def _is_short_list(value: object) -> bool:
    return isinstance(value, list) and len(value) <= 8 and all(isinstance(item, (int, float)) for item in value)
