"""How long and how fast a search learns: the paper's numbers, and what they become on a small set of images."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

from lutbench.errors import UsageError
from lutbench.search.recipe import SMALL_SET


@dataclass(frozen=True)
class Schedule:
    """Each epoch trains w on its share, then theta on its own; in the first warmup epochs w alone.

    The rate of w falls from w_rate to 0 along a cosine over all steps. The temperature starts at temperature and is
    multiplied by exp(-cooling) per epoch.

    w_clip: the norm that w's gradient is scaled down to where it is above; 0 for none.
    """

    epochs: int = 90
    warmup: int = 10
    batch_size: int = 256
    w_rate: float = 0.1
    w_momentum: float = 0.9
    w_decay: float = 1e-4
    w_clip: float = 0.0
    theta_rate: float = 0.01
    theta_decay: float = 5e-4
    temperature: float = 5.0
    cooling: float = 0.045

    def __post_init__(self) -> None:
        checks = (
            ("epochs", self.epochs >= 1, "1 or more"),
            ("warmup", 0 <= self.warmup < self.epochs, "0 or more and fewer than the epochs"),
            ("batch_size", self.batch_size >= 2, "2 or more: batch norm needs them"),
            ("w_rate", 0 < self.w_rate < math.inf, "above 0"),
            ("w_momentum", 0 <= self.w_momentum < 1, "from 0 to below 1"),
            ("w_decay", 0 <= self.w_decay < math.inf, "0 or more"),
            ("w_clip", 0 <= self.w_clip < math.inf, "0 or more"),
            ("theta_rate", 0 < self.theta_rate < math.inf, "above 0"),
            ("theta_decay", 0 <= self.theta_decay < math.inf, "0 or more"),
            ("temperature", 0 < self.temperature < math.inf, "above 0"),
            ("cooling", 0 <= self.cooling < math.inf, "0 or more"),
        )
        for name, holds, allowed in checks:
            if not holds:
                raise UsageError(f"{name} {getattr(self, name)} cannot be", remedy=f"it is {allowed}")

    def w_rate_at(self, progress: float) -> float:
        """The learning rate of the weights at a point of the training.

        progress: the share of all steps that are done.
        """
        return self.w_rate * (1 + math.cos(math.pi * progress)) / 2

    def temperature_at(self, epoch: int) -> float:
        """epoch counts from 0."""
        return self.temperature * math.exp(-self.cooling * epoch)

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


PAPER = Schedule()
# theta learns faster, in fewer steps, and the temperature ends where the paper's does. Without the clip w learns
# nothing in its first epochs, or at a rate that is slow afterwards (docs/notes/search.md: figures)
SMALL = Schedule(
    epochs=120, warmup=30, batch_size=32, w_clip=1.0, theta_rate=0.05, cooling=PAPER.cooling * PAPER.epochs / 120
)

# an epoch with theta runs every layer at every resolution: so many end within 15 minutes on two cores, ranking and all
# (docs/notes/masks.md: figures)
SMALL_MASKS = replace(SMALL, epochs=100, warmup=25, cooling=PAPER.cooling * PAPER.epochs / 100)


def default_schedule(images: int, masks: bool = False) -> Schedule:
    """The paper's schedule, or the one scaled down for a training set of few images.

    masks: channels or a resolution are searched, too.
    """
    if images >= SMALL_SET:
        return PAPER
    return SMALL_MASKS if masks else SMALL


def schedule_for(images: int, given: Mapping[str, Any], masks: bool = False) -> Schedule:
    """The default schedule for so many images with what is given in its place; what is not given scales with it.

    A search of another length keeps the warm-up's share of the epochs, and its temperature ends where the default's
    does. UsageError where what is given contradicts itself.
    """
    usual = default_schedule(images, masks)
    scaled: dict[str, Any] = {}
    if "epochs" in given and given["epochs"] >= 1:
        longer = given["epochs"] / usual.epochs
        scaled = {"warmup": math.floor(usual.warmup * longer), "cooling": usual.cooling / longer}
    elif given.get("warmup", 0) >= usual.epochs:
        scaled = {"epochs": math.ceil(usual.epochs * given["warmup"] / max(1, usual.warmup))}
    return replace(usual, **{**scaled, **given})
