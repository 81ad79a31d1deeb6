"""How a net is trained from scratch: the paper's numbers, and what they become on a small set of images."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from lutbench.errors import UsageError

SMALL_SET = 20_000  # images; below it 360 epochs of batch 256 would be few steps, or fit the noise


@dataclass(frozen=True)
class Recipe:
    """SGD with momentum; the learning rate is multiplied by decay at each milestone, a share of all epochs.

    clip: the norm that the gradient is scaled down to where it is above; 0 for none.
    """

    epochs: int = 360
    batch_size: int = 256
    learning_rate: float = 0.1
    momentum: float = 0.9
    weight_decay: float = 4e-5
    milestones: tuple[float, ...] = (90 / 360, 180 / 360, 270 / 360)
    decay: float = 0.1
    dropout: float = 0.2
    clip: float = 0.0

    def __post_init__(self) -> None:
        checks = (
            ("epochs", self.epochs >= 1, "1 or more"),
            ("batch_size", self.batch_size >= 2, "2 or more: batch norm needs them"),
            ("learning_rate", 0 < self.learning_rate < float("inf"), "above 0"),
            ("momentum", 0 <= self.momentum < 1, "from 0 to below 1"),
            ("weight_decay", 0 <= self.weight_decay < float("inf"), "0 or more"),
            ("milestones", all(0 < share < 1 for share in self.milestones), "shares of the epochs, between 0 and 1"),
            ("decay", 0 < self.decay <= 1, "above 0 and at most 1"),
            ("dropout", 0 <= self.dropout < 1, "from 0 to below 1"),
            ("clip", 0 <= self.clip < float("inf"), "0 or more"),
        )
        for name, holds, allowed in checks:
            if not holds:
                raise UsageError(f"{name} {getattr(self, name)} cannot be", remedy=f"it is {allowed}")

    def rate_at(self, epoch: int) -> float:
        """The learning rate of an epoch, counted from 0."""
        passed = sum(epoch >= share * self.epochs for share in self.milestones)
        return self.learning_rate * self.decay**passed

    def to_dict(self) -> dict[str, Any]:
        return {**asdict(self), "milestones": list(self.milestones)}


PAPER = Recipe()
# 0.05 did as well on digits and half as well on shapes; without the clip a few long steps can undo epochs of learning
# (docs/notes/training.md: figures)
SMALL = Recipe(epochs=24, batch_size=64, learning_rate=0.02, milestones=(0.5, 0.75, 0.9), clip=5.0)


def default_recipe(images: int) -> Recipe:
    """The paper's recipe, or the one scaled down for a training set of few images."""
    return PAPER if images >= SMALL_SET else SMALL
