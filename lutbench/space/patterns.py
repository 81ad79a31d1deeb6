"""Short ways to write many options: k{3,5}_e{0.75..4.5..0.75}{,_hswish} for 24 candidates, 16..28..4 for 4 numbers."""

from __future__ import annotations

import re
from decimal import Decimal

from lutbench.errors import SpaceError

MOST = 256  # of what one pattern stands for
_NUMBER = r"[0-9]{1,5}(?:\.[0-9]{1,6})?"
_RANGE = re.compile(rf"({_NUMBER})\.\.({_NUMBER})\.\.({_NUMBER})")
_BRACES = re.compile(r"\{([^{}]*)\}")


def numbers(text: str) -> list[str] | None:
    """The numbers of FIRST..LAST..STEP, the last among them where a step falls on it; None for other text."""
    match = _RANGE.fullmatch(text.strip())
    if match is None:
        return None
    first, last, step = (Decimal(part) for part in match.groups())
    if step == 0 or last < first or (last - first) / step >= MOST:
        raise SpaceError(f"{text} is not a first number, a last one that is not below it, and a step, or too many")
    return [f"{first + number * step:f}" for number in range(int((last - first) / step) + 1)]


def alternatives(text: str) -> list[str]:
    """Every text that a pattern stands for: {a,b} is each of some, {FIRST..LAST..STEP} each of some numbers."""
    found = _BRACES.search(text)
    if found is None:
        if "{" in text or "}" in text:
            raise SpaceError(f"{text!r} has a brace without its other one")
        return [text]
    inside = numbers(found[1])
    words = inside if inside is not None else found[1].split(",")
    made: list[str] = []
    for word in words:
        made += alternatives(text[: found.start()] + word + text[found.end() :])
        if len(made) > MOST:
            raise SpaceError(f"{text!r} stands for more than {MOST}")
    return made
