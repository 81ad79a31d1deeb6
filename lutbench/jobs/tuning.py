"""What a profile measures beside its rows: whole nets that tune it, and the canaries. Never to judge by."""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from lutbench.measure.protocol import Canary, Protocol
from lutbench.measure.scale import FEWEST_NETS
from lutbench.space.macro import Space
from lutbench.space.net import Net
from lutbench.space.operator import Operator
from lutbench.space.sampling import candidates_left, random_nets, smallest_net

TUNING_NETS = 22  # as many as it takes to tell how far nets are from the fit; each costs an export of a whole net
_FEWEST_DRAWN = 4  # nets of a space of which the smallest takes one's place
_SMALL_INVOCATIONS = 4  # the first ones find the caches as the sample left them


def draw_tuning_nets(spaces: Sequence[Space], seed: int, failed: Collection[str] = ()) -> tuple[Net, ...]:
    """Random nets spread over the spaces, and of each space its smallest net; none for tiny spaces.

    They come from a stream that `verify` does not draw from.

    The context depth and the scale are found with them, and `verify` times them again to see how far the device has
    drifted since. Random nets of a large space are all about as large; without the smallest one, what nets pay beside
    their operators' rows is found from large nets alone, and small ones are predicted by several per cent wrong.

    failed: operators that none of them has, for they do not run; where a layer has no others, there are no nets.
    """
    per_space = math.ceil(TUNING_NETS / len(spaces))
    nets: list[Net] = []
    for space in spaces:
        size = math.prod(len(candidates_left(layer, failed)) for layer in space.layers)
        drawn = random_nets(space, min(per_space, size // 4), seed, "tune", varied=True, failed=failed)
        smallest = smallest_net(space, f"tune_{seed}_smallest", failed)
        if smallest and len(drawn) >= _FEWEST_DRAWN and smallest.key not in {net.key for net in drawn}:
            drawn = (*drawn[:-1], smallest)
        nets.extend(drawn)
    return tuple(nets) if len(nets) >= FEWEST_NETS else ()


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
