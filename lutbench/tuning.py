"""What a profile measures beside its rows: whole nets that tune it, and the canary. Never to judge by."""

from __future__ import annotations

import math
from collections.abc import Sequence

from lutbench.measure.scale import FEWEST_NETS
from lutbench.space.macro import Space
from lutbench.space.net import Net
from lutbench.space.operator import Operator
from lutbench.space.sampling import random_nets

TUNING_NETS = 14


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


def choose_canary(spaces: Sequence[Space]) -> Operator:
    """The operator that is invoked beside every sample: a short one that computes, at the lower quartile of MACs."""
    blocks = sorted(
        (op for op in spaces[0].searchable_operators if op.macs > 0),
        key=lambda operator: (operator.macs, operator.name),
    )
    return blocks[len(blocks) // 4] if blocks else spaces[0].stem
