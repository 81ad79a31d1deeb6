"""The best-scored net whose latency lands in a window, on one device or several.

A net's score is the sum of one score per layer, as its latency is a sum of costs, so this is a knapsack with one choice
per layer. Partial nets are built layer by layer; of those that fall into the same cell of a grid over the devices'
latencies only the best-scored is kept, with its exact latencies. What is found is inside the window, exactly; that
nothing better-scored is holds to the grid's resolution.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from lutbench.errors import UsageError
from lutbench.search.latency import LatencyModel
from lutbench.units import format_latency

WINDOW = 0.97  # a net that uses less of its budget than this share is not what was asked for
_CELLS = 20_000  # of the whole grid
_ROUNDING = 1e-9  # sums of one net's costs in another order

_Floats = NDArray[np.float64]
_Ints = NDArray[np.int64]


def best_within(
    scores: Sequence[Sequence[float] | _Floats], models: Sequence[LatencyModel], targets_us: Sequence[float]
) -> tuple[int, ...]:
    """The candidate of each layer: within every target, and above WINDOW of it on at least one device.

    scores[layer][candidate]: larger is better. UsageError where no net is in the window.
    """
    targets = np.array(targets_us) * (1 + _ROUNDING)
    fixed = np.array([model.fixed_us for model in models])
    costs = [np.array([model.cost_us[layer] for model in models]).T for layer in range(len(scores))]  # (candidates, D)
    least = _left([cost.min(0) for cost in costs])
    most = _left([cost.max(0) for cost in costs])
    latency, score = fixed[None], np.zeros(1)
    back: list[tuple[_Ints, _Ints]] = []
    for layer, cost in enumerate(costs):
        latency = (latency[:, None] + cost[None]).reshape(-1, len(models))
        score = (score[:, None] + np.asarray(scores[layer])[None]).reshape(-1)
        fits = (latency + least[layer + 1] <= targets).all(1)
        fits &= (latency + most[layer + 1] > WINDOW * targets).any(1)
        kept = np.flatnonzero(fits)
        if not len(kept):
            raise _nothing(models, targets_us)
        kept = kept[_best_of_cells(latency[kept], score[kept])]
        latency, score = latency[kept], score[kept]
        back.append((kept // len(cost), kept % len(cost)))
    return _walk_back(back, int(score.argmax()))


def _left(parts: Sequence[_Floats]) -> list[_Floats]:
    """The sums of what follows each layer; the first is of all layers, the last is 0."""
    sums = [np.zeros_like(parts[0])]
    for part in reversed(parts):
        sums.append(sums[-1] + part)
    return sums[::-1]


def _best_of_cells(latency: _Floats, score: _Floats) -> _Ints:
    """Positions of the best-scored of each cell, in a fixed order."""
    side = int(_CELLS ** (1 / latency.shape[1]))
    low, high = latency.min(0), latency.max(0)
    cells = np.floor((latency - low) / np.maximum(high - low, 1e-9) * (side - 1)).astype(np.int64)
    cell = cells @ side ** np.arange(latency.shape[1])
    order = np.lexsort((-score, cell))
    first = np.flatnonzero(np.diff(cell[order], prepend=-1))
    found: _Ints = order[first]
    return found


def _walk_back(back: Sequence[tuple[_Ints, _Ints]], last: int) -> tuple[int, ...]:
    choice = []
    for parents, positions in reversed(back):
        choice.append(int(positions[last]))
        last = int(parents[last])
    return tuple(reversed(choice))


def _nothing(models: Sequence[LatencyModel], targets_us: Sequence[float]) -> UsageError:
    windows = ", ".join(
        f"{format_latency(WINDOW * target)} to {format_latency(target)} on {model.device}"
        for model, target in zip(models, targets_us, strict=True)
    )
    return UsageError(f"no net of space {models[0].space.name} takes {windows}", remedy="change the target a little")
