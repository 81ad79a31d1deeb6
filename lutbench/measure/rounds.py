"""One round: its cycles in two batches, each journalled when it is done."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass

from lutbench.measure.journal import Journal, Record
from lutbench.measure.protocol import Batch, Cycle, Failure, Outcome, Protocol, Samples, Spent

MeasureBatch = Callable[[Batch], Iterable[Outcome]]

_BATCHES = 2  # a run that is killed loses at most one of them


@dataclass(frozen=True)
class RoundReport:
    """number of the round; disturbed: share of its samples that do not count."""

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

    keep: the (artifact, depth) pairs to visit in it. What else stands in a cycle, or stands in a second one, is context
    and its samples are dropped, so that every operator has one visit in a round.
    """
    wanted = set(keep)
    data = journal.measurements
    number = data.current_round
    size = max(1, -(-len(cycles) // _BATCHES))
    for start in range(0, len(cycles), size):
        records: list[Record] = []
        batch = Batch(tuple(cycles[start : start + size]), data.canaries, protocol.patience)
        for outcome in measure(batch):
            match outcome:
                case Samples(artifact, depth) if (artifact, depth) in wanted:
                    wanted.remove((artifact, depth))
                    records.append(_sample_record(number, outcome))
                case Failure(artifact, reason):
                    records.append({"failed": artifact, "reason": reason})
                case Spent(runtime_ns):
                    records.append({"runtime_ns": runtime_ns})
        journal.append(records)
    journal.append([{"end": number}])
    return RoundReport(number, data.disturbed_share_of(number))


def _sample_record(number: int, samples: Samples) -> Record:
    return {
        "round": number,
        "operator": samples.artifact,
        "depth": samples.depth,
        "ns": list(samples.durations_ns),
        "canary": samples.canary,
        "canary_ns": list(samples.canary_ns),
    }
