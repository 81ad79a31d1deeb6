from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from lutbench.errors import CheckpointError, TrainingError
from lutbench.events import Event, Note
from lutbench.search.checkpoint import load_checkpoint
from lutbench.search.epochs import METRICS, Epochs, RunFolder
from lutbench.search.hardware import Hardware
from lutbench.search.metrics import Record


def run_folder(folder: Path) -> RunFolder:
    return RunFolder(folder, "training", {"job": "train", "net": "tiny"})


def quiet(_event: Event) -> None:
    pass


def epochs(folder: Path, count: int = 3) -> Epochs:
    return Epochs(run_folder(folder), Hardware("cpu"), count)


def record(number: int) -> Record:
    return {"epoch": number + 1, "loss": 1.0 / (number + 1)}


def kept(folder: Path) -> dict[str, Any]:
    return load_checkpoint(run_folder(folder).checkpoint, run_folder(folder).identity)


def test_every_epoch_is_kept_and_logged(tmp_path: Path) -> None:
    done: list[int] = []
    own = epochs(tmp_path)
    assert own.start("auto", quiet) is None

    def epoch(number: int) -> Record:
        if number:
            assert kept(tmp_path)["weights"] == number  # what the epoch before came to
        done.append(number)
        return record(number)

    own.run(epoch, lambda: {"weights": len(done)})
    assert done == [0, 1, 2] and own.history == [record(number) for number in range(3)]
    assert kept(tmp_path) == {"weights": 3, "history": own.history}
    lines = (tmp_path / METRICS).read_text().splitlines()
    assert [json.loads(line) for line in lines] == own.history


def test_a_run_that_was_stopped_goes_on_after_its_last_epoch(tmp_path: Path) -> None:
    cut = epochs(tmp_path)

    def stop(number: int) -> Record:
        if number == 2:
            raise KeyboardInterrupt
        return record(number)

    with pytest.raises(KeyboardInterrupt):
        cut.run(stop, lambda: {"weights": 7})
    again = epochs(tmp_path)
    state = again.start("auto", quiet)
    assert state is not None and state["weights"] == 7
    ran: list[int] = []

    def epoch(number: int) -> Record:
        ran.append(number)
        return record(number)

    again.run(epoch, dict)
    assert ran == [2] and len(again.history) == 3 == len((tmp_path / METRICS).read_text().splitlines())


def test_a_checkpoint_is_neither_overwritten_nor_taken_for_another_jobs(tmp_path: Path) -> None:
    epochs(tmp_path).run(record, dict)
    other = Epochs(replace(run_folder(tmp_path), identity={"job": "train", "net": "other"}), Hardware("cpu"), 3)
    with pytest.raises(CheckpointError, match="net was tiny and is other"):
        other.start("auto", quiet)
    with pytest.raises(CheckpointError, match="there is no checkpoint"):
        epochs(tmp_path / "empty").start("resume", quiet)


def test_a_fresh_start_keeps_the_checkpoint_that_was_there(tmp_path: Path) -> None:
    epochs(tmp_path).run(record, lambda: {"weights": 5})
    said: list[Event] = []
    other = Epochs(replace(run_folder(tmp_path), identity={"job": "train", "net": "other"}), Hardware("cpu"), 3)
    assert other.start("fresh", said.append) is None and other.history == []
    assert not run_folder(tmp_path).checkpoint.exists()
    (aside,) = tmp_path.glob("checkpoint.aside*.pt")
    assert load_checkpoint(aside, run_folder(tmp_path).identity)["weights"] == 5
    assert isinstance(said[0], Note) and str(aside) in said[0].text


def test_going_on_is_said(tmp_path: Path) -> None:
    epochs(tmp_path, count=2).run(record, dict)
    said: list[Event] = []
    epochs(tmp_path, count=2).start("auto", said.append)
    assert isinstance(said[0], Note) and "2 of 2 epochs are done" in said[0].text


def test_time_left_is_known_after_an_epoch_of_this_run(tmp_path: Path) -> None:
    own = epochs(tmp_path, count=4)
    assert math.isnan(own.left_s(0.5))
    own.run(record, dict)
    assert own.left_s(4) == 0 < own.left_s(1)
    assert own.left_s(1) == pytest.approx(3 * own.left_s(3))


def test_what_is_no_number_stops_the_job_and_says_what_is_kept(tmp_path: Path) -> None:
    net = nn.Linear(2, 2)
    own = epochs(tmp_path, count=1)
    own.require_finite(net)
    own.stop_where("")
    with pytest.raises(TrainingError, match=r"the loss is nan.*a lower learning rate may help$"):
        own.stop_where("the loss is nan")
    own.run(record, dict)
    with torch.no_grad():
        net.bias[0] = math.inf
    with pytest.raises(TrainingError, match=r"no longer numbers after epoch 2.*epoch 1 is kept in .*checkpoint.pt"):
        own.require_finite(net)
