"""What the integers of a quantised artifact's input or output mean."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class Quantisation:
    """real = (integer - zero_point) * step; integers from low to high: of uint8 where low is 0, else of int8."""

    step: float
    zero_point: int
    low: int = 0
    high: int = 255

    def integers(self, real: Tensor) -> Tensor:
        import torch

        found = (real / self.step).round().add(self.zero_point).clamp(self.low, self.high)
        return found.to(torch.uint8 if self.low == 0 else torch.int8)

    def real(self, integers: Tensor) -> Tensor:
        return (integers.float() - self.zero_point) * self.step


def of_range(reals: Tensor, low: int, high: int) -> Quantisation:
    """What integers from low to high mean that stand for a tensor's range."""
    least, most = min(0.0, float(reals.min())), max(0.0, float(reals.max()))
    step = max(most - least, 1e-6) / (high - low)
    return Quantisation(step, min(high, max(low, round(low - least / step))), low, high)
