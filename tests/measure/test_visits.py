"""Summaries that are kept up to date are those of all samples looked at anew."""

from __future__ import annotations

import math

from hypothesis import given, settings
from hypothesis import strategies as st

from lutbench.measure.measurements import Measurements
from lutbench.measure.protocol import Canary, Samples
from lutbench.measure.statistics import Summary, quantile, summarize
from lutbench.measure.visits import FEWEST_READINGS, Visits

CANARIES = (Canary("small", "op", 4, 0.04), Canary("large", "fc", 1, 0.15))
# times close to each other, so that a reference's every move changes which of them count
READING = st.integers(900, 1300)
CYCLE = st.tuples(
    st.sampled_from(["small", "large"]), st.lists(st.tuples(st.integers(1, 9999), READING), min_size=1, max_size=5)
)


def samples_of(artifact: str, cycle: tuple[str, list[tuple[int, int]]]) -> Samples:
    canary, pairs = cycle
    return Samples(artifact, 0, canary, tuple(ns for ns, _ in pairs), tuple(reading for _, reading in pairs))


def anew(rounds: dict[int, list[Samples]], highest: dict[str, float]) -> dict[int, list[int]]:
    """The samples that count, by round, from all of them."""
    found = {}
    for number, cycles in sorted(rounds.items()):
        all_of = [(ns, reading, cycle.canary) for cycle in cycles
                  for ns, reading in zip(cycle.durations_ns, cycle.canary_ns, strict=True)]  # fmt: skip
        quiet = [ns for ns, reading, canary in all_of if reading <= highest[canary]]
        if 3 * len(quiet) >= len(all_of):
            found[number] = quiet
    return found


LIMITS = {canary.name: canary.limit for canary in CANARIES}


def highest_beside(rounds: dict[int, list[Samples]], highest: dict[str, float]) -> dict[str, float]:
    """Canary -> the highest reading that counts beside these samples, from all of them."""
    found = dict(highest)
    for canary in highest:
        cycles = [cycle for own in rounds.values() for cycle in own if cycle.canary == canary]
        readings = sorted(reading for cycle in cycles for reading in cycle.canary_ns)
        if len(readings) >= FEWEST_READINGS:
            own = quantile(readings, 0.2) * (1 + LIMITS[canary])
            found[canary] = min(max(highest[canary], own), 2 * highest[canary])
    return found


def summary_of(rounds: dict[int, list[int]]) -> Summary | None:
    return summarize(list(rounds.values())) if rounds else None


STEP = st.one_of(
    st.tuples(st.just("add"), st.integers(0, 6), CYCLE),
    st.tuples(st.just("move"), st.sampled_from(["small", "large"]), st.one_of(READING, st.just(math.inf))),
    st.tuples(st.just("ask"), st.none(), st.none()),
)


@settings(max_examples=300, deadline=None)
@given(st.lists(STEP, max_size=60))
def test_whatever_comes_and_however_references_move(steps: list[tuple[str, object, object]]) -> None:
    highest: dict[str, float] = {"small": math.inf, "large": math.inf}
    visits, rounds = Visits(highest, LIMITS), dict[int, list[Samples]]()
    for what, first, second in [*steps, ("ask", None, None)]:
        if what == "add":
            assert isinstance(first, int)
            found = samples_of("op", second)  # type: ignore[arg-type]
            visits.add(first, found)
            rounds.setdefault(first, []).append(found)
        elif what == "move":
            highest[first] = second  # type: ignore[index,assignment]
        else:
            beside = highest_beside(rounds, highest)
            quiet = anew(rounds, beside)
            assert visits.summary() == summary_of(quiet)
            assert visits.quiet_rounds_ns() == quiet
            assert len(visits) == len(rounds)
            readings = [(reading, cycle.canary) for cycles in rounds.values() for cycle in cycles
                        for reading in cycle.canary_ns]  # fmt: skip
            high = sum(reading > beside[canary] for reading, canary in readings)
            assert visits.disturbed() == (high, len(readings))
            if rounds:
                durations = [[ns for cycle in cycles for ns in cycle.durations_ns] for cycles in rounds.values()]
                assert visits.summary_of_all() == summarize(durations)


ROUND = st.lists(st.tuples(st.sampled_from(["op", "fc", "net"]), CYCLE), max_size=4)


@settings(max_examples=200, deadline=None)
@given(st.lists(ROUND, min_size=1, max_size=12), st.data())
def test_a_run_that_was_asked_after_each_round_and_one_that_is_read_at_its_end(
    rounds: list[list[tuple[str, tuple[str, list[tuple[int, int]]]]]], data: st.DataObject
) -> None:
    asked, whole = Measurements(CANARIES), Measurements(CANARIES)
    for number, found in enumerate(rounds):
        for artifact, cycle in found:
            for one in (asked, whole):
                one.add(number, samples_of(artifact, cycle))
        for one in (asked, whole):
            one.end(number)
        for artifact in data.draw(st.sets(st.sampled_from(["op", "fc", "net"]))):
            asked.summary(artifact, 0)
            asked.best_summary(artifact, 0)
    for artifact in ("op", "fc", "net"):
        assert asked.summary(artifact, 0) == whole.summary(artifact, 0)
        assert asked.best_summary(artifact, 0) == whole.best_summary(artifact, 0)
        assert asked.round_medians_us(artifact, 0) == whole.round_medians_us(artifact, 0)
    assert asked.disturbed_share == whole.disturbed_share
