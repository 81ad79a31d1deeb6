"""Weights trained ahead: where they do not depend on theta, another process trains them an epoch before theta learns.

The process is a copy of this one (fork). It leaves an epoch's weights in memory that both have, and the next epoch's
once they are taken, so it is never further ahead than that; both come to the same as one process that does one after
the other.
"""

from __future__ import annotations

import math
import mmap
import os
import sys
from collections.abc import Callable, Sequence
from multiprocessing.connection import Connection
from typing import Any, Literal

import torch
from torch import Tensor

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
    """A process that runs train(told), where told sends what there is to say to this one: plain values.

    state: tensors that training changes in place. Their values after an epoch come with it.
    """

    def __init__(self, train: Callable[[Told], None], state: Sequence[Tensor]) -> None:
        self._shared = Shared(state)
        self._child = Child(_serve, train, self._shared, method="fork")

    def close(self) -> None:
        self._child.kill()

    def epoch(self, progress: Callable[[Any], None]) -> Any:
        """What is told of the next epoch, whose state is then this process's; what is told before goes to progress.

        What went wrong there is raised here.
        """
        while True:
            try:
                kind, value = self._child.connection.recv()
                if kind == "epoch":
                    self._shared.take()
                    self._child.connection.send("taken")
                    return value
            except (EOFError, OSError):
                raise TrainingError(
                    f"the process that trains the weights died ({self._child.death()})",
                    remedy="the same command goes on after the last epoch; --threads 1 needs less memory",
                ) from None
            if kind == "error":
                raise value
            progress(value)


class Shared:
    """A copy of some tensors' values, in memory that the copies of this process (fork) have, too."""

    def __init__(self, tensors: Sequence[Tensor]) -> None:
        self._tensors = list(tensors)
        memory = mmap.mmap(-1, sum(map(_room, self._tensors)))
        self._values: list[Tensor] = []
        start = 0
        for tensor in self._tensors:
            flat = torch.frombuffer(memory, dtype=tensor.dtype, count=tensor.numel(), offset=start)
            self._values.append(flat.view(tensor.shape))
            start += _room(tensor)

    @torch.no_grad()
    def leave(self) -> None:
        """Copies this process's values there."""
        for value, tensor in zip(self._values, self._tensors, strict=True):
            value.copy_(tensor)

    @torch.no_grad()
    def take(self) -> None:
        """Makes this process's values those that are there."""
        for value, tensor in zip(self._values, self._tensors, strict=True):
            tensor.copy_(value)


def _room(tensor: Tensor) -> int:
    """Bytes, so that the next tensor begins where any number may."""
    return math.ceil(tensor.numel() * tensor.element_size() / 8) * 8


def _serve(connection: Connection, train: Callable[[Told], None], shared: Shared) -> None:
    done = 0

    def told(kind: Kind, value: Any) -> None:
        nonlocal done
        if kind == "epoch":
            if done:
                connection.recv()  # the last one is taken
            shared.leave()
            done += 1
        connection.send((kind, value))

    torch.set_num_threads(1)  # a copy of a process has none of the threads that it had
    try:
        train(told)
        connection.recv()
    except LutbenchError as error:
        connection.send(("error", error))
