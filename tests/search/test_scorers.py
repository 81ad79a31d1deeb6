"""Processes that score nets beside each other: each net once, errors told in one line, none left behind."""

from __future__ import annotations

import os
import sys
import threading
import time
from pathlib import Path

import pytest

from lutbench.errors import DataError, TrainingError
from lutbench.search.hardware import SMALL_MAPS, Hardware
from lutbench.search.scorers import Scorers, processes_for
from lutbench.search.scores import Scores
from lutbench.search.train import Score
from lutbench.space.decisions import net_at
from lutbench.space.net import Net
from tests.conftest import LeftBehind
from tests.search.made import SMALL

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="elsewhere one process scores")
BROKEN, DEADLY = (3, 3, 1, 1), (3, 2, 1, 1)


def judge(positions: tuple[int, ...]) -> Score:
    if positions == BROKEN:
        raise DataError("cannot be read", path=Path("photo.jpg"))
    if positions == DEADLY:
        os._exit(9)
    time.sleep(0.01)
    return Score(float(sum(positions)), 0.5, os.getpid())


def net(positions: tuple[int, ...]) -> Net:
    return net_at(SMALL, positions, "net")


NETS = [net((first, second, 0, third)) for first in range(3) for second in range(3) for third in range(2)]


@pytest.fixture
def kept(tmp_path: Path) -> Scores:
    return Scores(tmp_path / "ranking.jsonl", {"of": "test"})


def test_scores_come_in_the_nets_order_from_several_processes_and_are_kept(
    kept: Scores, tmp_path: Path, left_behind: LeftBehind
) -> None:
    known = Score(-1.0, 1.0, 1)
    kept.keep(NETS[4].candidates_text, known)
    with Scorers(2, judge, kept) as scorers:
        found = list(scorers.score_all(NETS))
    positions = [(first, second, 0, third) for first in range(3) for second in range(3) for third in range(2)]
    assert [score.loss for score in found] == [sum(p) if n != 4 else -1.0 for n, p in enumerate(positions)]
    assert found[4] == known
    pids = {score.images for number, score in enumerate(found) if number != 4}
    assert len(pids) == 2 and os.getpid() not in pids
    again = Scores(tmp_path / "ranking.jsonl", {"of": "test"})
    assert [again.get(one.candidates_text) for one in NETS] == found
    assert not left_behind()


def test_a_net_that_several_jobs_ask_for_is_scored_once(kept: Scores, tmp_path: Path) -> None:
    ready = threading.Barrier(3)

    def job() -> list[Score]:
        ready.wait()
        return list(scorers.score_all(NETS))

    with Scorers(2, judge, kept) as scorers:
        first, *others = scorers.together([job] * 3)
    assert others == [first, first]
    assert (tmp_path / "ranking.jsonl").read_bytes().count(b"\n") == 1 + len(NETS)


@pytest.mark.parametrize(
    ("worst", "error", "text"),
    [(BROKEN, DataError, "photo.jpg: cannot be read"), (DEADLY, TrainingError, r"a process .* died \(status 9\)")],
)
def test_what_a_process_fails_with_ends_every_job(
    kept: Scores, worst: tuple[int, ...], error: type[Exception], text: str, left_behind: LeftBehind
) -> None:
    def endless() -> None:
        while True:
            list(scorers.score_all([net((0, 0, 0, 0))]))
            list(scorers.score_all([net(worst)]))

    with Scorers(2, judge, kept) as scorers, pytest.raises(error, match=text):
        scorers.together([endless, endless])
    assert not left_behind()
    assert kept.get(net((0, 0, 0, 0)).candidates_text) is not None


def test_as_many_processes_as_cores_and_nets_have_use_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _process: set(range(6)))
    cpu = Hardware("cpu")
    assert processes_for(cpu, None, SMALL_MAPS, 600) == 6
    assert processes_for(cpu, 2, SMALL_MAPS, 600) == 2
    assert processes_for(cpu, 64, SMALL_MAPS, 600) == 6
    assert processes_for(cpu, None, SMALL_MAPS, 30) == 3
    assert processes_for(cpu, None, SMALL_MAPS, 8) == 1
    assert processes_for(cpu, None, SMALL_MAPS + 1, 600) == 1  # its threads fill the cores
