"""A connection that breaks: what is said while the phone is waited for, and when nothing is."""

from __future__ import annotations

from pathlib import Path

import pytest

from lutbench.device_agents.android.connection import Connection
from lutbench.device_agents.remote import persist
from lutbench.errors import DeviceError
from lutbench.events import Event, Note
from tests.device_agents.android.local_phone import LocalLink


@pytest.fixture
def link(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> LocalLink:
    monkeypatch.setattr(persist, "_FIRST_PAUSE_S", 0.001)
    return LocalLink(tmp_path / "phone", "9")


def notes_of(link: LocalLink, lose: int, reconnect_s: float = 30.0) -> list[Note]:
    """What is said while one command finds the connection broken so many times."""
    events: list[Event] = []
    connection = Connection(link, "phone", reconnect_s, events.append)
    link.lose = lose
    assert connection.run("echo found").text == "found"
    assert connection.run("echo again").text == "again"
    assert connection.losses == lose  # by which a runner's death is told from one that came with the connection's
    return [event for event in events if isinstance(event, Note)]


def test_a_phone_that_stays_away_is_waited_for_and_it_is_said_once(link: LocalLink) -> None:
    waiting, ended = notes_of(link, lose=5)
    assert waiting.text == (
        "waiting: the phone does not answer (cut): check its cable or network, and that it is on (waits 30 s at most)"
    )
    assert waiting.warning
    assert ended.text == "the phone answers again"


def test_a_hiccup_is_not_worth_a_word(link: LocalLink) -> None:
    assert notes_of(link, lose=1) == []


def test_one_that_stays_away_for_good_is_said_too(link: LocalLink) -> None:
    with pytest.raises(DeviceError, match="does not answer any more") as caught:
        notes_of(link, lose=1000, reconnect_s=0.05)
    assert "the same command goes on" in caught.value.remedy
