"""One round: its cycles in one or two batches, each journalled when it is done; and how many rounds there are."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass

from lutbench.measure.journal import Journal
from lutbench.measure.journal_lines import Record
from lutbench.measure.measurements import Measurements
from lutbench.measure.protocol import Batch, Cycle, Failure, Outcome, Protocol, Samples, Spent
from lutbench.measure.statistics import Summary

MeasureBatch = Callable[[Batch], Iterable[Outcome]]

_BATCHES = 2  # a run that is killed loses at most one of them
_SHORTEST_US = 300_000.0  # of one: a phone takes some 15 ms to be given a batch and to answer, however short it is


@dataclass(frozen=True)
class RoundReport:
    """number of the round.

    disturbed: share of its samples that do not count.
    """

    number: int
    disturbed: float


def measure_round(
    measure: MeasureBatch,
    journal: Journal,
    cycles: Sequence[Cycle],
    keep: Collection[tuple[str, int]],
    protocol: Protocol,
) -> RoundReport:
    """Measures the cycles as the journal's current round.

    keep: the (artifact, depth) pairs to visit in it, once each. An artifact that stands in a cycle as a neighbour of
        others only, or stands in a second cycle, is invoked and its samples are dropped.
    """
    wanted = set(keep)
    data = journal.measurements
    number = data.current_round
    size = max(1, -(-len(cycles) // _batches(cycles, data)))
    for start in range(0, len(cycles), size):
        records: list[Record] = []
        batch = Batch(tuple(cycles[start : start + size]), data.canaries, protocol.patience)
        try:
            for outcome in measure(batch):
                match outcome:
                    case Samples(artifact, depth) if (artifact, depth) in wanted:
                        wanted.remove((artifact, depth))
                        records.append(_sample_record(number, outcome))
                    case Failure(artifact, reason):
                        records.append({"failed": artifact, "reason": reason})
                    case Spent(runtime_ns):
                        records.append({"runtime_ns": runtime_ns})
        finally:
            journal.append(records)  # also where the device goes away in the midst of the batch
    journal.append([{"end": number}])
    return RoundReport(number, data.disturbed_share_of(number))


def _batches(cycles: Sequence[Cycle], data: Measurements) -> int:
    """How many the cycles are measured in: not so many that each is too short; all of them while times are unknown."""
    expected_us = 0.0
    for cycle in cycles:
        summaries = [data.best_summary(artifact, cycle.depth) for artifact in cycle.artifacts]
        if None in summaries:
            return _BATCHES
        each_us = sum(summary.latency_us for summary in summaries if summary)
        expected_us += (cycle.warmup + cycle.repeats) * each_us
    return min(_BATCHES, max(1, int(expected_us / _SHORTEST_US)))


def is_done(data: Measurements, artifact: str, depth: int, protocol: Protocol) -> bool:
    """Whether an artifact has reached the target, or the most visits it gets."""
    if data.visits(artifact, depth) >= protocol.max_rounds:
        return True
    summary = data.summary(artifact, depth)
    if summary is None or summary.rounds < protocol.min_rounds:
        return False
    return summary.half_width <= protocol.target


def rounds_left(summary: Summary, protocol: Protocol) -> float:
    """Rounds that an unfinished artifact still needs: intervals narrow with the square root of rounds."""
    needed = summary.rounds * (summary.half_width / protocol.target) ** 2
    return max(1.0, min(max(needed, protocol.min_rounds), protocol.max_rounds) - summary.rounds)


def _sample_record(number: int, samples: Samples) -> Record:
    return {
        "round": number,
        "operator": samples.artifact,
        "depth": samples.depth,
        "ns": list(samples.durations_ns),
        "canary": samples.canary,
        "canary_ns": list(samples.canary_ns),
    }
