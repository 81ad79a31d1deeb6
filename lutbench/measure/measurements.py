"""Measurements: every sample of a run, by artifact, context depth and round, and which of them count.

A machine shares cores, caches and heat with others, and switches between fast and slow states within milliseconds.
A canary, a short operator invoked beside every sample, shows in which state the sample was taken: one whose canary
stands more than a limit above the canary's reference is disturbed. It stays in the journal and is measured again.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import replace
from statistics import median

from lutbench.measure.protocol import Canary, Failure, Samples
from lutbench.measure.statistics import Summary, median_ranks, quantile
from lutbench.measure.visits import REFERENCE_QUANTILE, Visits
from lutbench.units import us_from_ns

Key = tuple[str, int]  # artifact, context depth

_HARDLY_SLOWER = 1.25  # a place in memory moves an operator by less; another program on its core by more
_REFERENCE_STEP = 0.003  # smaller moves of a reference do not change which samples count


class Measurements:
    """Samples in nanoseconds as they came."""

    def __init__(self, canaries: Sequence[Canary]) -> None:
        self._canaries = {canary.name: canary for canary in canaries}
        self._limits = {canary.name: canary.limit for canary in canaries}
        self._readings: dict[str, list[int]] = {name: [] for name in self._canaries}
        self._has_new = dict.fromkeys(self._canaries, False)  # readings that its reference has not taken in
        self._highest_quiet = dict.fromkeys(self._canaries, math.inf)
        self._readings_by_round: dict[int, dict[str, list[int]]] = defaultdict(lambda: defaultdict(list))
        self._visits: dict[Key, Visits] = {}
        self._ended: set[int] = set()
        self._last_round = -1
        self.failures: dict[str, str] = {}

    def add(self, round_number: int, found: Samples) -> None:
        """Takes in one visit's samples; KeyError where their canary is none of this run's."""
        self._readings[found.canary].extend(found.canary_ns)
        self._has_new[found.canary] = True
        self._readings_by_round[round_number][found.canary].extend(found.canary_ns)
        key = found.artifact, found.depth
        if key not in self._visits:
            self._visits[key] = Visits(self._highest_quiet, self._limits)
        self._visits[key].add(round_number, found)
        self._last_round = max(self._last_round, round_number)

    def fail(self, failure: Failure) -> None:
        self.failures[failure.artifact] = failure.reason

    def end(self, round_number: int) -> None:
        """Every artifact of this round has been visited; the canaries' references take it in."""
        self._ended.add(round_number)
        self._last_round = max(self._last_round, round_number)  # one in which nothing was due has no samples
        for name, readings in self._readings.items():
            if not self._has_new[name]:
                continue
            self._has_new[name] = False
            readings.sort()
            highest = quantile(readings, REFERENCE_QUANTILE) * (1 + self._canaries[name].limit)
            if not abs(highest / self._highest_quiet[name] - 1) < _REFERENCE_STEP:
                self._highest_quiet[name] = highest

    @property
    def current_round(self) -> int:
        """The round to measure: the last one where it was cut off, else the one after it."""
        last = self._last_round
        return last if last >= 0 and last not in self._ended else last + 1

    @property
    def last_round(self) -> int:
        return self._last_round

    @property
    def rounds_ended(self) -> int:
        return len(self._ended)

    @property
    def canaries(self) -> tuple[Canary, ...]:
        """The run's canaries with the times up to which they count as quiet by now."""
        return tuple(
            replace(canary, quiet_below_ns=0 if math.isinf(highest) else int(highest))
            for canary, highest in zip(self._canaries.values(), self._highest_quiet.values(), strict=True)
        )

    @property
    def disturbed_share(self) -> float:
        """Share of samples that do not count."""
        return _share(visits.disturbed() for visits in self._visits.values())

    def disturbed_share_of(self, round_number: int) -> float:
        return _share(visits.disturbed(round_number) for visits in self._visits.values() if round_number in visits)

    def canary_reference_us(self, name: str) -> float:
        """A canary's fast state in this run."""
        readings = sorted(self._readings[name])
        return us_from_ns(quantile(readings, REFERENCE_QUANTILE)) if readings else 0.0

    def canary_usual_us(self, name: str) -> float:
        """A canary's fast state in a usual round: rows are medians over rounds, and go with it from run to run."""
        fast_ns = [quantile(sorted(readings), REFERENCE_QUANTILE) for readings in self._rounds_of_canary(name)]
        return us_from_ns(median(fast_ns)) if fast_ns else 0.0

    def canary_drift(self, name: str) -> float:
        """A canary's fast state in the last third of the rounds over that in the first third, minus 1."""
        by_round = self._rounds_of_canary(name)
        if not by_round:
            return 0.0
        third = max(1, len(by_round) // 3)
        first, last = (
            quantile(sorted(value for values in part for value in values), REFERENCE_QUANTILE)
            for part in (by_round[:third], by_round[-third:])
        )
        return last / first - 1

    def _rounds_of_canary(self, name: str) -> list[list[int]]:
        """Its readings, nanoseconds, of each round in which it was read, in their order."""
        return [readings[name] for _, readings in sorted(self._readings_by_round.items()) if name in readings]

    @property
    def artifacts(self) -> list[str]:
        """Every artifact with a sample."""
        return sorted({artifact for artifact, _ in self._visits})

    def has(self, round_number: int, artifact: str, depth: int) -> bool:
        return round_number in self._visits.get((artifact, depth), ())

    def visits(self, artifact: str, depth: int) -> int:
        """Rounds that the artifact was visited in, whether its samples count or not."""
        return len(self._visits.get((artifact, depth), ()))

    def quiet_rounds_ns(self, artifact: str, depth: int) -> dict[int, list[int]]:
        """The samples that count, by round; a round counts where at least a third of its samples do."""
        visits = self._visits.get((artifact, depth))
        return visits.quiet_rounds_ns() if visits else {}

    def round_medians_us(self, artifact: str, depth: int) -> dict[int, float]:
        return {n: us_from_ns(median(samples)) for n, samples in self.quiet_rounds_ns(artifact, depth).items()}

    def every_round_ns(self, artifact: str, depth: int) -> dict[int, list[int]]:
        """The samples of every round: those that count, and all of a round that does not."""
        visits = self._visits.get((artifact, depth))
        return visits.every_round_ns() if visits else {}

    def every_round_medians_us(self, artifact: str, depth: int) -> dict[int, float]:
        """The medians of `every_round_ns`."""
        visits = self._visits.get((artifact, depth))
        medians = visits.every_round_medians_ns() if visits else {}
        return {number: us_from_ns(median_ns) for number, median_ns in medians.items()}

    def rounds(self, artifact: str, depth: int) -> int:
        """Rounds that count."""
        summary = self.summary(artifact, depth)
        return summary.rounds if summary else 0

    def summary(self, artifact: str, depth: int) -> Summary | None:
        """Figures of one artifact at one depth over the rounds that count; None where there is none."""
        visits = self._visits.get((artifact, depth))
        return visits.summary() if visits else None

    def is_mostly_disturbed(self, artifact: str, depth: int) -> bool:
        """Whether so few of its rounds count that they do not speak for it: too few for an interval, or not a third.

        Where a canary is seldom in its fast state, a handful of rounds beside it have a narrow interval and still are
        whatever that one moment or process was.
        """
        rounds = self.rounds(artifact, depth)
        return median_ranks(rounds) is None or 3 * rounds < self.visits(artifact, depth)

    def best_summary(self, artifact: str, depth: int) -> Summary | None:
        """Over the rounds that count; over all, disturbed ones too, where those do not speak for it.

        What the machine never gave a quiet moment is shown as it was, and its interval says how good that is.
        """
        visits = self._visits.get((artifact, depth))
        if not visits:
            return None
        return visits.summary_of_all() if self._all_count(artifact, depth) else visits.summary()

    def latency_us(self, artifact: str, depth: int = 0) -> float | None:
        """About what one invocation takes, by the rounds of `best_summary`; None where there is none yet."""
        summary = self.best_summary(artifact, depth)
        return summary.latency_us if summary else None

    def _all_count(self, artifact: str, depth: int) -> bool:
        """Whether all rounds are better than those that count by themselves: it is mostly disturbed, and hardly slower.

        Where all rounds are far slower, another program really was there, and the few quiet ones are what it takes.
        """
        if not self.is_mostly_disturbed(artifact, depth):
            return False
        visits = self._visits[artifact, depth]
        few = visits.summary()
        if few is None or median_ranks(few.rounds) is None:
            return True
        return visits.summary_of_all().latency_us <= _HARDLY_SLOWER * few.latency_us

    def best_round_medians_us(self, artifact: str, depth: int) -> dict[int, float]:
        """The medians of the rounds that `best_summary` is of."""
        visits = self._visits.get((artifact, depth))
        if visits and self._all_count(artifact, depth):
            return {number: us_from_ns(median_ns) for number, median_ns in visits.all_medians_ns().items()}
        return self.round_medians_us(artifact, depth)


def _share(found: Iterable[tuple[int, int]]) -> float:
    parts = list(found)
    of_all = sum(count for _, count in parts)
    return sum(part for part, _ in parts) / of_all if of_all else 0.0
