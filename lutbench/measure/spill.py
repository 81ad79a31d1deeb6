"""What a large net pays for weights that a cache does not keep from one of its invocations to the next.

An operator that is timed alone finds its weights in a cache, and so does a net all of whose weights the cache holds. Of
a net that has more, it seems, what was loaded first is gone when it is invoked again: nets pay from a size on that is
about the same on two runtimes and in several hours, and nothing in a quieter hour (docs/notes/protocol.md: weights that
no cache keeps). A net that takes longer leaves its weights longer to what others load into a cache that they share, so
its time may count beside its weights. Nets say whether it does, and where paying begins:

    amount of a net = million weights + million_per_ms * milliseconds that its operators take alone
    sum of a net    = sum over its operators + us_per_million * max(0, its amount - beyond)

That is the larger of two sums over operators, for a net above the size pays for all its amount, less a constant. So
walks and knapsacks over sums stay what they are, and keep to both (`InNet.sums`).
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from lutbench.units import US_PER_MS


@dataclass(frozen=True)
class Spill:
    """What the weights beyond a size cost, and the size.

    us_per_million: microseconds per million weights; 0 where nothing is paid.
    beyond: million weights.
    million_per_ms: how many million weights a millisecond of a net's operators counts for; 0: weights alone count.
    """

    us_per_million: float = 0.0
    beyond: float = 0.0
    million_per_ms: float = 0.0

    def __post_init__(self) -> None:
        if not all(0 <= value < math.inf for value in (self.us_per_million, self.beyond, self.million_per_ms)):
            raise ValueError(
                f"no net pays {self.us_per_million} us for a million weights beyond {self.beyond} million,"
                f" a millisecond of it counting for {self.million_per_ms} million"
            )

    def __bool__(self) -> bool:
        return self.us_per_million != 0

    def times(self, ratio: float) -> Spill:
        """The same where every operator takes so many times as long as its row."""
        return replace(self, us_per_million=self.us_per_million * ratio)

    def us(self, weights: float, work_us: float = 0.0) -> float:
        """What a net of so many million weights pays, microseconds; its operators take work_us by their rows."""
        amount = weights + self.million_per_ms * work_us / US_PER_MS
        return self.us_per_million * max(0.0, amount - self.beyond)

    @property
    def share_of_work(self) -> float:
        """What a net above the size pays for each microsecond that its operators take by their rows, microseconds."""
        return self.us_per_million * self.million_per_ms / US_PER_MS
