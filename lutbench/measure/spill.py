"""What a large net pays for weights that a cache does not keep from one of its invocations to the next.

An operator that is timed alone finds its weights in a cache, and so does a net all of whose weights the cache holds. Of
a net that has more, it seems, what was loaded first is gone when it is invoked again: nets pay from a size on that is
about the same on two runtimes and in several hours, and nothing in a quieter hour (docs/notes/protocol.md: weights that
no cache keeps). So nets say where that begins:

    sum of a net = sum over its operators + us_per_million * max(0, its weights - beyond)

That is the larger of two sums over operators, for a net above the size pays for all its weights, less a constant. So
walks and knapsacks over sums stay what they are, and keep to both (`InNet.sums`).
"""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(frozen=True)
class Spill:
    """What the weights beyond a size cost, and the size.

    us_per_million: microseconds per million weights; 0 where nothing is paid.
    beyond: million weights.
    """

    us_per_million: float = 0.0
    beyond: float = 0.0

    def __post_init__(self) -> None:
        if not 0 <= self.us_per_million < math.inf or not 0 <= self.beyond < math.inf:
            raise ValueError(f"no net pays {self.us_per_million} us for a million weights beyond {self.beyond} million")

    def __bool__(self) -> bool:
        return self.us_per_million != 0

    def times(self, ratio: float) -> Spill:
        """The same where every operator takes so many times as long."""
        return Spill(self.us_per_million * ratio, self.beyond)

    def us(self, weights: float) -> float:
        """What a net of so many million weights pays, microseconds."""
        return self.us_per_million * max(0.0, weights - self.beyond)
