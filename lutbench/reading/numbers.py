"""Whole numbers in what a phone or a program prints: text is no number before it was looked at."""

from __future__ import annotations

import re

_WHOLE = re.compile(r"-?[0-9]{1,18}", re.ASCII)


def whole(text: str) -> int | None:
    """The number that the text is, of at most 18 digits; None for any other text (str.isdigit takes ² for one)."""
    text = text.strip()
    return int(text) if _WHOLE.fullmatch(text) else None
