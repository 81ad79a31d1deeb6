"""An operator's time where a call costs more than the operator: from programs of several copies of it, by their slope.

A call of the Neural Engine takes 0.1 to 0.2 ms, and a program that is small is run by the CPU without a word. So an
operator is timed as chains of K copies, of three lengths or more. What a copy adds is its latency; what is left where
there are no copies is the call's. That holds where all copies of all chains, and the canary, run on one unit, and
where time grows evenly with the copies. Anything else costs the operator its row, and the row says what it was.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import fmean, median

from lutbench.measure.protocol import Failure
from lutbench.measure.statistics import median_ranks, quantile

CHAIN_LENGTHS = (4, 8, 16)  # long enough not to be moved to the CPU, as far apart as a slope asks for
MOST_BEND = 0.05  # how far a chain may be off the line through the others, over what the longest takes more
UNREADABLE = "unreadable"  # the system does not tell units
_FEWEST_LENGTHS = 3  # through two any line goes


@dataclass(frozen=True)
class Chain:
    """A program of copies of an operator, as it was timed.

    units: how many of its operations run on which unit (cpu, ane, gpu); empty where the system does not tell.
    rounds_us: the median of each round that counts, by the round's number.
    """

    copies: int
    units: Mapping[str, int]
    rounds_us: Mapping[int, float]


@dataclass(frozen=True)
class Slope:
    """What a copy takes: the median over rounds and its 95 % interval, microseconds.

    unit: that all ran on, or UNREADABLE.
    rounds_us: what a copy takes in each round, smallest first.
    calls_us: what a call without any copy takes, by the round's number.
    """

    latency_us: float
    ci_low_us: float
    ci_high_us: float
    unit: str
    rounds_us: tuple[float, ...]
    calls_us: Mapping[int, float]

    @property
    def rounds(self) -> int:
        return len(self.rounds_us)

    @property
    def call_us(self) -> float:
        """What a call without any copy takes: the median over rounds."""
        return median(self.calls_us.values())

    @property
    def half_width(self) -> float:
        """Half the interval's width over the latency."""
        return (self.ci_high_us - self.ci_low_us) / 2 / self.latency_us

    def quantile_us(self, share: float) -> float:
        """The share-quantile of what a copy takes in single rounds; no less than 0."""
        return max(0.0, quantile(self.rounds_us, share))


def slope_of(
    operator: str, chains: Sequence[Chain], asked: str, canary_units: Mapping[str, int], may_be_free: bool = False
) -> Slope | Failure:
    """The operator's latency, or why it has none.

    asked: the unit that it was to run on.
    canary_units: as in Chain, of the chain that was the canary.
    may_be_free: a copy may take no time that can be told from none, as what joins copies may.
    """
    chains = sorted(chains, key=lambda chain: chain.copies)
    unit, problem = placed({f"{chain.copies} copies": chain.units for chain in chains}, asked, canary_units)
    if problem:
        return Failure(operator, problem)
    lengths = [chain.copies for chain in chains]
    if len(set(lengths)) < _FEWEST_LENGTHS:
        return Failure(
            operator, f"its chains have {len(set(lengths))} lengths: {_FEWEST_LENGTHS} tell a line from a bend"
        )
    rounds = sorted(set.intersection(*(set(chain.rounds_us) for chain in chains)))
    ranks = median_ranks(len(rounds))
    if ranks is None:
        return Failure(operator, f"its chains have {len(rounds)} rounds in common, too few for an interval")
    times = [[chain.rounds_us[number] for chain in chains] for number in rounds]
    lines = [_line(lengths, values) for values in times]
    slopes = sorted(slope for slope, _ in lines)
    low, high = slopes[ranks[0]], slopes[ranks[1]]
    if low <= 0 and not (may_be_free and high >= 0):
        return Failure(
            operator, f"more copies do not take longer: {median(slopes):.3f} us for each, at least {low:.3f}"
        )
    if low > 0 and (bent := _bend(lengths, times)):
        return Failure(operator, bent)
    calls = {number: call for number, (_, call) in zip(rounds, lines, strict=True)}
    return Slope(median(slopes), low, high, unit, tuple(slopes), calls)


