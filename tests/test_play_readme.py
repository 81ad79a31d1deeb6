"""What .ci/play_readme.py holds of a terminal: it finds what it looks for, and lets pass what is right."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.test_docs import ROOT, load

pytest.importorskip("pyte", reason="NOT TESTED: the README in a terminal, for pyte is not installed")
PLAY: Any = load(ROOT / ".ci" / "play_readme.py")


@pytest.mark.parametrize(
    ("text", "torn"),
    [
        ("the operator ir_k3_e6_g1 is slow", ["the operator ir_k3_"]),
        ("ends at the edge of\r\nthe screen", []),  # by itself
        ("ends at the edge of the screen", []),  # a blank stands at the edge
        ("next:  lutbench train net.json", []),  # to be pasted
        ("a" * 25, []),  # longer than a row by itself
        ("drawn\r\x1b[2Kthe operator is_k3_e6_g1 is slow", ["the operator is_k3_"]),
    ],
)
def test_a_word_that_is_torn_at_the_edge_is_found(text: str, torn: list[str]) -> None:
    screen = PLAY.Terminal(19)
    PLAY.pyte.Stream(screen).feed(text)
    assert PLAY.torn_rows(screen.rows(), screen.wrapped, 19) == torn


def test_a_name_that_is_cut_off_is_found() -> None:
    text = "ir_k3_e6_g1_112x14x14_112_s1 pool_32x4x4, ir_k5_e3_g1_8x48 fc_32_10"
    assert PLAY.torn_names(text) == ["ir_k5_e3_g1_8x48"]


def test_the_next_commands_are_read_off_the_screen_over_rows() -> None:
    rows = ["wrote: a.csv", "next:  lutbench verify --lut", " a.csv", "next:  lutbench show a.csv", ""]
    assert PLAY.next_commands(rows, 28) == [("verify", "--lut", "a.csv"), ("show", "a.csv")]


def test_every_line_of_the_readme_is_played_with_its_own_options() -> None:
    lines = PLAY.command_lines(ROOT / "README.md")
    assert ("demo",) in lines and len(lines) > 15
    for line in lines:
        assert PLAY.shortened(line)[0] == line[0]
        assert [word for word in line if word.startswith("--")] == [
            word for word in PLAY.shortened(line)[: len(line)] if word.startswith("--")
        ]


@pytest.mark.slow
@pytest.mark.parametrize("columns", [80, 100])
def test_a_command_is_played_in_a_terminal(columns: int, tmp_path: Path) -> None:
    played = PLAY.play(["diff", "s8", "iphonex", "--top", "3"], tmp_path, columns)
    assert played.status == 0 and 0 < played.first_s <= played.wall_s
    assert "fbnet_a" in played.text and all(len(row) <= columns for row in played.rows)
    assert [problem for problem in PLAY.problems_of(played, tmp_path) if "nothing was said" not in problem] == []


@pytest.mark.slow
def test_a_command_that_fails_is_a_problem(tmp_path: Path) -> None:
    played = PLAY.play(["show", "none.csv"], tmp_path, 80)
    assert any("ended with 4" in problem for problem in PLAY.problems_of(played, tmp_path))
