"""Text from a file, a phone or a table, as it may be shown: no escape sequence of a terminal, no turned direction."""

from __future__ import annotations

LONGEST_ERROR = 2000  # characters of an error's line; a name in it may be as long as a file
_KEPT = "\n\t\N{NO-BREAK SPACE}"


def clean(text: str) -> str:
    """The text without characters that steer: control characters of both sets, format characters (those that turn the
    direction of writing among them), halves of characters. Each becomes U+FFFD; lines stay lines."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() or c in _KEPT else "\N{REPLACEMENT CHARACTER}" for c in text)


def one_line(text: str) -> str:
    """The text cleaned, as one line that is not endless."""
    line = clean(" ".join(text.split()))
    return line if len(line) <= LONGEST_ERROR else f"{line[: LONGEST_ERROR - 3]}..."
