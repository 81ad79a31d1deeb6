"""Where the journals of a LUT's measurements are kept: in a folder beside the LUT."""

from __future__ import annotations

from pathlib import Path


def journal_folder(lut_path: Path) -> Path:
    """The folder of a LUT's journals, beside it: host.csv -> host.journal/."""
    return lut_path.with_suffix(".journal")


def set_aside(journal_path: Path) -> None:
    """Renames a journal out of the way, for what was measured is never deleted."""
    number = 1
    while journal_path.exists():
        target = journal_path.with_suffix(f".aside{number}.jsonl")
        if not target.exists():
            journal_path.rename(target)
        number += 1
