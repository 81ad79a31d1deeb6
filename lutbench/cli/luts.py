"""LUTs on the command line: reading one says on standard error where its numbers come from, if not from the device."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from lutbench.cli.out import say

if TYPE_CHECKING:
    from lutbench.lut.table import Lut


def open_lut(path: Path) -> Lut:
    """The LUT in a file; LutError where it is none. Every command that reads a LUT reads it through this."""
    from lutbench.lut.file import read_lut

    lut = read_lut(path)
    note = provenance_note(lut)
    if note:
        say(note, err=True)
    return lut


def provenance_note(lut: Lut) -> str:
    """One line on what an estimated or imported LUT is and how a measurement replaces it; "" for a measured one.

    An emulated phone's LUT says so, whatever else it is.
    """
    meta = lut.metadata
    if meta.environment.get("emulated"):
        return f"note: {lut.path} was measured on an emulated phone: its times say nothing about any device"
    if meta.provenance == "measured":
        return ""
    source = str(meta.origin.get("source", "another source"))
    how = f"estimated, fitted to {source}" if meta.provenance == "estimated" else f"imported from {source}"
    return f"note: {lut.path} is {how}, not measured by lutbench; `{lut.measure_command}` on that device replaces it"
