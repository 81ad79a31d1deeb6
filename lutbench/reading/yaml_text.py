"""YAML that is data only: no tags, no aliases (they can grow without limit), bounded depth and size.

Values are made from the parser's events, in one pass. Dates and numbers to base 60 are text here, as everywhere else.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from lutbench.errors import LutbenchError
from lutbench.reading.kinds import Kind
from lutbench.reading.plain import NotPlainError, check_plain, show

_DEEPEST = 16
_MOST_EVENTS = 2_000_000
_WORDS: dict[str, object] = {
    **{f"{sign}.{word}": float(f"{sign}inf") for sign in ("", "+", "-") for word in ("inf", "Inf", "INF")},
    **dict.fromkeys((".nan", ".NaN", ".NAN"), math.nan),
    **dict.fromkeys(("", "~", "null", "Null", "NULL"), None),
    **dict.fromkeys(("true", "True", "TRUE", "yes", "Yes", "YES", "on", "On", "ON"), True),
    **dict.fromkeys(("false", "False", "FALSE", "no", "No", "NO", "off", "Off", "OFF"), False),
}
_WHOLE = re.compile(r"[-+]?(?:0|[1-9][0-9_]{0,30})", re.ASCII)
_REAL = re.compile(r"[-+]?(?:[0-9][0-9_]{0,400})?\.[0-9_]{0,400}(?:[eE][-+][0-9]{1,4})?", re.ASCII)


def top_level_pairs(text: str, path: Path, kind: Kind) -> Iterator[tuple[object, object, int]]:
    """Key, value and line of each row of a YAML mapping, also where a key is there twice; the kind's error for none."""
    root = _parse(text, path, kind)
    if not isinstance(root, _Mapping):
        raise kind.error("is not a mapping from operators to latencies", path=path)
    for key, value, line in root.pairs:
        yield _made(key, line, path, kind), _made(value, line, path, kind), line


def top_level_items(text: str, path: Path, kind: Kind) -> Iterator[tuple[object, int]]:
    """Each item of a YAML list and its line; the kind's error where it is none."""
    root = _parse(text, path, kind)
    if not isinstance(root, _Sequence):
        raise kind.error("is not a list of operators with latencies", path=path)
    for item, line in root.items:
        yield _made(item, line, path, kind), line


class _Mapping:
    """A mapping as it stands: pairs of key, value and line."""

    def __init__(self) -> None:
        self.pairs: list[tuple[Any, Any, int]] = []
        self._key: list[tuple[Any, int]] = []

    def add(self, node: Any, line: int) -> None:
        if self._key:
            key, key_line = self._key.pop()
            self.pairs.append((key, node, key_line))
        else:
            self._key.append((node, line))


class _Sequence:
    """A list as it stands: items with their lines."""

    def __init__(self) -> None:
        self.items: list[tuple[Any, int]] = []

    def add(self, node: Any, line: int) -> None:
        self.items.append((node, line))


def _parse(text: str, path: Path, kind: Kind) -> Any:
    """The root of the one document; scalars are values, collections are _Mapping and _Sequence."""
    import yaml

    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    try:
        return _built(yaml.parse(text, Loader=loader), path, kind)
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else None
        raise kind.error(f"is not YAML: {error.problem or error.context}", path=path, line=line) from None
    except (yaml.YAMLError, UnicodeError) as error:
        raise kind.error(f"is not YAML: {error}", path=path) from None


def _built(events: Iterator[Any], path: Path, kind: Kind) -> Any:
    import yaml

    top = _Sequence()
    stack: list[Any] = [top]
    for number, event in enumerate(events):
        line = event.start_mark.line + 1
        if number > _MOST_EVENTS:
            raise kind.error(f"holds more than {_MOST_EVENTS:,} names and values", path=path, line=line)
        if isinstance(event, yaml.AliasEvent):
            raise kind.error("YAML aliases are not taken in", path=path, line=line, remedy="write the values out")
        if isinstance(event, (yaml.ScalarEvent, yaml.CollectionStartEvent)) and event.tag not in (None, "!"):
            raise kind.error(f"cannot be taken in: the tag {show(event.tag)}", path=path, line=line)
        if isinstance(event, yaml.DocumentStartEvent) and top.items:
            raise kind.error("is not YAML: a second document begins", path=path, line=line)
        if isinstance(event, yaml.ScalarEvent):
            stack[-1].add(_scalar(event, path, kind, line), line)
        elif isinstance(event, yaml.CollectionStartEvent):
            if len(stack) > _DEEPEST:
                raise kind.error(f"is nested too deeply for {kind.name}", path=path, line=line)
            node = _Mapping() if isinstance(event, yaml.MappingStartEvent) else _Sequence()
            stack[-1].add(node, line)
            stack.append(node)
        elif isinstance(event, yaml.CollectionEndEvent):
            stack.pop()
    return top.items[0][0] if top.items else None


def _scalar(event: Any, path: Path, kind: Kind, line: int) -> object:
    """The value of a scalar: text where it is quoted, else what it looks like."""
    text: str = event.value
    if not event.implicit[0]:
        value: object = text
    elif text in _WORDS:
        value = _WORDS[text]
    elif _WHOLE.fullmatch(text):
        value = int(text.replace("_", ""))
    elif _REAL.fullmatch(text) and any(digit.isdigit() for digit in text):
        value = float(text.replace("_", ""))
    else:
        value = text
    try:
        check_plain(value, finite=False)  # a row without a latency costs itself, not the file
    except NotPlainError as error:
        raise _wrong(error, path, kind, line) from None
    return value


def _made(node: Any, line: int, path: Path, kind: Kind) -> object:
    """Plain lists and tables of nodes; at most as deep as what was parsed."""
    if isinstance(node, _Sequence):
        return [_made(item, line, path, kind) for item, line in node.items]
    if not isinstance(node, _Mapping):
        return node
    found: dict[object, object] = {}
    for key, value, _ in node.pairs:
        if isinstance(key, (_Mapping, _Sequence)):
            raise kind.error("cannot be taken in: a name is a list or a mapping", path=path, line=line)
        if key in found:
            raise kind.error(f"{show(key)} is there twice", path=path, line=line)
        found[key] = _made(value, line, path, kind)
    return found


def _wrong(error: NotPlainError, path: Path, kind: Kind, line: int) -> LutbenchError:
    return kind.error(f"a value cannot be read: {error}", path=path, line=line)
