"""LUTs on the command line: reading one says on standard error where its numbers come from, if not from the device."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from lutbench.cli.out import say

if TYPE_CHECKING:
    from lutbench.lut.table import Lut


def open_lut(path: Path) -> Lut:
    """The LUT in a file; LutError where it is none. Every command that reads a LUT reads it through this."""
    from lutbench.lut.file import read_lut

    lut = read_lut(path)
    for note in (provenance_note(lut), missing_note(lut)):
        if note:
            say(note, err=True)
    return lut


def lut_or_own(path: Path | None) -> Path:
    """The LUT that was given, or this machine's own where none was; UsageError where that is not there either."""
    from lutbench.errors import UsageError
    from lutbench.lut.shipped import OWN_FOLDER

    if path is not None:
        return path
    own = OWN_FOLDER / "host.csv"
    if not own.is_file():
        raise UsageError("no LUT is given", remedy=f"--lut LUT, or `lutbench profile` first, which writes {own}")
    say(f"note: no --lut is given: {own}", err=True)
    return own


def check_batch(lut: Lut, batch: int | None) -> None:
    """UsageError, with the command that would measure it, where a LUT is of another batch than is asked for."""
    from lutbench.errors import UsageError

    own = lut.metadata.batch
    if batch is None or batch == own:
        return
    measure = lut.measure_command.replace(f" --batch {own}", "")
    option = f" --batch {batch}" if batch > 1 else ""
    raise UsageError(
        f"its latencies are of {'single images' if own == 1 else f'batches of {own}'}, not of"
        f" {'single images' if batch == 1 else f'batches of {batch}'}",
        path=lut.path,
        remedy=f"measure it: {measure}{option} -o LUT",
    )


def what_it_is(lut: Lut) -> dict[str, Any]:
    """What --json says of every LUT: the device, how it was used, and where the numbers are from."""
    meta = lut.metadata
    names = ("device", "provenance", "runtime", "dtype", "threads", "batch")
    return {name: getattr(meta, name) for name in names}


def threads_text(threads: int, batch: int) -> str:
    """2 threads, batch 8"""
    return f"{threads} thread{'s' if threads > 1 else ''}{batch_text(batch)}"


def disturbed_text(share: float) -> str:
    """What a caption says of the samples that other programs disturbed; nothing where they were few."""
    from lutbench.units import format_percent

    few = 0.01
    return f"; other programs disturbed {format_percent(share, 0)} of the samples, which do not count" * (share > few)


def batch_text(batch: int) -> str:
    """What a caption says of the batch behind the threads; nothing of single images."""
    return f", batch {batch}" if batch > 1 else ""


def provenance_note(lut: Lut) -> str:
    """One line on what an estimated or imported LUT is and how a measurement replaces it; "" for a measured one.

    An emulated phone's LUT says so, whatever else it is.
    """
    meta = lut.metadata
    if meta.environment.get("emulated"):
        return f"note: {lut.path} was measured on an emulated phone: its times say nothing about any device"
    if meta.provenance == "measured":
        return ""
    how = "estimated" if meta.provenance == "estimated" else f"imported from {meta.origin.get('source')}"
    return f"note: {lut.path} is {how}, not measured by lutbench; {_replacement(lut)}"


def missing_note(lut: Lut) -> str:
    """One line on the layers that an imported table has no rows of; "" where it has all that its space needs."""
    from lutbench.lut.coverage import lacking_note

    note = lacking_note(lut)
    return f"note: {lut.path}: {note}" if note else ""


def _replacement(lut: Lut) -> str:
    """What would replace an estimate or an import by a measurement."""
    return f"`{lut.replacing_command}` on that device replaces it"
