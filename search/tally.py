"""Loss and accuracy of an epoch's steps."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from lutbench.search.hardware import Hardware


class Tally:
    """Sums over steps and processes. Losses stay on their device until `check`: to fetch each would make it wait."""

    def __init__(self, hardware: Hardware) -> None:
        self._hardware = hardware
        self._steps, self.images = 0, 0
        self._loss, self._right = 0.0, 0
        self._pending: list[tuple[Tensor, Tensor, int]] = []

    def add(self, loss: Tensor, outputs: Tensor, labels: Tensor) -> None:
        """Takes in a step.

        loss: the mean of a step's images.
        """
        self._pending.append((loss, (outputs.argmax(1) == labels).sum(), len(labels)))

    def check(self) -> str:
        """Takes up the steps since the last look; which of them had a loss that is no number, "" for none.

        Every process has to look after the same steps, and learns the same.
        """
        if not self._pending:
            return ""
        losses, right, images = zip(*self._pending, strict=True)
        self._pending = []
        sizes = torch.tensor(images, dtype=torch.float64, device=losses[0].device)
        figures = torch.stack([torch.stack(losses).double() * sizes, torch.stack(right).double(), sizes])
        for loss, found, size in self._hardware.total(figures).T.tolist():
            self._steps += 1
            if not math.isfinite(loss):
                return f"the loss is {loss} at step {self._steps}"
            self._loss += loss
            self._right += int(found)
            self.images += int(size)
        return ""

    @property
    def mean_loss(self) -> float:
        """The mean loss of the steps that were taken up; NaN before any."""
        return self._loss / self.images if self.images else math.nan

    @property
    def accuracy(self) -> float:
        return self._right / self.images if self.images else math.nan
