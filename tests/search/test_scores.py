"""A ranking's scores in their file: kept, found again, another ranking's and damaged lines left out."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lutbench.errors import OutputError
from lutbench.search.scores import Scores
from lutbench.search.train import Score

IDENTITY = {"checkpoint": "ab12", "views": 3}
SCORE = Score(0.123456789, 0.75, 1000)


def test_scores_are_found_again(tmp_path: Path) -> None:
    path = tmp_path / "ranking.jsonl"
    own = Scores(path, IDENTITY)
    assert own.get("k3_e1,skip") is None
    own.keep("k3_e1,skip", SCORE)
    again = Scores(path, IDENTITY)
    assert again.get("k3_e1,skip") == SCORE and again.get("k3_e1,k3_e1") is None
    again.keep("k3_e1,k3_e1", SCORE)
    assert Scores(path, IDENTITY).get("k3_e1,k3_e1") == SCORE


def test_scores_of_another_ranking_are_not_taken(tmp_path: Path) -> None:
    path = tmp_path / "ranking.jsonl"
    Scores(path, IDENTITY).keep("skip", SCORE)
    assert Scores(path, {**IDENTITY, "views": 4}).get("skip") is None
    assert Scores(path, IDENTITY).get("skip") is None  # the file is the other ranking's now


@given(place=st.integers(min_value=0), value=st.integers(0, 255))
def test_a_damaged_byte_loses_its_line_and_no_more(
    tmp_path_factory: pytest.TempPathFactory, place: int, value: int
) -> None:
    path = tmp_path_factory.mktemp("scores") / "ranking.jsonl"
    own = Scores(path, IDENTITY)
    nets = ["k3_e1,skip", "skip,k3_e1", "k5_e2,k5_e2"]
    for net in nets:
        own.keep(net, SCORE)
    data = bytearray(path.read_bytes())
    data[place % len(data)] = value
    path.write_bytes(data)
    known = [net for net in nets if Scores(path, IDENTITY).get(net) is not None]
    header_ends = data.find(b"\n") if data == path.read_bytes() else 0
    assert all(Scores(path, IDENTITY).get(net) == SCORE for net in known)
    assert len(known) >= 1 or place % len(data) <= header_ends or path.read_bytes().count(b"\n") == 1


def test_a_line_that_was_cut_short_is_left_out_and_the_next_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "ranking.jsonl"
    own = Scores(path, IDENTITY)
    own.keep("a", SCORE)
    own.keep("b", SCORE)
    path.write_bytes(path.read_bytes()[:-9])
    again = Scores(path, IDENTITY)
    assert again.get("a") == SCORE and again.get("b") is None
    again.keep("c", SCORE)
    last = Scores(path, IDENTITY)
    assert last.get("a") == last.get("c") == SCORE


def test_a_file_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    own = Scores(tmp_path / "ranking.jsonl", IDENTITY)
    (tmp_path / "ranking.jsonl").unlink()
    (tmp_path / "ranking.jsonl").mkdir()
    with pytest.raises(OutputError, match="cannot write"):
        own.keep("a", SCORE)
