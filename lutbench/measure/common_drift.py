"""What all workloads of a round have in common, and what is left of each without it.

A machine's neighbours slow all that runs by several per cent, for seconds or minutes, and a canary sees it only where
its limit is passed. A round visits many workloads within a second, so their common factor is known far better than any
of them. With it taken out, a round counts whatever state the machine was in.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Mapping
from statistics import median

import numpy as np
import numpy.typing as npt

from lutbench.measure.measurements import Measurements
from lutbench.measure.statistics import Summary, median_ranks, robust_spread, summarize_sorted
from lutbench.units import NS_PER_US, us_from_ns

Array = npt.NDArray[np.float64]

_FEWEST_SHARES = 8  # workloads of a round from which its factor is known
_MEAN_PASSES, _MEDIAN_PASSES = 30, 5  # after which nothing moves
_FURTHEST = 3.0  # standard deviations of rounds that count, within which one that does not has a say


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


def every_round_us(data: Measurements, names: Iterable[str], depth: int) -> dict[str, dict[int, float]]:
    """Every round's median of each operator that has samples, microseconds, the rounds' common drift taken out.

    They stand at the level of the rounds that count: those say how fast the device is by itself, and all of them
    together how operators compare.
    """
    found = {name: rounds for name in names if (rounds := data.every_round_medians_us(name, depth))}
    return _at_the_quiet_level(without_common_drift(found), data, depth)


def usual_rounds_us(data: Measurements, nets: Iterable[str]) -> dict[str, dict[int, float]]:
    """The same of each net with a round that counts, without rounds in which it was slowed by itself.

    A round visits few nets, each for long, and the machine may be disturbed for some of them alone: those have a common
    drift of their own. Of what is left, a round that does not count has a say where it is no further from the middle of
    those that do than they usually are themselves.
    """
    counted = {net: rounds for net in nets if (rounds := data.round_medians_us(net, 0))}
    by_state = {
        net: {
            2 * number + (number not in counted[net]): us for number, us in data.every_round_medians_us(net, 0).items()
        }
        for net in counted
    }
    alike = without_common_drift(by_state)
    every = {net: {state // 2: us for state, us in rounds.items()} for net, rounds in alike.items()}
    return _without_odd_ones(_at_the_quiet_level(every, data, 0), counted)


def _without_odd_ones(
    every: Mapping[str, Mapping[int, float]], counted: Mapping[str, Collection[int]]
) -> dict[str, dict[int, float]]:
    """Those that count, and what is like them. counted: net -> the rounds of it that do."""
    middles, spreads = {}, {}
    for net, rounds in every.items():
        logs = [math.log(rounds[number]) for number in counted[net]]
        middles[net] = median(logs)
        spreads[net] = robust_spread(logs, middles[net])
    told = [spreads[net] for net in every if median_ranks(len(counted[net]))]
    usual = median(told) if told else math.inf  # of nets with rounds enough to tell
    return {
        net: {
            number: us
            for number, us in rounds.items()
            if number in counted[net] or abs(math.log(us) - middles[net]) <= _FURTHEST * max(usual, spreads[net])
        }
        for net, rounds in every.items()
    }


def _at_the_quiet_level(
    alike: Mapping[str, Mapping[int, float]], data: Measurements, depth: int
) -> dict[str, dict[int, float]]:
    """The rounds moved so that they stand, all by the same factor, where those that count do."""
    middles_us = {name: median(values.values()) for name, values in alike.items()}
    quiet_us = {name: _quiet_us(data, name, depth) for name in alike}
    levels = [us / middles_us[name] for name, us in quiet_us.items() if us]
    level = median(levels) if levels else 1.0
    return {name: {number: level * value for number, value in values.items()} for name, values in alike.items()}


def _quiet_us(data: Measurements, name: str, depth: int) -> float:
    """The latency over the rounds that count; 0 where they are too few for an interval."""
    summary = data.summary(name, depth)
    return summary.latency_us if summary and median_ranks(summary.rounds) else 0.0


def summary_of(data: Measurements, name: str, depth: int, rounds_us: Mapping[int, float]) -> Summary:
    """An operator's figures from its rounds' medians; samples are moved with the median of their round.

    rounds_us: of `every_round_us`.
    """
    moved: list[float] = []
    for number, samples in data.every_round_ns(name, depth).items():
        factor = rounds_us[number] / us_from_ns(median(samples))
        moved += [factor * sample for sample in samples]
    return summarize_sorted(sorted(NS_PER_US * value for value in rounds_us.values()), sorted(moved))
