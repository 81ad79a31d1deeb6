from __future__ import annotations

import pytest

from lutbench.events import Note
from lutbench.jobs.lut_sections import warn_of_error
from lutbench.jobs.operator_rounds import Context
from lutbench.measure.in_net import InNet
from lutbench.measure.scale import ScaleFit


def said(error: float, noise: float, threads: int = 1) -> list[str]:
    notes: list[object] = []
    context = Context(0, (), ScaleFit(InNet(), 1.0, 1.0, error, 1.2 * error), noise)
    warn_of_error(context, threads, notes.append)
    assert all(isinstance(note, Note) and note.warning for note in notes)
    return [note.text for note in notes if isinstance(note, Note)]


def test_nets_that_are_predicted_as_well_as_they_are_known_are_not_spoken_of() -> None:
    assert said(0.02, 0.015) == []


def test_rows_that_do_not_add_up_to_nets_are_said() -> None:
    (text,) = said(0.04, 0.015)
    assert "off by 4.0 % on average, and differ from themselves by 1.5 %" in text


@pytest.mark.parametrize(("threads", "remedy"), [(2, "with --threads 1, or when less"), (1, "again when less")])
def test_nets_that_differ_from_themselves_are_said_with_what_to_do(threads: int, remedy: str) -> None:
    """Also where predictions are no worse: 14 % beside halves that differ by 19 % are no good LUT."""
    (text,) = said(0.142, 0.186, threads)
    assert "differ by 18.6 % on average, and predictions are off by 14.2 %" in text and remedy in text


def test_without_a_fit_there_is_nothing_to_say() -> None:
    notes: list[object] = []
    warn_of_error(Context(0, (), None, 0.2), 2, notes.append)
    assert notes == []
