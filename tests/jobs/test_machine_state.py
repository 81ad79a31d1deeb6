"""A machine that is slower than in its earlier runs says so."""

from __future__ import annotations

from pathlib import Path

import pytest

from lutbench.errors import OutputError
from lutbench.events import Event, Note
from lutbench.jobs import machine_state
from lutbench.jobs.machine_state import note_state

IDENTITY = {"device": "host", "threads": 1}


def said(folder: Path, *canary_us: float, identity: dict[str, object] | None = None) -> list[str]:
    """What the last of the runs says."""
    events: list[Event] = []
    for us in canary_us:
        events.clear()
        note_state(identity or IDENTITY, us, events.append, folder)
    return [event.text for event in events if isinstance(event, Note)]


def test_the_first_run_and_a_usual_one_say_nothing(tmp_path: Path) -> None:
    assert said(tmp_path, 28.0) == []
    assert said(tmp_path, 28.4, 27.9, 29.0) == []


def test_a_slow_state_is_said_with_its_begin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    times = iter(["Monday", "Tuesday", "Wednesday", "Thursday"])
    monkeypatch.setattr(machine_state, "timestamp", lambda: next(times))
    (text,) = said(tmp_path, 28.0, 28.0, 52.0)
    assert "1.86 times as slow" in text and "52.0 us, usually 28.0 us (2 runs)" in text and "so since" not in text
    (text,) = said(tmp_path, 52.0)
    assert "so since Wednesday" in text


def test_earlier_runs_that_were_disturbed_are_not_the_measure(tmp_path: Path) -> None:
    assert said(tmp_path, 28.0, 28.2, 60.0, 60.0, 60.0, 60.0, 28.1) == []
    assert said(tmp_path, 60.0)


def test_another_machine_or_setting_has_a_memory_of_its_own(tmp_path: Path) -> None:
    said(tmp_path, 28.0)
    assert said(tmp_path, 52.0, identity={**IDENTITY, "threads": 2}) == []


def test_a_run_without_a_canary_leaves_no_trace(tmp_path: Path) -> None:
    assert said(tmp_path, 0.0) == [] and not any(tmp_path.iterdir())


@pytest.mark.parametrize("text", ["", "junk", "[]", '[{"at": 3}]', "[3]", '[{"at": "x", "us": "y"}]', "{}"])
def test_a_damaged_memory_is_begun_anew(tmp_path: Path, text: str) -> None:
    said(tmp_path, 28.0)
    (path,) = (tmp_path / "machine").iterdir()
    path.write_text(text)
    assert said(tmp_path, 52.0) == []
    assert said(tmp_path, 80.0)


def test_a_memory_that_cannot_be_written_costs_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_arguments: object) -> None:
        raise OutputError("no space left")

    monkeypatch.setattr(machine_state, "write_atomically", full)
    (text,) = said(tmp_path, 28.0)
    assert "not kept for later runs" in text
