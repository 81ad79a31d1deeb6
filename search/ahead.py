"""Weights trained ahead: where they do not depend on theta, another process trains them an epoch before theta learns.

The process is a copy of this one (fork). It sends an epoch's weights when they are done and waits until they are taken,
so it is never further ahead than that; both come to the same as one process that does one after the other.
"""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Callable
from multiprocessing.connection import Connection
from typing import Any, Literal

import torch

from lutbench.children import Child
from lutbench.closing import Closing
from lutbench.errors import LutbenchError, TrainingError
from lutbench.search.data.source import SplitSource
from lutbench.search.hardware import Hardware

Kind = Literal["epoch", "progress"]
Told = Callable[[Kind, Any], None]


def has_room_ahead(hardware: Hardware, threads: int | None, data: SplitSource) -> bool:
    """Whether there is a core for such a process, and one thread is what either takes.

    threads: that were asked for; None: none were.
    """
    if hardware.device.type != "cpu" or hardware.processes > 1 or sys.platform != "linux":
        return False
    has_cores = len(os.sched_getaffinity(0)) > 1 and threads != 1
    return has_cores and torch.get_num_threads() == 1 and not data.starts_processes


class Ahead(Closing):
    """A process that runs train(told), where told sends what there is to say to this one: tensors and plain values."""

    def __init__(self, train: Callable[[Told], None]) -> None:
        self._child = Child(_serve, train, method="fork")

    def close(self) -> None:
        self._child.kill()

    def epoch(self, progress: Callable[[Any], None]) -> Any:
        """What is told of the next epoch; what is told of its progress before goes to progress.

        What went wrong there is raised here.
        """
        while True:
            try:
                kind, value = self._child.connection.recv()
            except (EOFError, OSError):
                raise TrainingError(
                    f"the process that trains the weights died ({self._child.death()})",
                    remedy="the same command goes on after the last epoch; --threads 1 needs less memory",
                ) from None
            if kind == "error":
                raise value
            if kind == "epoch":
                return torch.load(io.BytesIO(value), weights_only=True)
            progress(value)


def _serve(connection: Connection, train: Callable[[Told], None]) -> None:
    def told(kind: Kind, value: Any) -> None:
        if kind == "epoch":
            buffer = io.BytesIO()
            torch.save(value, buffer)
            value = buffer.getvalue()
        connection.send((kind, value))

    torch.set_num_threads(1)  # a copy of a process has none of the threads that it had
    try:
        train(told)
    except LutbenchError as error:
        connection.send(("error", error))
