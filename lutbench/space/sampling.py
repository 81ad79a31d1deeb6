"""Random nets of a space, and the chains of operators that a round walks through; both seeded."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Collection
from typing import TypeVar

from lutbench.errors import SpaceError
from lutbench.space.candidate import Candidate
from lutbench.space.macro import Space
from lutbench.space.net import Net
from lutbench.space.operator import OVERHEAD, Operator

_TRIES_PER_NET = 1000
_TASTE = 1.0  # standard deviation of the logarithm of how much likelier a trait makes a candidate: e times, or 1 / e
_T = TypeVar("_T")


def random_nets(
    space: Space, count: int, seed: int, purpose: str, exclude: Collection[str] = (), varied: bool = False
) -> tuple[Net, ...]:
    """count different nets, each candidate equally likely in each layer.

    purpose names the stream, so nets drawn to tune and nets drawn to judge come from different ones.

    exclude: keys of nets never to be drawn. SpaceError when the space has too few nets.
    varied: every other net has a taste of its own for skips, expansions, kernels and groups, and one of the space's
        heads: what a search finds is not made of equal shares of everything, as nets drawn evenly are.
    """
    rng = random.Random(f"{space.name}@{space.label}/{purpose}/{seed}")
    seen = set(exclude)
    nets: list[Net] = []
    for number in range(count):
        has_taste = varied and number % 2 == 1
        for _ in range(_TRIES_PER_NET):
            weight = _taste(rng) if has_taste else None
            choice = tuple(
                rng.choices(layer.candidates, [weight(candidate) for candidate in layer.candidates])[0]
                if weight
                else rng.choice(layer.candidates)
                for layer in space.layers
            )
            head = rng.choice((space.head_channels, *space.other_heads)) if has_taste else space.head_channels
            net = Net(f"{purpose}_{seed}_{number}@{space.label}", space, choice, head)
            if net.key not in seen:
                break
        else:
            raise SpaceError(f"space {space.name} has fewer than {count} nets besides those already used")
        seen.add(net.key)
        nets.append(net)
    return tuple(nets)


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
    neighbours as a net would have them. A chain starts with the empty graph, as a net's call does.
    """
    heads = (space.head_channels, *space.other_heads)
    count = max(len(heads), *(len(layer.candidates) for layer in space.layers))
    columns = [_dealt([layer.operator(c) for c in layer.candidates], count, rng) for layer in space.layers]
    tails = _dealt([space.tail(head) for head in heads], count, rng)
    found = []
    for number in range(count):
        body = [column[number] for column in columns]
        chain = [OVERHEAD, space.stem, *body, *tails[number]]
        found.append([operator for operator in chain if operator.is_measured])
    rng.shuffle(found)
    return found


def _dealt(options: list[_T], count: int, rng: random.Random) -> list[_T]:
    """count picks that hold every option at least once, shuffled."""
    filled = options + [rng.choice(options) for _ in range(count - len(options))]
    rng.shuffle(filled)
    return filled
