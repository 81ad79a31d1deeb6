"""The order in which a process of a run loads its artifacts: another one in every process."""

from __future__ import annotations

import random
from collections.abc import Iterable


def loading_order(names: Iterable[str], process: int) -> list[str]:
    """The names as the process of this number loads them, the same whenever it is asked for.

    Where an artifact's weights and scratch memory lie follows from what was loaded before it, and an order that stays
    would give an artifact the same place in every process of a run: a bias that no interval shows.
    """
    order = sorted(set(names))
    random.Random(process).shuffle(order)
    return order
