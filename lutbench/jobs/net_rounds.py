"""Whole nets in rounds, each a cycle of its own between readings of a canary: what `verify` and `bench` share."""

from __future__ import annotations

import random
from collections.abc import Callable

from lutbench.measure.journal import Journal
from lutbench.measure.protocol import Protocol
from lutbench.measure.rounds import MeasureBatch, RoundReport, measure_round
from lutbench.measure.schedule import net_cycles

NETS_PER_GROUP = 50  # loaded at once: about 10 MB each


def measure_nets(
    measure: MeasureBatch,
    journal: Journal,
    unfinished: Callable[[], list[str]],
    canary: str,
    protocol: Protocol,
    after_round: Callable[[RoundReport], None],
    visit: Callable[[str], tuple[int, int]] | None = None,
) -> None:
    """Visits every unfinished net once a round, in random order, until there is none.

    unfinished: names that still need samples, asked before each round. A round that was cut off is finished first:
    what the journal holds of it is not measured again. visit: a net's warm-up and timed invocations in a round;
    none: the protocol's for nets.
    """
    data = journal.measurements
    while names := unfinished():
        number = data.current_round
        left = [name for name in names if not data.has(number, name, 0)]
        cycles = net_cycles(random.Random(number).sample(left, len(left)), protocol, canary, visit)
        after_round(measure_round(measure, journal, cycles, {(name, 0) for name in left}, protocol))
