"""Finals: the best nets of a ranking are trained for a while, each alone, and stand in the order that this gives."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from lutbench.search.finals import FinalTraining, decide, finals_of
from lutbench.search.finders import Effort, at_random
from lutbench.search.scores import Scores
from lutbench.space.decisions import choice_positions
from tests.search.made import Blobs
from tests.search.test_finders import losses, ranking


@pytest.fixture
def kept(tmp_path: Path) -> Scores:
    return Scores(tmp_path / "finals.jsonl", {"of": "test"})


def test_the_best_nets_are_trained_and_stand_in_the_order_of_that(kept: Scores) -> None:
    by = replace(ranking(), data=Blobs(images=400))
    ranked = at_random(by, Effort(6, 1, 0))
    before = {name: value.clone() for name, value in by.supernet.state_dict().items()}  # type: ignore[attr-defined]
    finals = finals_of(by, FinalTraining(3, 1, 0), kept)
    decided = decide(finals, ranked, 4)
    assert {one.net.choice for one in decided[:4]} == {one.net.choice for one in ranked[:4]}
    assert decided[4:] == ranked[4:]
    assert losses(decided[:4], by) == sorted(losses(decided[:4], by))
    untrained = {one.net.choice: one.score for one in ranked}
    assert all(one.score.loss < untrained[one.net.choice].loss for one in decided[:4])
    after = by.supernet.state_dict()  # type: ignore[attr-defined]
    assert all(bool((value == after[name]).all()) for name, value in before.items())  # each net had a copy


def test_finals_come_to_the_same_again_and_are_kept(kept: Scores, tmp_path: Path) -> None:
    by = replace(ranking(), data=Blobs(images=400))  # of which w has several batches
    ranked = at_random(by, Effort(3, 1, 0))
    decided = decide(finals_of(by, FinalTraining(1, 1, 0), kept), ranked, 2)
    other = finals_of(by, FinalTraining(1, 1, 0), Scores(tmp_path / "other.jsonl", {"of": "test"}))
    assert decide(other, ranked, 2) == decided
    again = finals_of(by, FinalTraining(1, 1, 0), Scores(tmp_path / "finals.jsonl", {"of": "test"}))
    first = decided[0]
    assert again.score(first.net) == first.score
    assert other.judge(choice_positions(first.net)) == first.score
    another_order = finals_of(by, FinalTraining(1, 1, 1), kept)  # of images
    assert another_order.judge(choice_positions(first.net)) != first.score


def test_several_runs_have_other_orders_of_images_and_count_by_their_mean() -> None:
    by = replace(ranking(), data=Blobs(images=400))
    positions = choice_positions(at_random(by, Effort(1, 1, 0))[0].net)
    one, two, three = (finals_of(by, FinalTraining(1, runs, 0)).judge(positions) for runs in (1, 2, 3))
    second = 2 * two.loss - one.loss
    third = 3 * three.loss - 2 * two.loss
    assert len({one.loss, second, third}) == 3
    assert finals_of(by, FinalTraining(1, 2, 0))._after_run(positions, 1).loss == pytest.approx(second)
    assert two.images == one.images
