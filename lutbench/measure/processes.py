"""Worker processes of one run: what differs from one to the next, and an interval that has it in.

One process has one layout of memory and sees the machine in one state; the samples inside it agree with each other
better than with those of another run. A run therefore goes through several processes, and a row's interval is made of
how far the medians of whole processes are apart. They are few (3 to 5), so that what one operator's say of their
spread is weighed with what all operators' do.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import fmean, median

from lutbench.measure.statistics import Summary, robust_mean, student_95

FEWEST_ROUNDS = 2  # of a process that has a say: one round may be anything
# Degrees of freedom that all operators' spread has beside an operator's own: with fewer, a calm operator would get an
# interval of nothing; with more, one that layouts matter to would get everybody's.
_SHARED_FREEDOM = 4
_LARGEST_SHARE = 9.0  # of the usual variance an operator may add to the common one: a broken one is not everybody's


@dataclass(frozen=True)
class ProcessMedians:
    """An operator's medians, one of each process, as fractions of their mean's: logarithms."""

    logs: tuple[float, ...]

    @property
    def variance(self) -> float:
        mean = math.fsum(self.logs) / len(self.logs)
        return math.fsum((log - mean) ** 2 for log in self.logs) / (len(self.logs) - 1)


def process_medians(rounds_us: Mapping[int, float], starts: Sequence[int]) -> ProcessMedians:
    """The medians of each process's rounds.

    rounds_us: round -> median.
    starts: the rounds at which a new process began, in order.
    """
    by_process: dict[int, list[float]] = {}
    for number, value in rounds_us.items():
        by_process.setdefault(bisect_right(starts, number), []).append(value)
    return ProcessMedians(
        tuple(math.log(median(values)) for values in by_process.values() if len(values) >= FEWEST_ROUNDS)
    )


@dataclass(frozen=True)
class Common:
    """The variance between processes of all operators together, and the degrees of freedom it is taken with."""

    variance: float = 0.0
    freedom: int = 0


def common_variance(found: Sequence[ProcessMedians]) -> Common:
    variances = [one.variance for one in found if len(one.logs) > 1]
    if len(variances) < 2:
        return Common()
    highest = _LARGEST_SHARE * median(variances)
    mean = math.fsum(min(variance, highest) for variance in variances) / len(variances)
    return Common(mean, min(_SHARED_FREEDOM, len(variances) - 1))


def half_width(found: ProcessMedians, common: Common) -> float:
    """Half the 95 % interval of an operator's latency, a fraction of it; 0 where there are not two processes."""
    own = len(found.logs) - 1
    if own < 1:
        return 0.0
    freedom = common.freedom + own
    variance = (common.freedom * common.variance + own * found.variance) / freedom
    return student_95(freedom) * math.sqrt(variance / len(found.logs))


def half_widths(rounds_us: Mapping[str, Mapping[int, float]], starts: Sequence[int]) -> dict[str, float]:
    """`half_width` of each workload, by name, beside what all of them say.

    rounds_us: workload -> round -> median.
    starts: the rounds at which a new process began, in order.
    """
    medians = {name: process_medians(rounds, starts) for name, rounds in rounds_us.items()}
    common = common_variance(list(medians.values()))
    return {name: half_width(found, common) for name, found in medians.items()}


def halves_us(rounds_us: Mapping[int, float], starts: Sequence[int]) -> tuple[float, float] | None:
    """A net's latency in every other process, and in the others; in every other round where one process has them all.
    What they differ by is what measuring again would. None for fewer than two rounds.
    """
    if len(rounds_us) < 2:
        return None
    numbers = sorted(rounds_us)
    sides = [bisect_right(starts, number) % 2 for number in numbers]
    if len(set(sides)) < 2:
        sides = [place % 2 for place in range(len(numbers))]
    one, other = (
        [rounds_us[number] for number, side in zip(numbers, sides, strict=True) if side == wanted] for wanted in (0, 1)
    )
    return robust_mean(one), robust_mean(other)


def noise_of(halves: Iterable[tuple[float, float] | None]) -> float:
    """Mean absolute difference between the halves of each net, what all nets have in common taken out, a fraction.

    halves: of `halves_us`; 0 where no net has two.
    """
    ratios = [one / other for one, other in (pair for pair in halves if pair)]
    if not ratios:
        return 0.0
    middle = median(ratios)
    return fmean(abs(ratio / middle - 1) for ratio in ratios)


def widened(summary: Summary, half: float) -> Summary:
    """The summary with an interval that is at least half of the latency wide on either side."""
    return replace(
        summary,
        ci_low_us=min(summary.ci_low_us, summary.latency_us * max(0.0, 1 - half)),
        ci_high_us=max(summary.ci_high_us, summary.latency_us * (1 + half)),
    )
