"""Text of a file's bytes."""

from __future__ import annotations

from pathlib import Path

from lutbench.reading.files import read_bytes
from lutbench.reading.kinds import Kind

MOST_LINES = 2_000_000  # of a table
LONGEST_LINE = 65_536  # of a row: the cells of a longer one would fill the memory


def read_text(path: Path, kind: Kind) -> str:
    """The text of a file; the kind's error where it cannot be read or is no text."""
    return decode(read_bytes(path, kind), path, kind)


def decode(data: bytes, path: Path, kind: Kind) -> str:
    """The text of bytes, without a byte order mark; the kind's error where they are no text."""
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise kind.error(f"is not {kind.name}: it is not UTF-8 text", path=path, remedy=kind.missing) from None


def split_lines(text: str, path: Path, kind: Kind) -> list[str]:
    """The lines of a table's text; the kind's error where one is too long for a row, or they are too many."""
    if text.count("\n") >= MOST_LINES:
        raise kind.error(f"has more than {MOST_LINES:,} lines", path=path)
    lines = text.split("\n")
    for number, line in enumerate(lines, start=1):
        if len(line) > LONGEST_LINE and not line.startswith("#"):
            raise kind.error(f"a line has more than {LONGEST_LINE:,} characters", path=path, line=number)
    return lines
