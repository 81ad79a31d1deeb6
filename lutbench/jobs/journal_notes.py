"""What a run says of the journal that it found."""

from __future__ import annotations

from lutbench.events import Note, Report
from lutbench.measure.journal import Journal


def report_journal(journal: Journal, report: Report) -> None:
    """Whether the run goes on from an earlier one, and what of its journal had to be left out."""
    if journal.resumed:
        report(Note(f"going on after {journal.measurements.rounds_ended} rounds of an earlier run"))
    if journal.problem:
        report(Note(journal.problem, warning=True))
