"""The page of JSON keys, docs/reference/json.md, read as data: what a command may print, and what it has to."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from pathlib import Path

PAGE = Path(__file__).parent.parent / "docs" / "reference" / "json.md"


def documented() -> dict[str, set[str]]:
    """command -> the keys of its table, as nets[].net or environment.*"""
    _, *sections = re.split(r"^## (.+)$", PAGE.read_text(), flags=re.MULTILINE)
    return {
        command: {
            key for row in re.findall(r"^\| (`.*?) \|", text, re.MULTILINE) for key in re.findall(r"`([^`]+)`", row)
        }
        for command, text in zip(sections[::2], sections[1::2], strict=True)
    }


def keys_of(value: object, prefix: str = "") -> Iterator[str]:
    """The keys of a JSON value down to what holds no object: a list of numbers is widths[]."""
    if isinstance(value, dict) and value:
        for key, inner in value.items():
            yield from keys_of(inner, f"{prefix}.{key}" if prefix else key)
    elif isinstance(value, list):
        for inner in value or [None]:
            yield from keys_of(inner, f"{prefix}[]")
    else:
        yield prefix


def matches(key: str, known: str) -> bool:
    """Whether a printed key is a documented one, lies below one that ends in .*, or is the empty list of one."""
    if known.endswith("*"):
        return key.startswith(known[:-1]) or key == known[:-2]
    return key == known or (key.endswith("[]") and known.startswith(f"{key}."))


def check_keys(command: str, found: object, rarely: Iterable[str] = ()) -> None:
    """AssertionError where a command prints what the page does not name, or leaves out what it does.

    rarely: keys, or the beginnings of such, that this output has no reason to hold.
    """
    known, printed = documented()[command], set(keys_of(found))
    unknown = sorted(key for key in printed if not any(matches(key, one) for one in known))
    assert not unknown, f"{command} prints what {PAGE.name} does not name: {unknown}"
    expected = [one for one in known if not one.startswith(tuple(rarely))]
    missing = sorted(one for one in expected if not any(matches(key, one) for key in printed))
    assert not missing, f"{PAGE.name} names what {command} does not print: {missing}"
