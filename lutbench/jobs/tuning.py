"""What a profile measures beside its rows: whole nets that tune it, and the canaries. Never to judge by."""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from lutbench.errors import SpaceError
from lutbench.measure.design import lines, most_telling
from lutbench.measure.protocol import Canary, Protocol
from lutbench.measure.scale import FEWEST_NETS
from lutbench.space.macro import Space
from lutbench.space.net import Net
from lutbench.space.operator import Operator
from lutbench.space.sampling import (
    STRONG_TASTES,
    USUAL_TASTES,
    candidates_left,
    largest_net,
    random_nets,
    smallest_net,
)

# As many as it takes to tell how far nets are from the fit, and which terms they ask for (figures are in
# docs/notes/protocol.md). Each costs an export of a whole net, which takes longest in int8.
TUNING_NETS = 32
TUNING_NETS_OF_FLOATS = 96  # in few rounds each: nets differ by more terms, and by single operators of large tensors
_AT_RANDOM = 5 / 8  # of them; the others are those that tell most
_CHOSEN_FROM = 200  # random nets
_FEWEST_TO_CHOOSE_FROM = 10_000  # nets of a space, so that hundreds of random ones are others each time
_SMALL_INVOCATIONS = 4  # the first ones find the caches as the sample left them


def tuning_nets_wanted(dtype: str) -> int:
    """Says how many nets tune a LUT of this type."""
    return TUNING_NETS if dtype == "int8" else TUNING_NETS_OF_FLOATS


def draw_tuning_nets(
    spaces: Sequence[Space], seed: int, failed: Collection[str] = (), dtype: str = "int8"
) -> tuple[Net, ...]:
    """Nets of the spaces, most drawn at random, the others those that tell most beside them; none for tiny spaces.

    The context depth and the scale are found with them, and `verify` times them again to see how far the device has
    drifted since. They come from streams that `verify` does not draw from.

    failed: operators that none of them has, for they do not run; where a layer has no others, there are no nets.
    dtype: of the LUT. Where there are more nets, some of them are of little else than one kind of block, or of skips,
        and the largest is among them: what nets of all kinds say of those is an extrapolation.
    """
    per_space = math.ceil(tuning_nets_wanted(dtype) / len(spaces))
    nets: list[Net] = []
    for space in spaces:
        draw = _Draw(space, seed, failed, has_extremes=dtype != "int8")
        size = math.prod(len(candidates_left(layer, failed)) for layer in space.layers)
        count = min(per_space, size // 4)
        drawn = draw.at_random(count, "tune")
        if size >= _FEWEST_TO_CHOOSE_FROM:
            drawn = drawn[: math.ceil(count * _AT_RANDOM)]
            drawn = (*drawn, *draw.most_telling([*nets, *drawn], count - len(drawn)))
        nets.extend(drawn)
    return tuple(nets) if len(nets) >= FEWEST_NETS else ()


@dataclass(frozen=True)
class _Draw:
    """Draws tuning nets of a space, without what failed; with extremes also those that random nets hardly tell of."""

    space: Space
    seed: int
    failed: Collection[str]
    has_extremes: bool

    def at_random(self, count: int, purpose: str, others: Collection[str] = ()) -> tuple[Net, ...]:
        tastes = STRONG_TASTES if self.has_extremes else USUAL_TASTES
        return random_nets(
            self.space, count, self.seed, purpose, others, varied=True, failed=self.failed, tastes=tastes
        )

    def most_telling(self, taken: Sequence[Net], count: int) -> tuple[Net, ...]:
        """Chooses of many random nets, and the smallest, those that tell most beside the ones that are taken.

        With extremes the largest is the first of them: a term that begins at some size is an extrapolation beyond it.
        Where it is not known how large they are, the first.
        """
        wants_largest = self.has_extremes and count > 0
        largest = largest_net(self.space, f"tell_{self.seed}_largest", self.failed) if wants_largest else None
        first = (largest,) if largest and largest.key not in {net.key for net in taken} else ()
        taken = [*taken, *first]
        others = {net.key for net in taken}
        pool = self.at_random(_CHOSEN_FROM, "tell", others)
        smallest = smallest_net(self.space, f"tell_{self.seed}_smallest", self.failed)
        if smallest and smallest.key not in others | {net.key for net in pool}:
            pool = (*pool, smallest)
        try:
            found = lines([*taken, *pool])
        except SpaceError:  # a block of a user's own that was never counted
            return pool[:count]
        own = len(taken)
        chosen = most_telling(found, range(own), count - len(first))
        return (*first, *(pool[number - own] for number in chosen))


@dataclass(frozen=True)
class Canaries:
    """The small nets that show whether the machine is disturbed.

    small: beside operators that stay in the core's own caches, shows whether the core is shared.

    large, nets: beside operators that do not, and beside nets, show the shared caches as well: the classifier, whose
        weights are fetched through them each time. It would turn a small operator cold, and it is slower after a net
        than after an operator, so each has a reference of its own.
    large_operators: names of those that large stands beside.
    """

    small: Canary
    large: Canary
    nets: Canary
    operators: tuple[Operator, Operator]
    large_operators: frozenset[str]

    @property
    def all(self) -> tuple[Canary, Canary, Canary]:
        return self.small, self.large, self.nets

    def beside(self, window: Sequence[str]) -> str:
        """Name of the canary for operators that are timed together."""
        return (self.small if self.large_operators.isdisjoint(window) else self.large).name


def choose_canaries(
    spaces: Sequence[Space], protocol: Protocol, batch: int = 1, failed: Collection[str] = ()
) -> Canaries:
    """small: at the lower quartile of the searchable operators by MACs. large, nets: the default classifier.

    failed: operators that do not run, and are none.

    An operator is large when what it touches, on a batch of images, is at least half of the classifier's weights.
    """
    space = spaces[0]
    blocks = sorted(
        (op for op in space.searchable_operators if op.macs > 0 and op.name not in failed),
        key=lambda operator: (operator.macs, operator.name),
    )
    small = blocks[len(blocks) // 4] if blocks else space.stem
    tail = space.tail(space.head_channels)
    alive = [op for op in space.searchable_operators if op.name not in failed]
    largest = max(alive, key=lambda operator: operator.params, default=space.stem)
    classifier = tail[-1] if tail and tail[-1].params else largest
    limit = protocol.memory_limit
    return Canaries(
        Canary("small", small.name, _SMALL_INVOCATIONS, protocol.compute_limit),
        Canary("large", classifier.name, 1, limit),
        Canary("nets", classifier.name, 1, limit),
        (small, classifier),
        frozenset(op.name for s in spaces for op in s.operators if 2 * op.touched_by(batch) >= classifier.params),
    )
