"""The recording of a terminal: what the screen shows after a program's moves, and the picture made of it."""

from __future__ import annotations

from typing import Any
from xml.etree import ElementTree

import pytest

from tests.test_docs import ROOT, load

RECORDING: Any = load(ROOT / "docs" / "make_recording.py")


@pytest.mark.parametrize(
    ("written", "shown"),
    [
        ("a\r\nb\r\n", ("a", "b")),
        ("half\r\x1b[2K\x1b[1mwhole\x1b[0m", ("\x1b[1mwhole\x1b[0m",)),
        ("kept\r\none\r\ntwo\r\x1b[2K\x1b[1A\x1b[2Kdone\r\n", ("kept", "done", "")),
        ("\x1b[?25lbar\x1b[?25h", ("bar",)),
    ],
)
def test_what_the_screen_shows(written: str, shown: tuple[str, ...]) -> None:
    screen = RECORDING.Screen()
    screen.write(written)
    assert [line for line in screen.shown() if line] == [line for line in shown if line]


def test_a_long_recording_plays_faster_and_a_short_one_as_it_was() -> None:
    assert RECORDING.hastened([(0.0, "a"), (200.0, "b")]) == [(0.0, "a"), (RECORDING.LENGTH_S, "b")]
    assert RECORDING.hastened([(0.0, "a"), (2.0, "b")]) == [(0.0, "a"), (2.0, "b")]


def test_the_picture_is_xml_with_a_frame_for_each_change() -> None:
    frames = RECORDING.frames([(0.0, "$ go\r\n"), (1.0, "one <&>\r\n"), (2.0, "two")])
    drawn = ElementTree.fromstring(RECORDING.svg(frames))
    texts = ["".join(node.itertext()) for node in drawn.iter("{http://www.w3.org/2000/svg}text")]
    assert texts[-3:] == ["$ go", "one <&>", "two"] and len(frames) == 3
