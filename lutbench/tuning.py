"""What a profile measures beside its rows: whole nets that tune it, and the canaries. Never to judge by."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from lutbench.measure.protocol import Canary, Protocol
from lutbench.measure.scale import FEWEST_NETS
from lutbench.space.macro import Space
from lutbench.space.net import Net
from lutbench.space.operator import Operator
from lutbench.space.sampling import random_nets

TUNING_NETS = 14
_COMPUTE_INVOCATIONS = 4  # the first ones find the caches as the sample left them


def draw_tuning_nets(spaces: Sequence[Space], seed: int) -> tuple[Net, ...]:
    """Random nets spread over the spaces, from a stream that `verify` does not draw from; none for tiny spaces.

    The context depth and the scale are found with them, and `verify` times them again to see how far the device has
    drifted since.
    """
    per_space = math.ceil(TUNING_NETS / len(spaces))
    nets: list[Net] = []
    for space in spaces:
        size = math.prod(len(layer.candidates) for layer in space.layers)
        nets.extend(random_nets(space, min(per_space, size // 4), seed, "tune"))
    return tuple(nets) if len(nets) >= FEWEST_NETS else ()


@dataclass(frozen=True)
class Canaries:
    """compute: beside operators, shows whether the core is shared. memory: beside nets, the shared caches as well.

    The weights of compute stay in the core's own caches. Those of memory, the classifier, do not, as a net's do not;
    beside operators it would turn them cold. Its one invocation after a net meets the caches that the net met.
    """

    compute: Canary
    memory: Canary
    operators: tuple[Operator, Operator]

    @property
    def both(self) -> tuple[Canary, Canary]:
        return self.compute, self.memory


def choose_canaries(spaces: Sequence[Space], protocol: Protocol) -> Canaries:
    """compute: at the lower quartile of the searchable operators by MACs. memory: the default classifier."""
    space = spaces[0]
    blocks = sorted(
        (op for op in space.searchable_operators if op.macs > 0),
        key=lambda operator: (operator.macs, operator.name),
    )
    compute = blocks[len(blocks) // 4] if blocks else space.stem
    memory = space.tail(space.head_channels)[-1]
    return Canaries(
        Canary(compute.name, _COMPUTE_INVOCATIONS, protocol.compute_limit),
        Canary(memory.name, 1, protocol.memory_limit),
        (compute, memory),
    )
