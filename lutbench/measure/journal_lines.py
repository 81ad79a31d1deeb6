"""A journal's lines: a JSON object each, whose last value is a checksum of the others and of whose journal it is.

    {"round":3,"operator":"pool_512x7x7",...,"line":17,"crc":"5c2a9f01"}

The checksum goes on from that of the journal's identity: a line of another run's journal does not fit, and the lines
of one whose first line is damaged still prove whose they are. Journals of earlier versions have no checksums.
"""

from __future__ import annotations

import json
import os
import re
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from lutbench.reading.files import open_regular, unreadable
from lutbench.reading.json_text import plain_json
from lutbench.reading.kinds import JOURNAL

Record = dict[str, Any]

LONGEST_LINE = 16 << 20  # a visit of 30 samples has some 500 bytes; a longer line is damaged
_as_text = json.JSONEncoder(separators=(",", ":")).encode
_SEAL = re.compile(rb',"crc":"([0-9a-f]{8})"\}\Z')


def seed_of(identity: Record) -> int:
    """What the checksums of a journal's lines go on from."""
    return zlib.crc32(json.dumps(identity, sort_keys=True).encode())


def sealed(record: Record, seed: int) -> bytes:
    """The line of a record, with its checksum and line feed."""
    text = _as_text(record).encode()
    return b'%s,"crc":"%08x"}\n' % (text[:-1], zlib.crc32(text, seed))


def opened(line: bytes, seed: int) -> tuple[Record | None, bool]:
    """The record in a line, None where it is none or its checksum does not fit; and whether it has one that fits."""
    seal = _SEAL.search(line)
    text = line[: seal.start()] + b"}" if seal else line
    if seal and int(seal[1], 16) != zlib.crc32(text, seed):
        return None, False
    try:
        record = plain_json(text)
    except ValueError:
        return None, False
    return (record, seal is not None) if isinstance(record, dict) else (None, False)


def whole_lines(path: Path) -> Iterator[tuple[bytes, int]]:
    """Every line that has its line feed, without it, and where in the file it ends; b"" for one that is too long."""
    descriptor, _ = open_regular(path, JOURNAL)
    try:
        with os.fdopen(descriptor, "rb") as file:
            end, too_long = 0, False
            while part := file.readline(LONGEST_LINE):
                end += len(part)
                if not part.endswith(b"\n"):
                    too_long = True
                    continue
                yield (b"" if too_long else part[:-1]), end
                too_long = False
    except OSError as error:
        raise unreadable(path, JOURNAL, error) from None


def identity_of(path: Path) -> Record:
    """What a journal's samples belong to, as its first line says; empty where that is damaged, or there is none."""
    first = next(whole_lines(path), None)
    header = opened(first[0], 0)[0] if first else None
    identity = (header or {}).get("identity")
    return identity if isinstance(identity, dict) else {}
