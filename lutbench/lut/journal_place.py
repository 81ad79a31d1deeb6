"""Where the journals of a LUT's measurements are kept: in a folder beside the LUT."""

from __future__ import annotations

import os
from pathlib import Path

from lutbench.files import put_aside
from lutbench.locks import lock_open_file
from lutbench.reading.files import open_regular
from lutbench.reading.kinds import JOURNAL


def journal_folder(lut_path: Path) -> Path:
    """The folder of a LUT's journals, beside it: host.csv -> host.journal/."""
    return lut_path.with_suffix(".journal")


def set_aside(journal_path: Path) -> None:
    """Renames a journal out of the way, for what was measured is never deleted; OutputError where a run writes it."""
    if not journal_path.exists():
        return
    descriptor, _ = open_regular(journal_path, JOURNAL)
    try:
        lock_open_file(descriptor, journal_path)
        put_aside(journal_path)
    finally:
        os.close(descriptor)
