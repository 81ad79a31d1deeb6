"""Measurements: every sample of a run, by artifact, context depth and round."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from statistics import median

from lutbench.measure.protocol import Failure
from lutbench.measure.statistics import Summary, summarize

Key = tuple[str, int]  # artifact, context depth


class Measurements:
    """Samples in nanoseconds as they came; rounds declared void are kept out of every figure."""

    def __init__(self) -> None:
        self._samples: dict[Key, dict[int, list[int]]] = defaultdict(dict)
        self._void: set[int] = set()
        self._ended: set[int] = set()
        self._last_round = -1
        self.failures: dict[str, str] = {}
        self._summaries: dict[Key, Summary] = {}

    def add(self, round_number: int, artifact: str, depth: int, durations_ns: tuple[int, ...] | list[int]) -> None:
        self._samples[artifact, depth].setdefault(round_number, []).extend(durations_ns)
        self._last_round = max(self._last_round, round_number)
        self._summaries.pop((artifact, depth), None)

    def fail(self, failure: Failure) -> None:
        self.failures[failure.artifact] = failure.reason

    def end(self, round_number: int) -> None:
        """Every artifact of this round has been visited."""
        self._ended.add(round_number)

    def void(self, round_number: int) -> None:
        self.end(round_number)
        self._void.add(round_number)
        self._summaries.clear()

    @property
    def current_round(self) -> int:
        """The round to measure: the last one where it was cut off, else the one after it."""
        last = self._last_round
        return last if last >= 0 and last not in self._ended else last + 1

    @property
    def last_round(self) -> int:
        return self._last_round

    @property
    def void_rounds(self) -> int:
        return len(self._void)

    def has(self, round_number: int, artifact: str, depth: int) -> bool:
        return round_number in self._samples.get((artifact, depth), {})

    def rounds_ns(self, artifact: str, depth: int) -> Mapping[int, list[int]]:
        """Samples by round, in the order of rounds, void ones left out."""
        found = self._samples.get((artifact, depth), {})
        return {number: found[number] for number in sorted(found) if number not in self._void}

    def rounds(self, artifact: str, depth: int) -> int:
        found = self._samples.get((artifact, depth), {})
        return sum(1 for number in found if number not in self._void)

    def round_medians_us(self, artifact: str, depth: int) -> dict[int, float]:
        return {n: median(samples) / 1000 for n, samples in self.rounds_ns(artifact, depth).items()}

    def summary(self, artifact: str, depth: int) -> Summary | None:
        """Figures of one artifact at one depth; None where it has no sample."""
        key = artifact, depth
        if key not in self._summaries:
            rounds = list(self.rounds_ns(artifact, depth).values())
            if not rounds:
                return None
            self._summaries[key] = summarize(rounds)
        return self._summaries[key]
