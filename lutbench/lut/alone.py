"""What an operator that is timed alone lacks of what it costs inside a net, and how far that is known.

Alone its weights and its inputs stay in the caches, and between two operators of a net there is more than between two
runs of one. On thirteen LUTs of five spaces (ONNX Runtime and ExecuTorch, int8 and fp32) it lacked a few per cent of
itself, a part of the cost of its layers, and about half of the cost of its weights: a classifier of 1504 channels took
12 us alone and 105 us in a net. How much differs from device to device, so these are a middle and standard deviations.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from lutbench.lut.costs import LAYER, WEIGHTS
from lutbench.lut.deviations import Array
from lutbench.measure.statistics import Z_95

# of itself, of the cost of its layers and of the cost of its weights: lacking alone, and the standard deviation
_ITSELF, _ITSELF_SPREAD = 0.08, 0.08
_LAYERS, _LAYERS_SPREAD = 0.2, 0.25
_WEIGHTS, _WEIGHTS_SPREAD = 0.5, 0.3
_MOST = 0.9  # of an operator: no more than this is taken to be lacking


def alone_intervals(work: Array, costs: Mapping[str, float], share_us: Array, spreads: Array) -> tuple[Array, Array]:
    """Ends of 95 % intervals that hold a piece's share of a net and what it takes alone, microseconds.

    work: amounts of each kind that costs has.
    spreads: of the logarithms of share_us.
    """
    layers, weights = _parts(work, costs, share_us)
    lacking = np.minimum(_ITSELF + _LAYERS * layers + _WEIGHTS * weights, _MOST)
    alone_us = share_us * (1 - lacking)
    alone = np.hypot(spreads, alone_spreads(work, costs, share_us) / (1 - lacking))
    low_us = np.minimum(share_us * np.exp(-Z_95 * spreads), alone_us * np.exp(-Z_95 * alone))
    high_us = np.maximum(share_us * np.exp(Z_95 * spreads), alone_us * np.exp(Z_95 * alone))
    return low_us, high_us


def alone_spreads(work: Array, costs: Mapping[str, float], share_us: Array) -> Array:
    """Standard deviations of what a piece lacks alone, over its share of a net."""
    layers, weights = _parts(work, costs, share_us)
    squares = _ITSELF_SPREAD**2 + (_LAYERS_SPREAD * layers) ** 2 + (_WEIGHTS_SPREAD * weights) ** 2
    return np.asarray(np.sqrt(squares), dtype=np.float64)


def _parts(work: Array, costs: Mapping[str, float], share_us: Array) -> tuple[Array, Array]:
    """What the cost of its layers, and that of its weights, are of a piece; at most all of it."""
    kinds = list(costs)
    layers, weights = (
        np.minimum(work[:, kinds.index(kind)] * costs[kind] / share_us, 1.0) if kind in costs else 0 * share_us
        for kind in (LAYER, WEIGHTS)
    )
    return layers, weights
