"""Trains a net from scratch on a data source."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from lutbench.errors import UsageError
from lutbench.events import Report, StepProgress
from lutbench.nn.workload import branch_norms
from lutbench.search.checkpoint import CHECKPOINT, restoring
from lutbench.search.data.source import Batches
from lutbench.search.epochs import CHECK_EVERY, Epochs, RunFolder, RunSetup, images_identity
from lutbench.search.initial import initialise
from lutbench.search.metrics import Record
from lutbench.search.recipe import Recipe
from lutbench.search.seeding import generator, seeded
from lutbench.search.tally import Tally
from lutbench.units import format_percent

WEIGHTS = "weights.pt"
LAYOUT = torch.channels_last  # a training step of MobileNetV2 takes half the time of the default layout on CPU
WEIGHTS_STREAM, EPOCH_STREAM = 0, 1  # random streams of one seed


@dataclass(frozen=True, kw_only=True)
class TrainSetup(RunSetup):
    """What a training runs on.

    net: its weights are set anew and trained in place.
    name: what the net is, for a checkpoint to be known by.
    folder: gets weights.pt at the end.
    channels_last: how images and weights lie in memory.
    tests_at_end_only: a test set larger than the training set may take longer than an epoch.
    """

    net: nn.Module
    name: str
    recipe: Recipe
    channels_last: bool = True
    tests_at_end_only: bool = False


@dataclass(frozen=True)
class Score:
    """Mean cross entropy and the share of images whose class was found."""

    loss: float
    accuracy: float
    images: int


@dataclass(frozen=True)
class TrainResult:
    """What a training came to.

    test: the net as it stands after the last epoch, not after its best one.
    history: metrics.jsonl's records.
    weights: the file that keeps the net as it stands.
    """

    test: Score
    epochs: int
    weights: Path
    history: tuple[Record, ...] = field(repr=False)


def train(setup: TrainSetup, report: Report) -> TrainResult:
    """Trains setup.net and leaves it in eval mode.

    Raises TrainingError where the loss stops being a number (the last good checkpoint stays), CheckpointError where
    the one in the folder is of another training, or there is none to resume from.
    """
    return _Training(setup, report).run()


def evaluate(net: nn.Module, batches: Batches, device: str = "cpu") -> Score:
    """The net's score on batches, in eval mode; the mode it was in is restored."""
    return _score(_sums(net, batches, torch.device(device), LAYOUT))


def _sums(net: nn.Module, batches: Batches, device: torch.device, layout: torch.memory_format) -> Tensor:
    """Loss, hits and number of the batches' images, (3,)."""
    was_training = net.training
    net.eval()
    loss, right, count = torch.zeros((), device=device), torch.zeros((), device=device), 0
    with torch.no_grad():
        for images, labels in batches:
            outputs, labels = net(images.to(device, memory_format=layout)), labels.to(device)
            loss += F.cross_entropy(outputs, labels, reduction="sum")
            right += (outputs.argmax(1) == labels).sum()
            count += len(labels)
    net.train(was_training)
    return torch.stack([loss.double(), right.double(), loss.new_tensor(count, dtype=torch.float64)])


def _score(sums: Tensor) -> Score:
    loss, right, images = sums.tolist()
    return Score(loss / images, right / images, int(images))


@torch.no_grad()
def start_net(net: nn.Module, seed: int) -> None:
    """Random weights to train from, in place.

    The last batch norm of each residual branch starts at 0, so that the net starts shallow
    (docs/notes/training.md: figures).
    """
    initialise(net, generator(seed, WEIGHTS_STREAM))
    for norm in branch_norms(net):
        norm.weight.zero_()


