"""JSON with limits: finite numbers, depth, digits, how many values."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, NoReturn

from lutbench.reading.kinds import Kind
from lutbench.reading.plain import MOST_VALUES, NotPlainError, check_plain


def parse_json(text: str | bytes, path: Path, kind: Kind, line: int | None = None) -> Any:
    """The value that a JSON text holds; the kind's error where it is none, or more than a file may hold.

    line: of the file, where the text is one of its lines.
    """
    try:
        return plain_json(text)
    except NotPlainError as error:
        raise kind.error(f"cannot be {kind.name}: {error}", path=path, line=line) from None
    except ValueError as error:
        where = error.lineno if isinstance(error, json.JSONDecodeError) and line is None else line
        reason = error.msg if isinstance(error, json.JSONDecodeError) else str(error)
        raise kind.error(f"is not JSON: {reason}", path=path, line=where) from None


def plain_json(text: str | bytes) -> Any:
    """The value that a JSON text holds; ValueError where it is none or not plain."""
    commas, brackets, braces = (",", "[", "{") if isinstance(text, str) else (b",", b"[", b"{")
    if text.count(commas) + text.count(brackets) + text.count(braces) > MOST_VALUES:  # type: ignore[arg-type]
        raise NotPlainError(f"it holds more than {MOST_VALUES:,} values")
    try:
        found = json.loads(text, parse_constant=_refuse)
    except RecursionError:
        raise NotPlainError("it is nested too deeply") from None
    except (json.JSONDecodeError, NotPlainError):
        raise
    except ValueError:  # Python's own limit of digits, or bytes that are no text
        raise NotPlainError("it is no text, or a number has thousands of digits") from None
    check_plain(found)
    return found


def _refuse(word: str) -> NoReturn:
    raise NotPlainError(f"{word} is not a finite number")
