"""Weights that a process of its own trains ahead: the same to the last bit, its errors told, nothing left behind."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest
import torch

from lutbench.errors import TrainingError
from lutbench.events import Event, StepProgress
from lutbench.search import ahead
from lutbench.search.data.digits import digits
from lutbench.search.data.options import DataOptions
from lutbench.search.dnas import SearchMode, search
from lutbench.search.hardware import Hardware
from tests.conftest import LeftBehind
from tests.jobs.test_search_again import differing
from tests.search.made import Blobs
from tests.search.test_dnas import StopError, lines, quiet, setup, stop_in

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="elsewhere one process does both")


def kept(folder: Path) -> tuple[dict[str, object], list[dict[str, float]]]:
    """What a search leaves, without how long it took."""
    state = torch.load(folder / "checkpoint.pt", weights_only=True)["state"]
    state.pop("history")
    return state, [{k: v for k, v in line.items() if not k.endswith("_per_s")} for line in lines(folder)]


def test_it_comes_to_the_same_bits_also_when_interrupted(tmp_path: Path, left_behind: LeftBehind) -> None:
    search(setup(tmp_path / "one", mode="mixed"), quiet)
    events: list[Event] = []
    search(setup(tmp_path / "two", mode="mixed", ahead=True), events.append)
    for epoch, part in ((1, "w"), (2, "theta")):
        with pytest.raises(StopError):
            search(setup(tmp_path / "parts", mode="mixed", ahead=True), stop_in(epoch, part))
    search(setup(tmp_path / "parts", mode="mixed", ahead=True), quiet)
    one = kept(tmp_path / "one")
    for name in ("two", "parts"):
        other = kept(tmp_path / name)
        assert [differing(a, b) for a, b in zip(one, other, strict=True)] == [[], []]
    assert {event.stage for event in events if isinstance(event, StepProgress)} == {"searching, w", "searching, theta"}
    assert not left_behind()


@pytest.mark.parametrize("mode", ["soft", "hard", "elastic"])
def test_weights_that_depend_on_theta_are_not_trained_ahead(mode: SearchMode, tmp_path: Path) -> None:
    def never(*_: object) -> None:
        raise AssertionError

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("lutbench.search.dnas.Ahead", never)
        search(setup(tmp_path, mode=mode, ahead=True), quiet)
    assert lines(tmp_path)  # it trained them all the same, in this process


def test_a_loss_there_that_is_no_number_is_told_as_it_is_here(tmp_path: Path, left_behind: LeftBehind) -> None:
    told = []
    for name, goes_ahead in (("one", False), ("two", True)):
        with pytest.raises(TrainingError, match=r"the loss is nan .* epoch 1 is kept") as caught:
            search(setup(tmp_path / name, mode="mixed", data=Blobs(poison=True), ahead=goes_ahead), quiet)
        told.append(str(caught.value).replace(str(tmp_path / name), ""))
    assert told[0] == told[1]
    assert not left_behind()


def test_a_process_that_dies_is_an_error_of_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, left_behind: LeftBehind
) -> None:
    monkeypatch.setattr(ahead, "_serve", lambda *_: os._exit(9))
    with pytest.raises(TrainingError, match=r"the process that trains the weights died \(status 9\)"):
        search(setup(tmp_path, mode="mixed", ahead=True), quiet)
    assert not left_behind()


def test_it_needs_a_core_and_images_in_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    images, threads = digits(DataOptions()), torch.get_num_threads()
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 1})
    torch.set_num_threads(1)
    try:
        assert ahead.has_room_ahead(Hardware("cpu"), None, images)
        assert not ahead.has_room_ahead(Hardware("cpu"), 1, images)
        monkeypatch.setattr(type(images), "starts_processes", True)
        assert not ahead.has_room_ahead(Hardware("cpu"), None, images)
        monkeypatch.undo()
        monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0})
        assert not ahead.has_room_ahead(Hardware("cpu"), None, images)
        monkeypatch.undo()
        torch.set_num_threads(2)
        assert not ahead.has_room_ahead(Hardware("cpu"), None, images)
    finally:
        torch.set_num_threads(threads)
