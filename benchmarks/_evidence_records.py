"""The results of the search's evidence: JSON lines that are only ever appended to, so that work goes on elsewhere."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

Record = Mapping[str, Any]
RESULTS = Path(__file__).parent / "results" / "search_evidence.jsonl"


class Records:
    """The lines of a file, and a place for more. Several programs may append to one file at a time."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __iter__(self) -> Iterator[Record]:
        """Every line; one that was cut short is left out: what it said is done again."""
        lines = self.path.read_text(encoding="utf-8").splitlines() if self.path.exists() else []
        for line in lines:
            try:
                yield json.loads(line)
            except json.JSONDecodeError:
                continue

    def where(self, **wanted: Any) -> list[Record]:
        """The lines that say so, in their order."""
        return [one for one in self if all(one.get(key) == value for key, value in wanted.items())]

    def add(self, record: Record) -> None:
        """Appends a line in one write, on a line of its own whatever a program that was killed left."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self.path.open("ab+") as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(0, size - 1))
            ends = file.read(1) in (b"", b"\n")
            file.write(b"" if ends else b"\n")
            file.write(json.dumps(record, separators=(",", ":")).encode() + b"\n")
