"""Rounds: one in one or two batches, or several short ones in one; each batch is journalled when it is done."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from lutbench.measure.journal import Journal
from lutbench.measure.journal_lines import Record
from lutbench.measure.measurements import Measurements
from lutbench.measure.protocol import Batch, Cycle, Failure, Outcome, Protocol, Samples, Spent
from lutbench.measure.statistics import Summary

MeasureBatch = Callable[[Batch], Iterable[Outcome]]

_BATCHES = 2  # a run that is killed loses one of them, and the one that a device was given ahead
_SHORTEST_US = 300_000.0  # of one: a phone takes some 15 ms to be given a batch and to answer, however short it is
_MOST_ROUNDS = 8  # in a batch: what is done after the first of them is measured in vain in the others


@dataclass(frozen=True)
class RoundReport:
    """number of the round.

    disturbed: share of its samples that do not count.
    """

    number: int
    disturbed: float


@dataclass(frozen=True)
class RoundPlan:
    """What a round is to measure.

    keep: the (artifact, depth) pairs to visit in it, once each. An artifact that stands in a cycle as a neighbour of
        others only, or stands in a second cycle, is invoked and its samples are dropped.
    """

    number: int
    cycles: tuple[Cycle, ...]
    keep: frozenset[tuple[str, int]]


def measure_round(
    measure: MeasureBatch,
    journal: Journal,
    cycles: Sequence[Cycle],
    keep: Collection[tuple[str, int]],
    protocol: Protocol,
) -> RoundReport:
    """Measures the cycles as the journal's current round, in one or two batches."""
    plan = RoundPlan(journal.measurements.current_round, tuple(cycles), frozenset(keep))
    return measure_rounds(measure, journal, [plan], protocol)


@dataclass(frozen=True)
class RoundPart:
    """A batch of one or several rounds.

    keep: the rounds that want a visit of a pair (as of RoundPlan.keep), in order.
    ends: the rounds that have ended with it.
    """

    batch: Batch
    keep: Mapping[tuple[str, int], tuple[int, ...]]
    ends: tuple[int, ...]

    @property
    def last(self) -> int:
        """The number of its last round."""
        return max([*self.ends, *(number for numbers in self.keep.values() for number in numbers)])


def measure_rounds(
    measure: MeasureBatch, journal: Journal, plans: Sequence[RoundPlan], protocol: Protocol
) -> RoundReport:
    """Measures rounds, the journal's current one first: one in one or two batches, several short ones in one.

    What is returned is of the last of them.
    """
    for part in parts_of(plans, journal.measurements, protocol):
        report = measure_part(measure, journal, part)
    return report


def parts_of(plans: Sequence[RoundPlan], data: Measurements, protocol: Protocol) -> Iterator[RoundPart]:
    """The batches of these rounds, each with the canaries as they are known when it is asked for; at least one."""
    keep: dict[tuple[str, int], tuple[int, ...]] = {}
    for plan in plans:
        for pair in plan.keep:
            keep[pair] = (*keep.get(pair, ()), plan.number)
    cycles = [cycle for plan in plans for cycle in plan.cycles]
    size = max(1, -(-len(cycles) // (1 if len(plans) > 1 else _batches(cycles, data))))
    for start in range(0, max(1, len(cycles)), size):
        batch = Batch(tuple(cycles[start : start + size]), data.canaries, protocol.patience)
        is_last = start + size >= len(cycles)
        yield RoundPart(batch, keep, tuple(plan.number for plan in plans) if is_last else ())


def measure_part(measure: MeasureBatch, journal: Journal, part: RoundPart) -> RoundReport:
    """Measures and journals a batch; what is returned is of its last round."""
    data = journal.measurements
    wanted = {  # the first last
        pair: [number for number in reversed(numbers) if not data.has(number, *pair)]
        for pair, numbers in part.keep.items()
    }
    records: list[Record] = []
    try:
        for outcome in measure(part.batch) if part.batch.cycles else ():
            match outcome:
                case Samples(artifact, depth) if wanted.get((artifact, depth)):
                    records.append(_sample_record(wanted[artifact, depth].pop(), outcome))
                case Failure(artifact, reason):
                    records.append({"failed": artifact, "reason": reason})
                case Spent(runtime_ns):
                    records.append({"runtime_ns": runtime_ns})
    except BaseException:
        journal.append(records)  # also where the device goes away in the midst of the batch
        raise
    journal.append([*records, *({"end": number} for number in part.ends)])
    return RoundReport(part.last, data.disturbed_share_of(part.last))


def _batches(cycles: Sequence[Cycle], data: Measurements) -> int:
    """How many the cycles are measured in: not so many that each is too short; all of them while times are unknown."""
    expected_us = _expected_us(cycles, data)
    if expected_us is None:
        return _BATCHES
    return min(_BATCHES, max(1, int(expected_us / _SHORTEST_US)))


def rounds_in_a_batch(cycles: Sequence[Cycle], data: Measurements) -> int:
    """The number of rounds, like one of these cycles, that a batch is long enough for; 1 while times are unknown."""
    expected_us = _expected_us(cycles, data)
    return min(_MOST_ROUNDS, max(1, int(_SHORTEST_US / expected_us))) if expected_us else 1


def _expected_us(cycles: Sequence[Cycle], data: Measurements) -> float | None:
    """What the cycles take in the runtime, by what is known of them; None where some time is not known yet."""
    expected_us = 0.0
    for cycle in cycles:
        summaries = [data.best_summary(artifact, cycle.depth) for artifact in cycle.artifacts]
        if None in summaries:
            return None
        each_us = sum(summary.latency_us for summary in summaries if summary)
        expected_us += (cycle.warmup + cycle.repeats) * each_us
    return expected_us


def is_done(data: Measurements, artifact: str, depth: int, protocol: Protocol) -> bool:
    """Whether an artifact has reached the target, or the most visits it gets."""
    if data.visits(artifact, depth) >= protocol.max_rounds:
        return True
    summary = data.summary(artifact, depth)
    if summary is None or summary.rounds < protocol.min_rounds or data.is_mostly_disturbed(artifact, depth):
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
