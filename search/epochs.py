"""The epochs of a training or a search: begun or gone on with, kept, logged, timed, stopped at what is no number."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import torch
from torch import nn

from lutbench.errors import CheckpointError, TrainingError
from lutbench.events import Note, Report
from lutbench.files import put_aside
from lutbench.search.checkpoint import CHECKPOINT, load_checkpoint, restoring, save_checkpoint
from lutbench.search.data.source import DataSource
from lutbench.search.hardware import Hardware
from lutbench.search.metrics import Record, open_log

METRICS = "metrics.jsonl"
Begin = Literal["auto", "resume", "fresh"]  # go on where there is something to go on from; go on; start anew
CHECK_EVERY = 20  # steps between looks at the losses: each look makes an accelerator wait


@dataclass(frozen=True, kw_only=True)
class RunSetup:
    """What a training and a search are told alike.

    folder: gets checkpoint.pt and metrics.jsonl.
    begin: with the checkpoint there, or anew (`Epochs.start`).
    tensorboard: write the figures for TensorBoard, too.
    compiled: run what torch.compile makes of the net.
    """

    data: DataSource
    folder: Path
    seed: int = 0
    begin: Begin = "auto"
    hardware: Hardware = field(default_factory=Hardware)
    tensorboard: bool = False
    compiled: bool = False


@dataclass(frozen=True)
class RunFolder:
    """The folder in which a run keeps what it comes to.

    kind: "training" or "search".
    identity: which one (`save_checkpoint`).
    """

    path: Path
    kind: str
    identity: dict[str, Any]
    tensorboard: bool = False

    @property
    def checkpoint(self) -> Path:
        return self.path / CHECKPOINT


class Epochs:
    """The epochs of one run.

    history: a record per epoch that is done, as in metrics.jsonl.
    """

    def __init__(self, folder: RunFolder, hardware: Hardware, count: int) -> None:
        self._folder, self._hardware, self._count = folder, hardware, count
        self.history: list[Record] = []
        self._took_s: list[float] = []  # of this run's epochs

    def start(self, begin: Begin, report: Report) -> dict[str, Any] | None:
        """The state to go on from, None where the job starts anew.

        CheckpointError where the checkpoint that is there is damaged or of another job, and for "resume" where there is
        none.
        """
        path = self._folder.checkpoint
        if begin == "fresh":
            if self._hardware.is_first and (kept := put_aside(path)):
                report(Note(f"starting anew; the checkpoint that was there is kept as {kept}"))
            return None
        if begin == "auto" and not self._is_there_for_all(path):
            return None
        state = load_checkpoint(path, self._folder.identity, str(self._hardware.device))
        with restoring(path):
            self.history = [dict(record) for record in state["history"]]
        done = f"{len(self.history)} of {self._count} epochs"
        report(Note(f"going on with the {self._folder.kind} in {self._folder.path}: {done} are done"))
        return state

    def _is_there_for_all(self, path: Path) -> bool:
        """CheckpointError where some processes see the file and others do not: they would start in different places."""
        seen = self._hardware.total(torch.tensor([float(path.exists())], device=self._hardware.device)).item()
        if seen not in (0, self._hardware.processes):
            raise CheckpointError(
                "is there for some of the processes only", path=path, remedy="give a folder that all machines see"
            )
        return seen > 0

    def run(self, epoch: Callable[[int], Record], state: Callable[[], dict[str, Any]]) -> None:
        """Runs what is left, epoch(number) from 0; after each its record and state() are kept."""
        folder = self._folder
        with open_log(self._hardware, folder.path / METRICS, self.history, folder.tensorboard) as log:
            for number in range(len(self.history), self._count):
                started = time.monotonic()
                record = epoch(number)
                self._took_s.append(time.monotonic() - started)
                self.history.append(record)
                self.save(folder.checkpoint, {**state(), "history": self.history})
                log.add(record)

    def save(self, path: Path, state: dict[str, Any]) -> None:
        if self._hardware.is_first:
            save_checkpoint(path, self._folder.identity, state)

    def left_s(self, done: float) -> float:
        """Seconds left after so many epochs, as long as this run's were; NaN before one is done."""
        if not self._took_s:
            return math.nan
        return (self._count - done) * sum(self._took_s) / len(self._took_s)

    def stop_where(self, problem: str) -> None:
        """TrainingError where there is a problem; says which epoch is kept."""
        if not problem:
            return
        kept = f"; epoch {len(self.history)} is kept in {self._folder.checkpoint}" if self.history else ""
        raise TrainingError(problem, remedy=f"a lower learning rate may help{kept}")

    def require_finite(self, net: nn.Module) -> None:
        """TrainingError where a weight is no number: no loss has shown yet what the last step did."""
        if not all(bool(torch.isfinite(value).all()) for value in net.state_dict().values()):
            self.stop_where(f"weights are no longer numbers after epoch {len(self.history) + 1}")


def images_identity(data: DataSource) -> dict[str, Any]:
    """Which images a run is of."""
    return {
        "data": data.name,
        "resolution": data.resolution,
        "classes": data.classes,
        "images": data.count("all"),
        "data_seed": data.seed,
    }
