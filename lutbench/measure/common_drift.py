"""What all workloads of a round have in common, and what is left of each without it.

A machine's neighbours slow all that runs by several per cent, for seconds or minutes, and a canary sees it only where
its limit is passed. A round visits many workloads within a second, so their common factor is known far better than any
of them. With it taken out, a round counts whatever state the machine was in.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from statistics import median

import numpy as np
import numpy.typing as npt

from lutbench.measure.measurements import Measurements
from lutbench.measure.statistics import Summary, median_ranks, summarize_sorted
from lutbench.units import NS_PER_US, us_from_ns

Array = npt.NDArray[np.float64]

_FEWEST_SHARES = 8  # workloads of a round from which its factor is known
_MEAN_PASSES, _MEDIAN_PASSES = 30, 5  # after which nothing moves


def without_common_drift(rounds_us: Mapping[str, Mapping[int, float]]) -> dict[str, dict[int, float]]:
    """Each workload's round medians with what all workloads of a round have in common taken out.

    rounds_us: workload -> round -> median. A value's logarithm is the workload's plus its round's: fitted by least
    squares, for workloads that were done early have only early rounds, and then by medians, which a disturbed value
    does not move (Tukey's median polish). Rounds of few workloads are taken for usual ones.
    """
    numbers = sorted({number for values in rounds_us.values() for number in values})
    place = {number: column for column, number in enumerate(numbers)}
    logs = np.full((len(rounds_us), len(numbers)), np.nan)
    for row, values in enumerate(rounds_us.values()):
        for number, value in values.items():
            logs[row, place[number]] = math.log(value)
    factors = np.exp(_common_logs(logs))
    return {
        workload: {number: value / float(factors[place[number]]) for number, value in sorted(values.items())}
        for workload, values in rounds_us.items()
    }


def _common_logs(logs: Array) -> Array:
    """What each round adds to a usual one, (rounds,); rounds of few workloads are taken for usual ones.

    logs: (workloads, rounds), not a number where a workload was not visited.
    """
    told = (~np.isnan(logs)).sum(axis=0) >= _FEWEST_SHARES
    common = np.zeros(logs.shape[1])
    if not told.any():
        return common
    for middle, passes in ((np.nanmean, _MEAN_PASSES), (np.nanmedian, _MEDIAN_PASSES)):
        for _ in range(passes):
            own = middle(logs - common, axis=1)
            common[told] = middle(logs[:, told] - own[:, None], axis=0)
    usual: Array = common - np.median(common[told])
    return usual


def operator_rounds_us(data: Measurements, names: Iterable[str], depth: int) -> dict[str, dict[int, float]]:
    """Every round's median of each operator that has samples, microseconds, the rounds' common drift taken out.

    They stand at the level of the rounds that count: those say how fast the device is by itself, and all of them
    together how operators compare.
    """
    found = {name: rounds for name in names if (rounds := data.every_round_medians_us(name, depth))}
    alike = without_common_drift(found)
    middles_us = {name: median(values.values()) for name, values in alike.items()}
    quiet_us = {name: _quiet_us(data, name, depth) for name in found}
    levels = [us / middles_us[name] for name, us in quiet_us.items() if us]
    level = median(levels) if levels else 1.0
    return {name: {number: level * value for number, value in values.items()} for name, values in alike.items()}


def _quiet_us(data: Measurements, name: str, depth: int) -> float:
    """The latency over the rounds that count; 0 where they are too few for an interval."""
    summary = data.summary(name, depth)
    return summary.latency_us if summary and median_ranks(summary.rounds) else 0.0


def summary_of(data: Measurements, name: str, depth: int, rounds_us: Mapping[int, float]) -> Summary:
    """An operator's figures from its rounds' medians; samples are moved with the median of their round.

    rounds_us: of `operator_rounds_us`.
    """
    moved: list[float] = []
    for number, samples in data.every_round_ns(name, depth).items():
        factor = rounds_us[number] / us_from_ns(median(samples))
        moved += [factor * sample for sample in samples]
    return summarize_sorted(sorted(NS_PER_US * value for value in rounds_us.values()), sorted(moved))