class _Training:
    """One training: its net, optimiser and history."""

    def __init__(self, setup: TrainSetup, report: Report) -> None:
        self._hardware, self._device = setup.hardware, setup.hardware.device
        self._hardware.check_batch(setup.recipe.batch_size)
        self._setup, self._report = setup, self._hardware.reporting(report)
        self._data = self._hardware.share(setup.data)
        folder = RunFolder(setup.folder, "training", _identity(setup), setup.tensorboard)
        self._epochs = Epochs(folder, self._hardware, setup.recipe.epochs)
        self._net = setup.net.to(self._device)
        self._layout = LAYOUT if setup.channels_last else torch.contiguous_format
        self._net.to(memory_format=self._layout)  # type: ignore[call-overload]  # torch's stubs lack it
        self._forward: Callable[[Tensor], Tensor] = torch.compile(self._net) if setup.compiled else self._net
        recipe = setup.recipe
        self._optimiser = torch.optim.SGD(
            self._net.parameters(), recipe.learning_rate, recipe.momentum, weight_decay=recipe.weight_decay
        )

    def run(self) -> TrainResult:
        setup, epochs = self._setup, self._epochs
        state = epochs.start(setup.begin, self._report)
        if state is None:
            start_net(self._net, setup.seed)
        else:
            with restoring(setup.folder / CHECKPOINT):
                self._net.load_state_dict(state["net"])
                self._optimiser.load_state_dict(state["optimiser"])
        with dropout_before_classifier(self._net, setup.recipe.dropout):
            epochs.run(self._epoch, lambda: {**self._weights(), "optimiser": self._optimiser.state_dict()})
        self._net.eval()
        last, weights = epochs.history[-1], setup.folder / WEIGHTS
        epochs.save(weights, self._weights())
        with restoring(setup.folder / CHECKPOINT):
            test = Score(last["test_loss"], last["test_accuracy"], setup.data.count("test"))
        return TrainResult(test, len(epochs.history), weights, tuple(epochs.history))

    def _weights(self) -> dict[str, Any]:
        return {"net": self._net.state_dict()}

    def _epoch(self, epoch: int) -> Record:
        """Trains for one epoch and tests; its random numbers depend on the seed and the epoch alone."""
        setup, started = self._setup, time.monotonic()
        rate = setup.recipe.rate_at(epoch)
        for group in self._optimiser.param_groups:
            group["lr"] = rate
        self._net.train()
        stream = (self._hardware.rank,) if self._hardware.processes > 1 else ()
        with seeded(self._device, (setup.seed, EPOCH_STREAM, epoch, *stream)):
            tally = self._steps(epoch)
        self._hardware.average_buffers(self._net)
        self._epochs.require_finite(self._net)
        train_s = time.monotonic() - started
        return {
            "epoch": epoch + 1,
            "learning_rate": rate,
            "loss": tally.mean_loss,
            "accuracy": tally.accuracy,
            **(self._test() if epoch + 1 == setup.recipe.epochs or not setup.tests_at_end_only else {}),
            "train_s": train_s,
            "images_per_s": tally.images / train_s,
        }

    def _test(self) -> Record:
        batches = self._data.test_batches(self._setup.recipe.batch_size)
        test = _score(self._hardware.total(_sums(self._net, batches, self._device, self._layout)))
        return {"test_loss": test.loss, "test_accuracy": test.accuracy}

    def _steps(self, epoch: int) -> Tally:
        setup = self._setup
        batches = self._data.train_batches(setup.recipe.batch_size, epoch, setup.seed, "all")
        total = math.ceil(setup.data.count("all") / setup.recipe.batch_size)
        tally = Tally(self._hardware)
        for step, (images, labels) in enumerate(batches):
            self._step(images.to(self._device, memory_format=self._layout), labels.to(self._device), tally)
            if (step + 1) % CHECK_EVERY == 0:
                self._look(epoch, tally)
                self._progress(epoch, (step + 1) / total, tally)
        self._look(epoch, tally)
        self._progress(epoch, 1.0, tally)
        return tally

    def _step(self, images: Tensor, labels: Tensor, tally: Tally) -> None:
        with self._hardware.autocast():
            outputs = self._forward(images)
        loss = F.cross_entropy(outputs.float(), labels)
        self._hardware.step(self._optimiser, loss, len(labels), self._setup.recipe.clip)
        tally.add(loss.detach(), outputs.detach(), labels)

    def _look(self, epoch: int, tally: Tally) -> None:
        problem = tally.check()
        self._epochs.stop_where(f"{problem} of epoch {epoch + 1}" if problem else "")

    def _progress(self, epoch: int, share: float, tally: Tally) -> None:
        last = self._epochs.history[-1] if self._epochs.history else {}
        tested = f", test accuracy {format_percent(last['test_accuracy'])}" if "test_accuracy" in last else ""
        detail = f"loss {tally.mean_loss:.3f}, accuracy {format_percent(tally.accuracy)}{tested}"
        left_s = self._epochs.left_s(epoch + share)
        self._report(
            StepProgress("training", epoch + (share == 1), self._setup.recipe.epochs, "epochs", detail, left_s)
        )


def _identity(setup: TrainSetup) -> dict[str, Any]:
    """What must be the same for a resumed training to be the one that was interrupted."""
    return {
        "job": "train",
        "net": setup.name,
        **images_identity(setup.data),
        "seed": setup.seed,
        "bf16": setup.hardware.bf16,
        **setup.recipe.to_dict(),
    }


@contextmanager
def dropout_before_classifier(net: nn.Module, share: float) -> Iterator[None]:
    """Inside, the last nn.Linear's input loses a share of its features in train mode; the net itself stays as it is."""
    if share == 0:
        yield
        return
    classifier = next((part for part in reversed(list(net.modules())) if isinstance(part, nn.Linear)), None)
    if classifier is None:
        raise UsageError("the net has no classifier (nn.Linear) for dropout to stand before", remedy="use dropout 0")
    drop: Callable[[nn.Module, tuple[Tensor]], Tensor] = lambda part, given: F.dropout(given[0], share, part.training)  # noqa: E731
    handle = classifier.register_forward_pre_hook(drop)
    try:
        yield
    finally:
        handle.remove()
