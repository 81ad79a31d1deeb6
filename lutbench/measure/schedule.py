"""What a round visits: every operator that still needs samples, once, in a new random order, in its context.

Of whole nets, where they are many, those whose turn it is.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Collection, Iterable, Sequence

from lutbench.measure.protocol import Cycle, Protocol


def windows(chain: Sequence[str], depth: int, offset: int) -> list[tuple[str, ...]]:
    """The chain cut into runs of depth + 1 neighbours, from offset on; the two ends are filled up by overlapping.

    A chain shorter than that is one window.
    """
    size = depth + 1
    if len(chain) <= size:
        return [tuple(chain)]
    last = len(chain) - size
    starts = {min(start, last) for start in range(offset % size, len(chain), size)} | {0}
    return [tuple(chain[start : start + size]) for start in sorted(starts)]


def operator_cycles(
    chains: Iterable[Sequence[str]],
    wanted: Collection[str],
    depth: int,
    rng: random.Random,
    protocol: Protocol,
    latency_us: Callable[[str], float | None],
    canary_of: Callable[[Sequence[str]], str],
) -> list[Cycle]:
    """Cycles that hold every wanted operator, cut from chains; a window with nothing new to time is left out."""
    missing = set(wanted)
    cycles = []
    for chain in chains:
        for window in windows(chain, depth, rng.randrange(depth + 1)):
            if missing.isdisjoint(window):
                continue
            missing.difference_update(window)
            latencies = [latency_us(name) for name in window]
            known = [latency for latency in latencies if latency is not None]
            mean_us = sum(known) / len(known) if known else None
            cycles.append(Cycle(window, depth, protocol.warmup, protocol.repeats(mean_us), canary_of(window)))
    rng.shuffle(cycles)
    return cycles


def net_cycles(nets: Iterable[str], canary: str, visit: Callable[[str], tuple[int, int]]) -> list[Cycle]:
    """Whole nets: each a cycle of its own, after warm-ups that bring its weights back into the caches.

    visit: a net's warm-up and timed invocations.
    """
    return [Cycle((net,), 0, *visit(net), canary) for net in nets]


def turns_of(nets: Sequence[str], most: int) -> int:
    """The rounds in which each of the nets is visited once, where a round has so many of them at most."""
    return max(1, math.ceil(len(nets) / most))


def in_turn(nets: Sequence[str], round_number: int, most: int) -> frozenset[str]:
    """The nets whose turn it is in a round; all of them where they are no more than a round has at most.

    They are divided anew whenever all have had their turn. So each net shares rounds with others time after time, and
    what the machine was like in a round can be told from what its nets are like.
    """
    turns = turns_of(nets, most)
    cycle, turn = divmod(round_number, turns)
    shuffled = random.Random(f"turns/{cycle}").sample(nets, len(nets))
    return frozenset(shuffled[turn::turns])
