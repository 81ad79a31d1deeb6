"""What a training or a search computes on: a CPU or a GPU, in one process or in several that torchrun started.

Lightning Fabric joins the processes. They hold the same weights, draw the same gates and each take a share of every
batch. Gradients are averaged in one place, `Hardware.step`: a step's hard path leaves most weights without one, the
same in every process. Batch norm sees a process's own share (ghost batches); its running statistics are averaged
each epoch.
"""

from __future__ import annotations

import contextlib
import logging
import os
import warnings
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, Literal, TypeVar, get_args

import torch
from torch import Tensor, nn

from lutbench.errors import LutbenchError, UsageError
from lutbench.events import Event, Report
from lutbench.locks import folder_lock
from lutbench.search.data.source import DataSource

T = TypeVar("T")
Accelerator = Literal["auto", "cpu", "cuda"]
SMALL_MAPS = 64  # a side of images, pixels
ACCELERATORS: tuple[Accelerator, ...] = get_args(Accelerator)


class Hardware:
    """This process's device and its place among the others.

    bf16: autocast to bfloat16.
    accelerator: "auto" is a GPU where torch sees one. Started by torchrun, the first process waits for the others.
    """

    def __init__(self, accelerator: Accelerator = "cpu", bf16: bool = False) -> None:
        self.bf16 = bf16
        self._fabric = _fabric(_found(accelerator), bf16)
        self.device: torch.device = self._fabric.device
        self.rank: int = self._fabric.global_rank
        self.processes: int = self._fabric.world_size

    @property
    def is_first(self) -> bool:
        """Whether this process is the one that writes and speaks."""
        return self.rank == 0

    def set_threads(self, threads: int | None, resolution: int) -> None:
        """Sets how many threads torch takes on a CPU. None: one for images up to 64 x 64, else what torch takes.

        Small maps make so short calls that a second thread gains little, and beside other programs it makes them 30
        times as slow (docs/notes/search.md).
        """
        if self.device.type == "cpu" and (threads or resolution <= SMALL_MAPS):
            torch.set_num_threads(threads or 1)

    def autocast(self) -> contextlib.AbstractContextManager[Any]:
        """Inside, what may be is computed in bfloat16, if that was asked for."""
        return self._fabric.autocast()  # type: ignore[no-any-return]

    def first_ahead(self, make: Callable[[], T]) -> T:
        """What make returns. Each machine's first process is done before the others start: what it drew, they find."""
        problem: LutbenchError | None = None
        with self._fabric.rank_zero_first(local=True):
            try:
                found = make()
            except LutbenchError as error:  # raised below: the others are not to wait for one that has gone
                problem = error
        if problem:
            raise problem
        return found

    def share(self, source: DataSource) -> DataSource:
        """This process's share of every batch of the source."""
        return source if self.processes == 1 else source.share(self.rank, self.processes)

    def check_batch(self, batch_size: int) -> None:
        """UsageError where a batch of all processes leaves one with fewer images than batch norm needs."""
        if batch_size < 2 * self.processes:
            raise UsageError(
                f"a batch of {batch_size} images is too small for {self.processes} processes",
                remedy=f"{2 * self.processes} or more: the size is that of all together",
            )

    @contextlib.contextmanager
    def folder_held(self, folder: Path) -> Iterator[None]:
        """Nobody else has the folder that a run writes; the first process holds it for all."""
        with folder_lock(folder) if self.is_first else contextlib.nullcontext():
            yield

    def reporting(self, report: Report) -> Report:
        """report in the first process, silence in the others."""
        return report if self.is_first else _say_nothing

    def total(self, values: Tensor) -> Tensor:
        """The sum over processes, in every one of them; values may be overwritten."""
        if self.processes == 1:
            return values
        found: Tensor = self._fabric.all_reduce(values, reduce_op="sum")
        return found

    def step(self, optimiser: torch.optim.Optimizer, loss: Tensor, images: int, clip: float = 0.0) -> None:
        """A step of all processes together.

        loss: the mean over this process's images.
        clip: the gradient's norm is scaled down to it, 0 leaves it.
        """
        parameters = [parameter for group in optimiser.param_groups for parameter in group["params"]]
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        self.average_gradients(parameters, images)
        if clip:
            nn.utils.clip_grad_norm_(parameters, clip)
        optimiser.step()

    def average_gradients(self, parameters: Iterable[nn.Parameter], images: int) -> None:
        """Makes each gradient, of a mean over this process's images, that of the mean over everybody's.

        The processes' shares may differ in size, which parameters have a gradient may not.
        """
        if self.processes == 1:
            return
        gradients = [parameter.grad for parameter in parameters if parameter.grad is not None]
        one = torch.ones(1, device=self.device)
        summed = self.total(torch.cat([*(gradient.reshape(-1) for gradient in gradients), one]) * images)
        *means, _ = torch.split(summed / summed[-1], [*(gradient.numel() for gradient in gradients), 1])
        for gradient, mean in zip(gradients, means, strict=True):
            gradient.copy_(mean.view(gradient.shape))

    def average_buffers(self, net: nn.Module) -> None:
        """Makes batch norms' running statistics those of all processes."""
        if self.processes == 1:
            return
        buffers = [buffer for buffer in net.buffers() if buffer.is_floating_point()]
        mean = self.total(torch.cat([buffer.reshape(-1) for buffer in buffers])) / self.processes
        for buffer, part in zip(buffers, torch.split(mean, [buffer.numel() for buffer in buffers]), strict=True):
            buffer.copy_(part.view(buffer.shape))


def _found(accelerator: Accelerator) -> str:
    if accelerator == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    if accelerator == "cuda" and not torch.cuda.is_available():
        raise UsageError("torch sees no CUDA device here", remedy="--accelerator cpu")
    return accelerator


def _fabric(accelerator: str, bf16: bool) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # advice on environments that are not this one
        from lightning_fabric import Fabric

        logging.getLogger("lightning_fabric").setLevel(logging.WARNING)  # it tells of every process that it joined
        world, local = (_started(name) for name in ("WORLD_SIZE", "LOCAL_WORLD_SIZE"))
        fabric = Fabric(
            accelerator=accelerator,
            devices=local,
            num_nodes=world // local,
            strategy="ddp" if world > 1 else "auto",
            precision="bf16-mixed" if bf16 else "32-true",
        )
        fabric.launch()
    return fabric


def _started(variable: str) -> int:
    """What torchrun says; 1 where it did not start this process."""
    return int(os.environ[variable]) if torch.distributed.is_torchelastic_launched() else 1


def _say_nothing(_event: Event) -> None:
    pass