def without_link(operator: str, slope: Slope, link: Slope) -> Slope | Failure:
    """The slope less what joins two copies that do not fit together: a chain of that alone is timed like any other."""
    if slope.unit != link.unit:
        return Failure(operator, f"its chains run on {slope.unit}, and what joins their copies on {link.unit}")
    latency_us = slope.latency_us - link.latency_us
    low_us = latency_us - math.hypot(slope.latency_us - slope.ci_low_us, link.ci_high_us - link.latency_us)
    high_us = latency_us + math.hypot(slope.ci_high_us - slope.latency_us, link.latency_us - link.ci_low_us)
    if low_us <= 0:
        return Failure(operator, f"it takes no longer than what joins its copies ({link.latency_us:.3f} us)")
    rounds_us = tuple(us - link.latency_us for us in slope.rounds_us)
    return replace(slope, latency_us=latency_us, ci_low_us=low_us, ci_high_us=high_us, rounds_us=rounds_us)


def with_call(slopes_us: Mapping[str, float], call_us: float, overhead: str) -> dict[str, float]:
    """Slopes as rows that carry a call each, which a net's fit takes off again (measure/net_fit).

    overhead: whose row is the call itself.
    """
    return {name: us if name == overhead else us + call_us for name, us in slopes_us.items()}


def placed(
    programs: Mapping[str, Mapping[str, int]], asked: str, canary_units: Mapping[str, int] | None = None
) -> tuple[str, str]:
    """The one unit that programs run on, by name, and what is wrong with where they run, in one clause.

    asked: the unit that they are to run on.
    canary_units: of the canary, which has to run there too.
    """
    found: dict[str, str] = {}
    for name, units in [*programs.items(), *([] if canary_units is None else [("the canary", canary_units)])]:
        told = {unit: count for unit, count in units.items() if count}
        if len(told) > 1:
            parts = ", ".join(f"{count} of its operations on {unit}" for unit, count in sorted(told.items()))
            return "", f"{name} run on several units: {parts}"
        found[name] = next(iter(told), UNREADABLE)
    if len(set(found.values())) > 1:
        return "", "not all run on one unit: " + ", ".join(f"{name} on {unit}" for name, unit in found.items())
    (unit,) = set(found.values())
    if unit not in (asked, UNREADABLE):
        return "", f"it was to run on {asked}, and runs on {unit}"
    return unit, ""


def _line(lengths: Sequence[int], times_us: Sequence[float]) -> tuple[float, float]:
    """Least squares through a round's times: what a copy adds, and what is there without any."""
    middle, mean = fmean(lengths), fmean(times_us)
    spread = sum((length - middle) ** 2 for length in lengths)
    slope = sum((length - middle) * (time - mean) for length, time in zip(lengths, times_us, strict=True)) / spread
    return slope, mean - slope * middle


def _bend(lengths: Sequence[int], times: Sequence[Sequence[float]]) -> str:
    """Which chain is off the line through the shortest and the longest; "" where none clearly is."""
    for place in range(1, len(lengths) - 1):
        share = (lengths[place] - lengths[0]) / (lengths[-1] - lengths[0])
        off = sorted(
            (values[place] - values[0]) / (values[-1] - values[0]) - share for values in times if values[-1] > values[0]
        )
        ranks = median_ranks(len(off))
        if ranks is not None and (off[ranks[0]] > MOST_BEND or off[ranks[1]] < -MOST_BEND):
            return (
                f"time does not grow evenly with its copies: {lengths[place]} take {median(off):+.0%} of what"
                f" {lengths[-1]} take more than {lengths[0]}, off the line"
            )
    return ""
