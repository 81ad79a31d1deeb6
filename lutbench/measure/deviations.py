"""What single operators take inside nets beside what terms say of all: those that work on large tensors.

An operator that is timed alone finds its tensors where its last repetition left them. Small ones are in a cache in a
net as well, for one layer has just written what the next one reads. Those that only a last-level cache holds are gone
in a net, by all that was computed since, and whether that costs time is a matter of the kernel: where a layer mostly
moves, it waits, and where it mostly computes, the memory is ahead of it. So no term says it for all such operators,
and each may deviate by a fraction of its own, as far as nets ask for it (docs/notes/protocol.md: how cold operators
get).
"""

from __future__ import annotations

import math
from functools import lru_cache

from lutbench.errors import SpaceError
from lutbench.measure.tensors import widest_layer
from lutbench.space.operator import parse_operator
from lutbench.units import BYTES_PER_ELEMENT

_LARGE_BYTES = 1e7  # what one layer reads and writes from which on an operator may deviate in full


@lru_cache(maxsize=1 << 16)
def freedom(operator: str, dtype: str, batch: int) -> float:
    """Says how far an operator may deviate, from 0 to 1, which is for the largest tensors.

    It goes with the root of the bytes, so that there is no size from which on all is different.
    """
    try:
        elements = widest_layer(parse_operator(operator)) * batch
    except SpaceError:  # its shape is not known
        return 0.0
    return min(1.0, math.sqrt(elements * BYTES_PER_ELEMENT.get(dtype, 1) / _LARGE_BYTES))
