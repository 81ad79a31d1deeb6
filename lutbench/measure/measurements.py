"""Measurements: every sample of a run, by artifact, context depth and round, and which of them count.

A machine shares cores, caches and heat with others, and switches between a fast and a slow state within milliseconds.
The canary, a short operator invoked beside every sample, shows in which state a sample was taken: one whose canary
stands more than a limit above the canary's reference is disturbed. It stays in the journal and is measured again.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from statistics import median

from lutbench.measure.protocol import Failure
from lutbench.measure.statistics import Summary, quantile, summarize

Key = tuple[str, int]  # artifact, context depth
_Sample = tuple[int, int]  # duration, canary; nanoseconds

_REFERENCE_STEP = 0.003  # smaller moves of the reference do not change which samples count
REFERENCE_QUANTILE = 0.2  # of the canary: its fast state, as long as that is there a fifth of the time


class Measurements:
    """Samples in nanoseconds as they came."""

    def __init__(self, canary_limit: float) -> None:
        self._limit = canary_limit
        self._samples: dict[Key, dict[int, list[_Sample]]] = defaultdict(dict)
        self._canaries: list[int] = []
        self._canary_by_round: dict[int, list[int]] = defaultdict(list)
        self._highest_quiet = float("inf")
        self._ended: set[int] = set()
        self._last_round = -1
        self.failures: dict[str, str] = {}
        self._summaries: dict[Key, Summary | None] = {}

    def add(
        self, round_number: int, artifact: str, depth: int, durations_ns: Sequence[int], canary_ns: Sequence[int]
    ) -> None:
        samples = self._samples[artifact, depth].setdefault(round_number, [])
        samples.extend(zip(durations_ns, canary_ns, strict=True))
        self._canaries.extend(canary_ns)
        self._canary_by_round[round_number].extend(canary_ns)
        self._last_round = max(self._last_round, round_number)
        self._summaries.pop((artifact, depth), None)

    def fail(self, failure: Failure) -> None:
        self.failures[failure.artifact] = failure.reason

    def end(self, round_number: int) -> None:
        """Every artifact of this round has been visited; the canary's reference takes it in."""
        self._ended.add(round_number)
        if not self._canaries:
            return
        self._canaries.sort()
        highest = quantile(self._canaries, REFERENCE_QUANTILE) * (1 + self._limit)
        if not abs(highest / self._highest_quiet - 1) < _REFERENCE_STEP:
            self._highest_quiet = highest
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
    def rounds_ended(self) -> int:
        return len(self._ended)

    @property
    def quiet_below_ns(self) -> int:
        """The canary up to which a sample counts; 0 while there is no reference."""
        return 0 if self._highest_quiet == float("inf") else int(self._highest_quiet)

    @property
    def disturbed_share(self) -> float:
        """Share of samples that do not count."""
        total = len(self._canaries)
        return sum(canary > self._highest_quiet for canary in self._canaries) / total if total else 0.0

    def disturbed_share_of(self, round_number: int) -> float:
        canaries = self._canary_by_round.get(round_number, [])
        return sum(canary > self._highest_quiet for canary in canaries) / len(canaries) if canaries else 0.0

    @property
    def canary_drift(self) -> float:
        """The canary's fast state in the last third of the rounds over that in the first third, minus 1."""
        numbers = sorted(self._canary_by_round)
        third = max(1, len(numbers) // 3)
        first, last = (
            quantile(sorted(value for number in part for value in self._canary_by_round[number]), REFERENCE_QUANTILE)
            for part in (numbers[:third], numbers[-third:])
        )
        return last / first - 1

    @property
    def artifacts(self) -> list[str]:
        """Every artifact with a sample."""
        return sorted({artifact for artifact, _ in self._samples})

    def has(self, round_number: int, artifact: str, depth: int) -> bool:
        return round_number in self._samples.get((artifact, depth), {})

    def visits(self, artifact: str, depth: int) -> int:
        """Rounds that the artifact was visited in, whether its samples count or not."""
        return len(self._samples.get((artifact, depth), {}))

    def quiet_rounds_ns(self, artifact: str, depth: int) -> dict[int, list[int]]:
        """The samples that count, by round; a round counts where at least a third of its samples do."""
        found = {}
        for number, samples in sorted(self._samples.get((artifact, depth), {}).items()):
            quiet = [duration for duration, canary in samples if canary <= self._highest_quiet]
            if 3 * len(quiet) >= len(samples):
                found[number] = quiet
        return found

    def round_medians_us(self, artifact: str, depth: int) -> dict[int, float]:
        return {n: median(samples) / 1000 for n, samples in self.quiet_rounds_ns(artifact, depth).items()}

    def rounds(self, artifact: str, depth: int) -> int:
        """Rounds that count."""
        summary = self.summary(artifact, depth)
        return summary.rounds if summary else 0

    def summary(self, artifact: str, depth: int) -> Summary | None:
        """Figures of one artifact at one depth over the rounds that count; None where there is none."""
        key = artifact, depth
        if key not in self._summaries:
            rounds = self.quiet_rounds_ns(artifact, depth)
            self._summaries[key] = summarize(list(rounds.values())) if rounds else None
        return self._summaries[key]

    def summary_of_all(self, artifact: str, depth: int) -> Summary | None:
        """Figures over every sample, disturbed ones too: for what the machine never gave a quiet moment."""
        rounds = [
            [duration for duration, _ in samples] for samples in self._samples.get((artifact, depth), {}).values()
        ]
        return summarize(rounds) if rounds else None
