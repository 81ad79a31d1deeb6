"""What trainings of several nets, several times each, say: how much is the net and how much the training's noise."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.stats import f as f_distribution
from scipy.stats import rankdata

Array = npt.NDArray[np.float64]
LEVEL = 0.95
RESAMPLES = 4000


@dataclass(frozen=True)
class Interval:
    """An estimate with its 95 % interval."""

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.value:.2f} ({self.low:.2f} to {self.high:.2f})"


@dataclass(frozen=True)
class Intraclass:
    """How alike trainings of one net are: ICC(1) of Shrout and Fleiss (1979), and of the mean of all a net's trainings.

    between_sd, within_sd: standard deviations of nets' true values and of a training around its net's.
    """

    one: Interval
    mean: Interval
    between_sd: float
    within_sd: float

    @property
    def ceiling(self) -> float:
        """The correlation that a perfect prediction of the true values would have with the measured means."""
        return math.sqrt(max(0.0, self.mean.value))


def intraclass(values: Array) -> Intraclass:
    """values (nets, trainings), two or more of both; intervals from the F distribution."""
    nets, trainings = values.shape
    between = trainings * float(values.mean(axis=1).var(ddof=1))
    within = float(values.var(axis=1, ddof=1).mean())
    if within == 0:
        raise ValueError("every training of a net came to the same value: one training was counted several times")
    ratio, degrees = between / within, (nets - 1, nets * (trainings - 1))
    tail = 1 - (1 - LEVEL) / 2
    low = ratio / float(f_distribution.ppf(tail, *degrees))
    high = ratio * float(f_distribution.ppf(tail, *degrees[::-1]))
    one = Interval(*((x - 1) / (x + trainings - 1) for x in (ratio, low, high)))
    mean = Interval(*(1 - 1 / x for x in (ratio, low, high)))
    return Intraclass(one, mean, math.sqrt(max(0.0, (between - within) / trainings)), math.sqrt(within))


def bootstrap(statistic: Callable[[Array], float], rows: Array, seed: int = 0) -> Interval:
    """The statistic of rows (n, ...) with its percentile interval: rows drawn again, as many, with repetition."""
    rng = np.random.default_rng(seed)
    found = [statistic(rows[rng.integers(0, len(rows), len(rows))]) for _ in range(RESAMPLES)]
    low, high = np.nanquantile(found, [(1 - LEVEL) / 2, 1 - (1 - LEVEL) / 2])
    return Interval(statistic(rows), float(low), float(high))


def rank_correlation(rows: Array) -> float:
    """Spearman's, of the two columns of rows (n, 2); NaN where one column is all the same."""
    if np.ptp(rows, axis=0).min() == 0:
        return math.nan
    return float(np.corrcoef(rankdata(rows, axis=0), rowvar=False)[0, 1])


def share_beaten(value: float, others: Sequence[float]) -> float:
    """The share of others below the value; one that equals it counts half."""
    return sum(1.0 if value > other else 0.5 if value == other else 0.0 for other in others) / len(others)


def hypervolume(points: Sequence[tuple[float, float]], worst: tuple[float, float]) -> float:
    """The area that points (cost, error) dominate, both smaller the better, up to the worst of both."""
    area, edge = 0.0, worst[1]
    for cost, error in sorted(points):
        if cost < worst[0] and error < edge:
            area += (worst[0] - cost) * (edge - error)
            edge = error
    return area
