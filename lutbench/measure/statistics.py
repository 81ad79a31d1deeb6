"""Statistics of rounds. The unit is a round's median: samples inside one round are not independent of each other."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from statistics import fmean, median

from lutbench.units import us_from_ns

CONFIDENCE = 0.95
Z_95 = 1.96  # standard deviations on either side that hold 95 % of a normal distribution
SPREAD_PER_MAD = 1.4826  # of a normal distribution: standard deviations in a median absolute deviation

# Student's t at 1, 2, ... degrees of freedom: 95 % lie within it
_STUDENT_95 = (12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228)


def student_95(freedom: float) -> float:
    """The number of standard deviations that hold 95 %, for a deviation with so many degrees of freedom."""
    if freedom <= len(_STUDENT_95):
        return _STUDENT_95[max(0, int(freedom) - 1)]
    return Z_95 + 2.4 / freedom + 3.0 / freedom**2  # within .002 of the table


def robust_spread(values: Sequence[float], middle: float) -> float:
    """The standard deviation about the middle that usual values have: of a normal distribution, by their median."""
    return SPREAD_PER_MAD * median(abs(value - middle) for value in values)


_HUBER = 1.2  # standard deviations within which a value counts in full
_PASSES = 20  # after which the mean and the weights agree


def robust_mean(values: Iterable[float]) -> float:
    """Huber's mean of positive values, by their logarithms; ValueError where there is none.

    A value that is further from the middle than usual ones counts the less the further it is, so that a disturbed one
    moves it no more than the median, and the usual ones have more of a say than in the median.
    """
    logs = [math.log(value) for value in values]
    if not logs:
        raise ValueError("no value has no mean")
    mean = median(logs)
    spread = robust_spread(logs, mean)
    if not spread:  # most of them are the same value
        return math.exp(mean)
    for _ in range(_PASSES):
        weights = [min(1.0, _HUBER * spread / max(abs(log - mean), spread * 1e-9)) for log in logs]
        mean = fmean(logs, weights)
    return math.exp(mean)


@dataclass(frozen=True)
class Summary:
    """A latency over rounds, microseconds. ci: 95 % interval of the median of rounds; percentiles: of samples."""

    latency_us: float
    ci_low_us: float
    ci_high_us: float
    p10_us: float
    p90_us: float
    min_us: float
    samples: int
    rounds: int

    @property
    def half_width(self) -> float:
        """Half the interval's width over the median; infinite where there are too few rounds for an interval."""
        return (self.ci_high_us - self.ci_low_us) / 2 / self.latency_us


@lru_cache(maxsize=4096)
def median_ranks(count: int, confidence: float = CONFIDENCE) -> tuple[int, int] | None:
    """0-based ranks of the order statistics that enclose the median with at least this confidence.

    Exact and distribution-free: the number of values below the median is Binomial(count, 1/2). None where even the
    smallest and largest value do not enclose it with that confidence (fewer than 6 values at 95 %).
    """
    tail = (1 - confidence) / 2
    below, rank = 0.0, -1
    while True:
        below += math.comb(count, rank + 1) / 2**count
        if below > tail:
            break
        rank += 1
    return (rank, count - 1 - rank) if rank >= 0 else None


def quantile(ordered: Sequence[float], share: float) -> float:
    """The share-quantile of sorted values, linear between neighbours."""
    position = share * (len(ordered) - 1)
    low = math.floor(position)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (ordered[high] - ordered[low]) * (position - low)


def summarize(rounds_ns: Iterable[Sequence[int]]) -> Summary:
    """The summary of one operator's samples, one inner sequence per round, nanoseconds."""
    rounds = list(rounds_ns)
    return summarize_sorted(
        sorted(median(samples) for samples in rounds), sorted(sample for samples in rounds for sample in samples)
    )


def summarize_sorted(medians: Sequence[float], ordered: Sequence[float]) -> Summary:
    """The same of the rounds' medians and of all samples, both ascending."""
    ranks = median_ranks(len(medians))
    low, high = (medians[ranks[0]], medians[ranks[1]]) if ranks else (0.0, math.inf)
    return Summary(
        latency_us=us_from_ns(median(medians)),
        ci_low_us=us_from_ns(low),
        ci_high_us=us_from_ns(high),
        p10_us=us_from_ns(quantile(ordered, 0.1)),
        p90_us=us_from_ns(quantile(ordered, 0.9)),
        min_us=us_from_ns(ordered[0]),
        samples=len(ordered),
        rounds=len(medians),
    )
