"""All nets of a space so small that they can be looked at, and whether each is drawn as often as any other."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product

import numpy as np

from lutbench.search.chance import random_within
from lutbench.search.grid_costs import CostModel
from lutbench.space.decisions import choice_positions, decisions
from lutbench.space.macro import Space

_DRAWS = 3000


def every_choice(space: Space) -> list[tuple[int, ...]]:
    """The positions of every net of the space."""
    return list(product(*(range(decision.count) for decision in decisions(space))))


def chi_squared_of_draws(model: CostModel, target_us: float, nets: Sequence[tuple[int, ...]]) -> float:
    """How unevenly these nets, which are all within the target, are drawn; KeyError where another one is."""
    counts = dict.fromkeys(nets, 0)
    for seed in range(_DRAWS):
        (one,) = random_within([model], 1, np.random.default_rng(seed), [target_us])
        counts[choice_positions(one)] += 1
    expected = _DRAWS / len(nets)
    return sum((count - expected) ** 2 / expected for count in counts.values())
