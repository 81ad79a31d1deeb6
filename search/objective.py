"""What a search minimises: the paper's product, or cross entropy under a latency budget.

Several devices count as one by the worst of their ratios: to the budget where there is one, else to the fastest net of
the space on that device.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from torch import Tensor

from lutbench.errors import UsageError
from lutbench.search.budget import WINDOW, best_within
from lutbench.search.grid_costs import CostModel, is_latency, option_counts
from lutbench.units import format_latency

ALPHA, BETA = 0.2, 0.6  # what implementations of FBNet use
SMALL_BETA = 16.0  # on a small set of images, where cross entropy comes near 0 (docs/notes/search.md: figures)
_AIM = math.sqrt(WINDOW)  # the middle of the window, as a ratio
_NEAR = 0.1  # log ratios within which the budget is held; further off it is approached
_STIFFNESS = 20.0  # weight per log ratio, at once
_GAIN = 0.3  # weight per log ratio and theta step, while near
_CREEP = 0.01  # weight per theta step, while far: more would have to be undone on arrival


class Objective(Protocol):
    """The loss of a theta step. Latencies are (devices,), microseconds."""

    @property
    def name(self) -> str:
        """What it is and its numbers, for a checkpoint to be known by."""
        ...

    def loss(self, cross_entropy: Tensor, drawn_us: Tensor, expected_us: Tensor) -> Tensor:
        """The loss of a pass.

        drawn_us: of the gates of this pass (equation 9).
        expected_us: of a net drawn from P_theta.
        """
        ...

    def of_net(self, cross_entropy: float, latencies_us: Sequence[float]) -> float:
        """The loss of one net, by which nets are ranked; latencies by device."""
        ...

    def observe(self, expected_us: Tensor) -> None:
        """After a theta step: what P_theta has come to."""
        ...

    def state(self) -> dict[str, float]:
        """What a checkpoint keeps."""
        ...

    def restore(self, state: dict[str, float]) -> None: ...


@dataclass
class Product:
    """Equation 2: CE * alpha * log(LAT)^beta, LAT in microseconds, the exponent on the logarithm.

    references_us: the fastest net's latency on each device. LAT is the worst ratio to them times their geometric mean,
    which for one device is its latency.
    """

    references_us: tuple[float, ...]
    alpha: float = ALPHA
    beta: float = BETA

    def __post_init__(self) -> None:
        if self.alpha <= 0 or not 0 <= self.beta < math.inf:
            raise UsageError(f"alpha {self.alpha:g} is not above 0, or beta {self.beta:g} below it")
        if min(self.references_us) <= 1:
            raise UsageError("a net of 1 us or less has no place in log(LAT)^beta", remedy="give a target instead")

    @property
    def name(self) -> str:
        return f"product, alpha {self.alpha:g}, beta {self.beta:g}"

    def loss(self, cross_entropy: Tensor, drawn_us: Tensor, expected_us: Tensor) -> Tensor:
        del expected_us
        middle_us = math.exp(sum(map(math.log, self.references_us)) / len(self.references_us))
        latency_us = (drawn_us / drawn_us.new_tensor(self.references_us)).amax() * middle_us
        return cross_entropy * (self.alpha * latency_us.log() ** self.beta).to(cross_entropy)

    def of_net(self, cross_entropy: float, latencies_us: Sequence[float]) -> float:
        worst = max(us / reference for us, reference in zip(latencies_us, self.references_us, strict=True))
        middle = sum(map(math.log, self.references_us)) / len(self.references_us)
        return float(cross_entropy * self.alpha * (math.log(worst) + middle) ** self.beta)

    def observe(self, expected_us: Tensor) -> None:
        del expected_us

    def state(self) -> dict[str, float]:
        return {}

    def restore(self, state: dict[str, float]) -> None:
        del state


@dataclass
class Budget:
    """CE + weight * log(worst ratio of expected latency to target), the weight adapted until the ratio fits.

    The weight is a controller's: a part that answers to how far, in logarithms, the ratio is off the middle of the
    window (WINDOW, 1], and one that sums this up over theta steps. It is negative where nets would rather be faster
    than the budget.
    """

    targets_us: tuple[float, ...]
    summed: float = 0.0
    off: float = 0.0
    text: str = ""

    @property
    def name(self) -> str:
        return "budget of " + (self.text or ", ".join(format_latency(target) for target in self.targets_us))

    @property
    def weight(self) -> float:
        return self.summed + _STIFFNESS * max(-_NEAR, min(_NEAR, self.off))

    def loss(self, cross_entropy: Tensor, drawn_us: Tensor, expected_us: Tensor) -> Tensor:
        del drawn_us
        return cross_entropy + (self.weight * self._off(expected_us)).to(cross_entropy)

    def of_net(self, cross_entropy: float, latencies_us: Sequence[float]) -> float:
        del latencies_us  # every net is within the budget
        return cross_entropy

    def observe(self, expected_us: Tensor) -> None:
        self.off = self._off(expected_us).item()
        self.summed += _GAIN * self.off if abs(self.off) < _NEAR else math.copysign(_CREEP, self.off)

    def _off(self, expected_us: Tensor) -> Tensor:
        """The logarithm of the worst ratio to the targets, less that of the window's middle."""
        return (expected_us / expected_us.new_tensor(self.targets_us)).amax().log() - math.log(_AIM)

    def state(self) -> dict[str, float]:
        return {"summed": self.summed, "off": self.off}

    def restore(self, state: dict[str, float]) -> None:
        self.summed, self.off = state["summed"], state["off"]


def product(models: Sequence[CostModel], alpha: float | None = None, beta: float = BETA) -> Product:
    """Makes the paper's objective: cross entropy times a power of latency.

    alpha: None is ALPHA; for another beta than BETA what keeps the fastest net's factor, and so the loss's size.
    """
    references_us = tuple(model.net_us(model.fastest) for model in models)
    Product(references_us)  # refuses a fastest net of 0 us, which an imported table may have, before its logarithm
    middle = sum(map(math.log, references_us)) / len(references_us)
    return Product(references_us, ALPHA * middle ** (BETA - beta) if alpha is None else alpha, beta)


def budget(models: Sequence[CostModel], targets_us: Sequence[float]) -> Budget:
    """UsageError where a target is out of a device's reach, with what the fastest and the slowest net takes.

    Also where no net meets all targets at once.
    """
    if len(models) != len(targets_us):
        raise UsageError(f"{len(targets_us)} targets for {len(models)} LUTs", remedy="give one for each LUT")
    for model, target_us in zip(models, targets_us, strict=True):
        low_us, high_us = model.net_us(model.fastest), model.net_us(model.slowest)
        if not low_us <= target_us <= high_us:
            least, most = ("fastest", "slowest") if is_latency(model) else ("smallest", "largest")
            raise UsageError(
                f"no net of space {model.space.name} at {model.space.label} takes {model.text(target_us)}",
                device=model.device if is_latency(model) else "",
                remedy=f"the {least} takes {model.text(low_us)}, the {most} {model.text(high_us)}",
            )
    best_within([[0.0] * count for count in option_counts(models[0])], models, targets_us)  # raises where there is none
    named = ", ".join(model.text(target) for model, target in zip(models, targets_us, strict=True))
    return Budget(tuple(targets_us), text=named)
