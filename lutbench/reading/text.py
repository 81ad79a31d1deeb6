"""Text of a file's bytes."""

from __future__ import annotations

from pathlib import Path

from lutbench.reading.files import read_bytes
from lutbench.reading.kinds import Kind


def read_text(path: Path, kind: Kind) -> str:
    """The text of a file; the kind's error where it cannot be read or is no text."""
    return decode(read_bytes(path, kind), path, kind)


def decode(data: bytes, path: Path, kind: Kind) -> str:
    """The text of bytes, without a byte order mark; the kind's error where they are no text."""
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise kind.error(f"is not {kind.name}: it is not UTF-8 text", path=path) from None
