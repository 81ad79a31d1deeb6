"""Random nets of a space, and the chains of operators that a round walks through; both seeded."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Collection, Sequence
from dataclasses import replace
from typing import Any, TypeVar

from lutbench.errors import SpaceError
from lutbench.space.candidate import Candidate
from lutbench.space.macro import Layer, Space
from lutbench.space.net import Net
from lutbench.space.operator import OVERHEAD, Operator

_TRIES_PER_NET = 1000
# Standard deviations of the logarithm of how much likelier a trait makes a candidate: e times or 1 / e is what nets of
# a search have; by the square of it a net may be of little else than one kind of block, or of skips.
USUAL_TASTES: tuple[float, ...] = (1.0,)
STRONG_TASTES: tuple[float, ...] = (1.0, 1.0, 2.0)
_T = TypeVar("_T")


def random_nets(
    space: Space,
    count: int,
    seed: int,
    purpose: str,
    exclude: Collection[str] = (),
    varied: bool = False,
    failed: Collection[str] = (),
    tastes: Sequence[float] = USUAL_TASTES,
) -> tuple[Net, ...]:
    """count different nets, each candidate equally likely in each layer, and each channel count and resolution.

    purpose names the stream, so nets drawn to tune and nets drawn to judge come from different ones.

    exclude: keys of nets never to be drawn. SpaceError when the space has too few nets.
    varied: every other net has a taste of its own for skips, expansions, kernels and groups, and one of the space's
        heads: what a search finds is not made of equal shares of everything, as nets drawn evenly are.
    failed: operators that no net may have.
    tastes: how strong tastes are, one after the other.
    """
    rng = random.Random(f"{space.name}@{space.label}/{purpose}/{seed}")
    seen = set(exclude)
    nets: list[Net] = []
    for number in range(count):
        has_taste = varied and number % 2 == 1
        strength = tastes[number // 2 % len(tastes)]
        for _ in range(_TRIES_PER_NET):
            weight = _taste(rng, strength) if has_taste else None
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


def smallest_net(space: Space, name: str, failed: Collection[str] = ()) -> Net | None:
    """The net of the fewest multiply-accumulates; None where candidates' own are not known, or none of a layer run.

    name: of the net, before its space's label.

    failed: operators that it must not have.
    """
    return _extreme_net(space, name, failed, min)


def largest_net(space: Space, name: str, failed: Collection[str] = ()) -> Net | None:
    """The net of the most multiply-accumulates, with the widest head; likewise."""
    found = _extreme_net(space, name, failed, max)
    return found and replace(found, head_channels=max(space.head_channels, *space.other_heads, 0))


def _extreme_net(space: Space, name: str, failed: Collection[str], extreme: Callable[..., Any]) -> Net | None:
    own = space
    if space.has_choices:
        resolution = extreme(space.resolutions or (space.resolution,))
        own = space.at(resolution, [extreme(stage.widths) for stage in space.stages])
    options = [candidates_left(layer, failed) for layer in own.layers]
    if not all(options):
        return None
    try:
        choice = tuple(
            extreme(candidates, key=lambda candidate: layer.operator(candidate).macs)
            for layer, candidates in zip(own.layers, options, strict=True)
        )
    except SpaceError:  # a block of a user's own that was never counted
        return None
    return Net(f"{name}@{own.label}", own, choice, own.head_channels)


def _at_random(space: Space, rng: random.Random) -> Space:
    resolution = rng.choice(space.resolutions or (space.resolution,))
    return space.at(resolution, [rng.choice(stage.widths) for stage in space.stages])


def candidates_left(layer: Layer, failed: Collection[str]) -> tuple[Candidate, ...]:
    """The layer's candidates whose operators did not fail."""
    if not failed:
        return layer.candidates
    return tuple(candidate for candidate in layer.candidates if layer.operator(candidate).name not in failed)


def _taste(rng: random.Random, strength: float) -> Callable[[Candidate], float]:
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
        return math.exp(sum(found.setdefault(trait, rng.gauss(0, strength)) for trait in traits))

    return weight


class Chains:
    """Nets as sequences of operators that together hold every operator of the space, in a new random order each time.

    Each layer's candidates are shuffled and dealt to the chains, so every candidate of every layer stands once between
    neighbours as a net would have them. A chain starts with the empty graph, as a net's call does. Where channels are
    chosen a chain has one resolution, and neighbours' channels may differ.
    """

    def __init__(self, space: Space) -> None:
        self._sizes = [_Places(space, size) for size in space.resolutions or (space.resolution,)]

    def draw(self, rng: random.Random) -> list[list[Operator]]:
        """The chains in their next order."""
        found = [chain for places in self._sizes for chain in places.deal(rng)]
        rng.shuffle(found)
        return found


def chains(space: Space, rng: random.Random) -> list[list[Operator]]:
    """A space's chains, drawn once."""
    return Chains(space).draw(rng)


class _Places:
    """What may stand at each place of a chain, at one resolution."""

    def __init__(self, space: Space, resolution: int) -> None:
        heads = (space.head_channels, *space.other_heads)
        self._stem = space.stem_at(resolution)
        self._layers = [
            [layer.operator(candidate) for row in rows for layer in row for candidate in layer.candidates]
            for rows in space.grid(resolution)
        ]
        self._tails = [tail for head in heads for tail in space.tails(resolution, head)]

    def deal(self, rng: random.Random) -> list[list[Operator]]:
        count = max(len(self._tails), *(len(place) for place in self._layers))
        columns = [_dealt(place, count, rng) for place in self._layers]
        ends = _dealt(self._tails, count, rng)
        found = []
        for number in range(count):
            body = [column[number] for column in columns]
            chain = [OVERHEAD, self._stem, *body, *ends[number]]
            found.append([operator for operator in chain if operator.is_measured])
        return found


def _dealt(options: list[_T], count: int, rng: random.Random) -> list[_T]:
    """count picks that hold every option at least once, shuffled."""
    filled = options + [rng.choice(options) for _ in range(count - len(options))]
    rng.shuffle(filled)
    return filled
