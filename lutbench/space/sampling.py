"""Random nets of a space, and the chains of operators that a round walks through; both seeded."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Collection
from typing import TypeVar

from lutbench.errors import SpaceError
from lutbench.space.candidate import Candidate
from lutbench.space.macro import Layer, Space
from lutbench.space.net import Net
from lutbench.space.operator import OVERHEAD, Operator

_TRIES_PER_NET = 1000
_TASTE = 1.0  # standard deviation of the logarithm of how much likelier a trait makes a candidate: e times, or 1 / e
_T = TypeVar("_T")


def random_nets(
    space: Space,
    count: int,
    seed: int,
    purpose: str,
    exclude: Collection[str] = (),
    varied: bool = False,
    failed: Collection[str] = (),
) -> tuple[Net, ...]:
    """count different nets, each candidate equally likely in each layer, and each channel count and resolution.

    purpose names the stream, so nets drawn to tune and nets drawn to judge come from different ones.

    exclude: keys of nets never to be drawn. SpaceError when the space has too few nets.
    varied: every other net has a taste of its own for skips, expansions, kernels and groups, and one of the space's
        heads: what a search finds is not made of equal shares of everything, as nets drawn evenly are.
    failed: operators that no net may have.
    """
    rng = random.Random(f"{space.name}@{space.label}/{purpose}/{seed}")
    seen = set(exclude)
    nets: list[Net] = []
    for number in range(count):
        has_taste = varied and number % 2 == 1
        for _ in range(_TRIES_PER_NET):
            weight = _taste(rng) if has_taste else None
            own = _at_random(space, rng) if space.has_choices else space
            options = [candidates_left(layer, failed) for layer in own.layers]
            if not all(options):
                continue
            choice = tuple(
                rng.choices(candidates, [weight(candidate) for candidate in candidates])[0]
                if weight
                else rng.choice(candidates)
                for candidates in options
            )
            head = rng.choice((space.head_channels, *space.other_heads)) if has_taste else space.head_channels
            net = Net(f"{purpose}_{seed}_{number}@{own.label}", own, choice, head)
            if net.key not in seen:
                break
        else:
            what = "nets that can run" if failed else "nets"
            raise SpaceError(f"space {space.name} has fewer than {count} {what} besides those already used")
        seen.add(net.key)
        nets.append(net)
    return tuple(nets)


def _at_random(space: Space, rng: random.Random) -> Space:
    resolution = rng.choice(space.resolutions or (space.resolution,))
    return space.at(resolution, [rng.choice(stage.widths) for stage in space.stages])


def candidates_left(layer: Layer, failed: Collection[str]) -> tuple[Candidate, ...]:
    """The layer's candidates whose operators did not fail."""
    if not failed:
        return layer.candidates
    return tuple(candidate for candidate in layer.candidates if layer.operator(candidate).name not in failed)


def _taste(rng: random.Random) -> Callable[[Candidate], float]:
    """How much likelier a net takes a candidate than another: by whether it skips, kind, expansion, kernel, groups."""
    found: dict[tuple[str, float], float] = {}

    def weight(candidate: Candidate) -> float:
        traits = [("skip", float(candidate.is_skip)), (candidate.kind, 0.0)]
        if not candidate.is_skip:
            traits += [
                ("expansion", candidate.expansion),
                ("kernel", float(candidate.kernel)),
                ("groups", float(candidate.groups)),
            ]
        return math.exp(sum(found.setdefault(trait, rng.gauss(0, _TASTE)) for trait in traits))

    return weight


def chains(space: Space, rng: random.Random) -> list[list[Operator]]:
    """Nets as sequences of operators that together hold every operator of the space, in a new random order each time.

    Each layer's candidates are shuffled and dealt to the chains, so every candidate of every layer stands once between
    neighbours as a net would have them. A chain starts with the empty graph, as a net's call does. Where channels are
    chosen a chain has one resolution, and neighbours' channels may differ.
    """
    found = [chain for size in space.resolutions or (space.resolution,) for chain in _chains_at(space, size, rng)]
    rng.shuffle(found)
    return found


def _chains_at(space: Space, resolution: int, rng: random.Random) -> list[list[Operator]]:
    heads = (space.head_channels, *space.other_heads)
    places = [
        [layer.operator(candidate) for row in rows for layer in row for candidate in layer.candidates]
        for rows in space.grid(resolution)
    ]
    tails = [tail for head in heads for tail in space.tails(resolution, head)]
    count = max(len(tails), *(len(place) for place in places))
    columns = [_dealt(place, count, rng) for place in places]
    ends = _dealt(tails, count, rng)
    found = []
    for number in range(count):
        body = [column[number] for column in columns]
        chain = [OVERHEAD, space.stem_at(resolution), *body, *ends[number]]
        found.append([operator for operator in chain if operator.is_measured])
    return found


def _dealt(options: list[_T], count: int, rng: random.Random) -> list[_T]:
    """count picks that hold every option at least once, shuffled."""
    filled = options + [rng.choice(options) for _ in range(count - len(options))]
    rng.shuffle(filled)
    return filled
