"""What ends a job from outside is one line that says how to go on."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch._dynamo.exc import TorchDynamoException

from lutbench.errors import InterruptedRunError, TrainingError
from lutbench.jobs.train import train_net, train_request
from lutbench.search import train as training
from lutbench.search.hardware import Hardware
from lutbench.search.stops import stops_explained


@pytest.mark.parametrize(
    ("raised", "expected", "says"),
    [
        (KeyboardInterrupt(), InterruptedRunError, "no epoch had ended"),
        (torch.OutOfMemoryError(), TrainingError, "step of 256 images; less of it"),
        (TorchDynamoException("no\ncompiler"), TrainingError, "torch.compile failed: no; leave --compile out"),
    ],
)
def test_each_is_one_line(raised: BaseException, expected: type[Exception], says: str, tmp_path: Path) -> None:
    with pytest.raises(expected, match=says), stops_explained(tmp_path, 256, "less of it"):
        raise raised


def test_an_interrupted_job_with_a_checkpoint_can_go_on(tmp_path: Path) -> None:
    (tmp_path / "checkpoint.pt").touch()
    with pytest.raises(InterruptedRunError, match="the same command goes on"), stops_explained(tmp_path, 256, ""):
        raise KeyboardInterrupt


def test_a_training_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise torch.OutOfMemoryError

    monkeypatch.setattr(training, "train", fail)
    with pytest.raises(TrainingError, match="step of 64 images; a smaller --batch-size"):
        train_net(train_request("fbnet_a", folder=tmp_path, resolution=16), Hardware(), lambda _event: None)
