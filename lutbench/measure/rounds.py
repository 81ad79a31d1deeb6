"""One round: the canary, half of the cycles, the canary, the other half, the canary; journalled as it goes."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from statistics import median

from lutbench.measure.journal import Journal, Record
from lutbench.measure.protocol import Cycle, Failure, Outcome, Protocol, Samples, Spent

MeasureBatch = Callable[[Sequence[Cycle]], Iterable[Outcome]]


@dataclass(frozen=True)
class RoundReport:
    """number of the round; canary_move: largest canary over smallest, minus 1; void: it moved more than the limit."""

    number: int
    canary_move: float
    void: bool


def measure_round(
    measure: MeasureBatch,
    journal: Journal,
    cycles: Sequence[Cycle],
    keep: Collection[tuple[str, int]],
    canary: Cycle,
    protocol: Protocol,
) -> RoundReport:
    """Measures the cycles as the journal's current round; samples of (artifact, depth) not in keep are context only.

    A round whose canary moved beyond protocol.canary_limit is journalled as void and followed by a pause, unless void
    rounds already make up protocol.max_void_share of all: a machine that never rests is measured as it is.
    """
    number = journal.measurements.current_round
    half = (len(cycles) + 1) // 2
    canaries: list[float] = []
    for batch in ([canary, *cycles[:half], canary], [*cycles[half:], canary]):
        records: list[Record] = []
        for outcome in measure(batch):
            match outcome:
                case Samples(artifact, depth, durations_ns) if artifact == canary.artifacts[0]:
                    canaries.append(median(durations_ns))
                    records.append(_sample_record(number, artifact, depth, durations_ns))
                case Samples(artifact, depth, durations_ns) if (artifact, depth) in keep:
                    records.append(_sample_record(number, artifact, depth, durations_ns))
                case Failure(artifact, reason):
                    records.append({"failed": artifact, "reason": reason})
                case Spent(runtime_ns):
                    records.append({"runtime_ns": runtime_ns})
        journal.append(records)
    move = max(canaries) / min(canaries) - 1 if canaries else 0.0
    allowed = max(2, round(protocol.max_void_share * (number + 1)))
    void = move > protocol.canary_limit and journal.measurements.void_rounds < allowed
    journal.append([{"void": number, "canary_move": round(move, 4)} if void else {"end": number}])
    if void:
        time.sleep(protocol.canary_pause_s)
    return RoundReport(number, move, void)


def _sample_record(number: int, artifact: str, depth: int, durations_ns: Sequence[int]) -> Record:
    return {"round": number, "operator": artifact, "depth": depth, "ns": list(durations_ns)}
