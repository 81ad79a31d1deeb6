"""What a net costs whose decisions come to a sum: the sum itself, or another where small nets save or pay something.

What a LUT says that small nets save, or pay (`lutbench.measure.warmth`), is of a net as a whole, and no decision's. But
it grows with the sum, so that the walks and knapsacks of a search stay sums, and only their ends are turned into
latencies, and budgets into sums.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from lutbench.measure.warmth import FADED, Warmth
from lutbench.search.chain import Floats

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class Warm:
    """The way from sums to costs and back; without warmth they are the same.

    overhead_us: of a call, the part of a sum that no net saves any of, microseconds.
    """

    overhead_us: float = 0.0
    warmth: Warmth = field(default_factory=Warmth)

    def costs(self, totals: Floats) -> Floats:
        """What nets cost, from their sums."""
        if not self.warmth:
            return totals
        sums_us = totals - self.overhead_us
        sizes = np.clip(sums_us / self.warmth.size_us, 0, FADED)
        kept: Floats = 1 - self.warmth.share * np.exp(-(sizes**self.warmth.power))
        return self.overhead_us + sums_us * kept

    def cost(self, total: float) -> float:
        """What a net costs, from its sum."""
        return self.overhead_us + self.warmth.net_us(total - self.overhead_us) if self.warmth else total

    def total(self, cost: float) -> float:
        """The sum of a net that costs so much: the inverse of `cost`."""
        return self.overhead_us + self.warmth.sum_us(cost - self.overhead_us) if self.warmth else cost

    def expected(self, totals: Tensor) -> Tensor:
        """`costs` of a tensor, differentiable."""
        if not self.warmth:
            return totals
        sums_us = totals - self.overhead_us
        sizes = (sums_us / self.warmth.size_us).clamp(0, FADED)
        return self.overhead_us + sums_us * (1 - self.warmth.share * (-(sizes**self.warmth.power)).exp())

    @property
    def known_by(self) -> float:
        """What tells two of them apart beside their costs."""
        return self.warmth.share * self.warmth.size_us * self.warmth.power
