"""Visits: an artifact's samples at one context depth, by round, and the summary of those that count.

Which samples count changes with the canaries' references. A profile asks for summaries after every batch, so only what
is new, and what counts otherwise than before, is looked at again: the figures are those of all samples looked at anew.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from statistics import median

from lutbench.measure.protocol import Samples
from lutbench.measure.statistics import Summary, quantile, summarize, summarize_sorted

REFERENCE_QUANTILE = 0.2  # of a canary: its fast state, as long as that is there a fifth of the time
FEWEST_READINGS = 30  # beside an artifact, from which it is told how it slows its canary itself
_MOST_SLOWED = 2.0  # by an artifact: a canary that is slower all along stands beside another program


class _Cycle:
    """The samples of one cycle. quiet: those that count by themselves, as they came."""

    __slots__ = ("_above", "_highest", "quiet", "samples")

    def __init__(self, samples: Samples) -> None:
        self.samples = samples
        self.quiet: list[int] = []
        self._highest = math.inf  # reading beside a quiet one
        self._above = -math.inf  # the lowest beside another

    def look(self, highest_quiet: Mapping[str, float]) -> bool:
        """Whether others count than before."""
        limit = highest_quiet[self.samples.canary]
        if self._highest <= limit < self._above:
            return False
        pairs = zip(self.samples.durations_ns, self.samples.canary_ns, strict=True)
        self.quiet = [duration for duration, reading in pairs if reading <= limit]
        readings = self.samples.canary_ns
        self._highest = max((reading for reading in readings if reading <= limit), default=-math.inf)
        self._above = min((reading for reading in readings if reading > limit), default=math.inf)
        return True


class _Round:
    """One round's cycles. counted: the samples that count, ascending; none where fewer than a third do."""

    __slots__ = ("counted", "cycles", "median_ns")

    def __init__(self) -> None:
        self.cycles: list[_Cycle] = []
        self.counted: list[int] = []
        self.median_ns = 0.0

    def look(self, highest_quiet: Mapping[str, float]) -> bool:
        """Whether others count than before."""
        if not sum(cycle.look(highest_quiet) for cycle in self.cycles):
            return False
        before = self.counted
        self.counted = sorted(self.quiet)
        self.median_ns = median(self.counted) if self.counted else 0.0
        return self.counted != before

    @property
    def quiet(self) -> list[int]:
        """The samples that count, as they came."""
        found = [duration for cycle in self.cycles for duration in cycle.quiet]
        return found if 3 * len(found) >= sum(len(cycle.samples.durations_ns) for cycle in self.cycles) else []

    @property
    def all(self) -> list[int]:
        """Every sample, as it came."""
        return [ns for cycle in self.cycles for ns in cycle.samples.durations_ns]


class Visits:
    """What an artifact's visits came to.

    A large net leaves little of its canary in the caches, and instructions that lower a core's clock do so for a while,
    so that a canary stands higher behind some artifacts than behind others, whatever the machine does. Where the lower
    fifth of the readings beside an artifact is above the canary's reference, it counts from there.

    highest_quiet: canary -> the highest reading beside which a sample of any artifact counts; its owner changes it.
    limits: canary -> how far a reading may stand above its reference, a fraction.
    """

    def __init__(self, highest_quiet: Mapping[str, float], limits: Mapping[str, float]) -> None:
        self._highest_quiet, self._limits = highest_quiet, limits
        self._readings: dict[str, list[int]] = {}
        self._looked_from: dict[str, float] = {}  # the highest quiet readings when the rounds were looked at
        self._looked_at: dict[str, float] = {}  # and what they were beside this artifact
        self._rounds: dict[int, _Round] = {}
        self._new: dict[int, _Round] = {}  # with samples that were not looked at yet
        self._ordered: list[int] = []  # all that counts, ascending
        self._summary: Summary | None = None
        self._of_all: Summary | None = None

    def __len__(self) -> int:
        return len(self._rounds)

    def __contains__(self, round_number: int) -> bool:
        return round_number in self._rounds

    def add(self, round_number: int, samples: Samples) -> None:
        self._readings.setdefault(samples.canary, []).extend(samples.canary_ns)
        found = self._new[round_number] = self._rounds.setdefault(round_number, _Round())
        found.cycles.append(_Cycle(samples))
        self._of_all = None

    def quiet_rounds_ns(self) -> dict[int, list[int]]:
        """The samples that count, by round; a round counts where at least a third of its samples do."""
        self._look()
        return {number: found.quiet for number, found in sorted(self._rounds.items()) if found.counted}

    def disturbed(self, round_number: int | None = None) -> tuple[int, int]:
        """Counts the samples that stand beside a reading that is too high, and all: of a round, or of all rounds."""
        self._look()
        rounds = self._rounds.values() if round_number is None else [self._rounds[round_number]]
        cycles = [cycle for found in rounds for cycle in found.cycles]
        count = sum(len(cycle.samples.durations_ns) for cycle in cycles)
        return count - sum(len(cycle.quiet) for cycle in cycles), count

    def summary(self) -> Summary | None:
        """Over the rounds that count; None where there is none."""
        self._look()
        return self._summary

    def summary_of_all(self) -> Summary:
        """Over all rounds, whether they count or not."""
        if self._of_all is None:
            self._of_all = summarize(found.all for found in self._rounds.values())
        return self._of_all

    def all_medians_ns(self) -> dict[int, float]:
        """The medians of all rounds, whether they count or not."""
        return {number: median(found.all) for number, found in sorted(self._rounds.items())}

    def every_round_ns(self) -> dict[int, list[int]]:
        """The samples of every round: those that count, and all of a round that does not."""
        self._look()
        return {number: found.counted or found.all for number, found in sorted(self._rounds.items())}

    def every_round_medians_ns(self) -> dict[int, float]:
        """The medians of `every_round_ns`."""
        self._look()
        rounds = sorted(self._rounds.items())
        return {number: found.median_ns if found.counted else median(found.all) for number, found in rounds}

    def _look(self) -> None:
        """Makes the summary anew where others count than before."""
        if not self._new and self._looked_from == self._highest_quiet:
            return
        self._looked_from = dict(self._highest_quiet)
        highest = {canary: self._highest_beside(canary) for canary in self._readings}
        self._take(self._rounds.values() if highest != self._looked_at else self._new.values(), highest)
        self._looked_at = highest
        self._new.clear()

    def _highest_beside(self, canary: str) -> float:
        """The highest reading of the canary beside which a sample of this artifact counts."""
        highest, readings = self._highest_quiet[canary], self._readings[canary]
        if len(readings) < FEWEST_READINGS:
            return highest
        own = quantile(sorted(readings), REFERENCE_QUANTILE) * (1 + self._limits[canary])
        return min(max(highest, own), _MOST_SLOWED * highest)

    def _take(self, rounds: Iterable[_Round], highest: Mapping[str, float]) -> None:
        added: list[int] = []
        is_other = is_less = False
        for found in rounds:
            before = found.counted
            if found.look(highest):
                is_other = True
                is_less |= bool(before)
                added += found.counted
        if not is_other:
            return
        counted = [found for found in self._rounds.values() if found.counted]
        if is_less:
            self._ordered = [ns for found in counted for ns in found.counted]
        else:
            self._ordered += added
        self._ordered.sort()
        medians = sorted(found.median_ns for found in counted)
        self._summary = summarize_sorted(medians, self._ordered) if medians else None
