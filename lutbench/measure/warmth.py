"""What a small net saves, or pays, beside the sum of its operators.

A net that is invoked again and again finds its weights, activations, code and branches in the caches and predictors of
a core, as far as they hold them. Operators that are timed alone are small enough to find all of theirs. Of a net the
more is lost between two invocations the larger it is, up to a size from which nothing is left, and all nets pay alike:

    latency = overhead + sum * (1 - share * exp(-(sum / size_us) ^ power))

By a power of 1 the saving fades out beyond the size. By one of 3 nets up to about the size save alike, and those beyond
it nothing. Nets say which: those of images of 128 x 128 ask for 3, those of 224 x 224 for 1 (docs/notes/protocol.md:
how sharply it ends).

On TorchScript it is the other way: small nets take more than the sum that is right for large ones, and the share is
below 0 (docs/notes/protocol.md: small nets that pay). Why is not known. Either way the latency grows with the sum, so
that nets are in the same order by either, and a budget of one is a budget of the other.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

LEAST_SHARE, MOST_SHARE = -1.0, 0.9
# between these, and shares of -1 to 1, the latency grows with the sum: it does for shares above -e^(1 + 1/p) / p
LEAST_POWER, MOST_POWER = 1.0, 3.0
_STEPS = 60  # of halving an interval: to the last bit
FADED = 1000.0  # sizes, of which nothing is left by any power; a number that a power of 3 does not make too large


@dataclass(frozen=True)
class Warmth:
    """It says how much small nets save, or pay, and how small they are.

    share: what a net of next to nothing saves, a fraction of its operators' sum; below 0 it pays.
    size_us: the sum at which that has come down by a factor of e, microseconds; 0 where it is nothing.
    power: how sharply it ends there.
    """

    share: float = 0.0
    size_us: float = 0.0
    power: float = 1.0

    def __post_init__(self) -> None:
        is_share = LEAST_SHARE <= self.share <= MOST_SHARE
        if not is_share or not 0 <= self.size_us < math.inf or (self.share and not self.size_us):
            raise ValueError(f"no net saves a share of {self.share} below {self.size_us} us")
        if not LEAST_POWER <= self.power <= MOST_POWER:
            raise ValueError(f"what nets save ends by a power of {self.power}, not of {LEAST_POWER} to {MOST_POWER}")

    def __bool__(self) -> bool:
        return self.share != 0

    def times(self, ratio: float) -> Warmth:
        """The same where every operator takes so many times as long."""
        return replace(self, size_us=self.size_us * ratio)

    def net_us(self, sum_us: float) -> float:
        """What a net takes, without the overhead of a call, from the sum over its operators.

        A sum below 0, of rows that make no sense, saves what one of 0 does.
        """
        if not self:
            return sum_us
        sizes = min(max(sum_us, 0.0) / self.size_us, FADED)
        return sum_us * (1 - self.share * math.exp(-(sizes**self.power)))

    def sum_us(self, net_us: float) -> float:
        """The sum over the operators of a net that takes so long: the inverse of `net_us`."""
        if not self or net_us <= 0:
            return net_us
        low, high = sorted((net_us, net_us / (1 - self.share)))
        for _ in range(_STEPS):
            middle = (low + high) / 2
            low, high = (middle, high) if self.net_us(middle) < net_us else (low, middle)
        return (low + high) / 2
