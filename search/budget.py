"""The best-scored net whose latency lands in a window, on one device or several.

A net's score is the sum of one score per decision, as its latency is a sum of costs (`chain`), so this is a knapsack
with one choice per decision. Partial nets are built decision by decision; of those of one state that fall into the same
cell of a grid over the devices' latencies only the best-scored is kept, with its exact latencies. What is found is
inside the window, exactly; that nothing better-scored is holds to the grid's resolution. Where a device's cost is the
larger of two sums, both count as a device's: the larger is in a window where none is above it and one is not below.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from lutbench.errors import UsageError
from lutbench.search.chain import Floats, Ints, bounds, on_common_states, side_by_side
from lutbench.search.grid_costs import CostModel, parts_with_targets

WINDOW = 0.97  # a net that uses less of its budget than this share is not what was asked for
_TRIED = 180_000  # partial nets that a decision makes of those kept: so many cells times its options
_ROUNDING = 1e-9  # sums of one net's costs in another order


def best_within(
    scores: Sequence[Sequence[float] | Floats], models: Sequence[CostModel], targets_us: Sequence[float]
) -> tuple[int, ...]:
    """The position in each decision: within every target, and above WINDOW of it on at least one device.

    scores[decision][option]: larger is better. UsageError where no net is in the window.
    """
    parts = parts_with_targets(models, targets_us)
    chains = on_common_states([part.chain for part, _ in parts])
    states, costs = chains[0].states, side_by_side(chains)
    targets, windows = (
        np.array([part.warm.total(share * target) for part, target in parts]) * (1 + _ROUNDING)
        for share in (1.0, WINDOW)
    )
    least, most = (bounds(costs, states, largest) for largest in (False, True))
    cells = _TRIED // max(chains[0].counts)
    spent, score, state = np.array([[chain.fixed for chain in chains]]), np.zeros(1), np.zeros(1, np.int64)
    back: list[tuple[Ints, Ints]] = []
    for number, (cost, to) in enumerate(zip(costs, states, strict=True)):
        spent = (spent[:, None] + cost[state]).reshape(-1, len(parts))
        score = (score[:, None] + np.asarray(scores[number])[None]).reshape(-1)
        state = to[state].reshape(-1)
        fits = (spent + least[number + 1][state] <= targets).all(1)
        fits &= (spent + most[number + 1][state] > windows).any(1)
        kept = np.flatnonzero(fits)
        if not len(kept):
            raise _nothing(models, targets_us)
        kept = kept[_best_of_cells(spent[kept], score[kept], state[kept], cells)]
        spent, score, state = spent[kept], score[kept], state[kept]
        back.append((kept // cost.shape[1], kept % cost.shape[1]))
    return _walk_back(back, int(score.argmax()))


def _best_of_cells(spent: Floats, score: Floats, state: Ints, cells: int) -> Ints:
    """Positions of the best-scored of each cell and state, in a fixed order."""
    every, state = np.unique(state, return_inverse=True)
    side = max(2, int((cells / len(every)) ** (1 / spent.shape[1])))
    low, high = spent.min(0), spent.max(0)
    places = np.floor((spent - low) / np.maximum(high - low, 1e-9) * (side - 1)).astype(np.int64)
    cell = places @ side ** np.arange(spent.shape[1]) + state * side ** spent.shape[1]
    order = np.lexsort((-score, cell))
    first = np.flatnonzero(np.diff(cell[order], prepend=-1))
    found: Ints = order[first]
    return found


def _walk_back(back: Sequence[tuple[Ints, Ints]], last: int) -> tuple[int, ...]:
    choice = []
    for parents, positions in reversed(back):
        choice.append(int(positions[last]))
        last = int(parents[last])
    return tuple(reversed(choice))


def _nothing(models: Sequence[CostModel], targets_us: Sequence[float]) -> UsageError:
    windows = ", ".join(
        f"{model.text(WINDOW * target)} to {model.text(target)} on {model.device}"
        for model, target in zip(models, targets_us, strict=True)
    )
    return UsageError(f"no net of space {models[0].space.name} takes {windows}", remedy="change the target a little")
