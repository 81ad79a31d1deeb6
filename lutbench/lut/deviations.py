"""How pieces deviate from the cost model, as a Gaussian prior: pieces that are alike deviate alike.

The logarithm of a piece's latency is that of the cost model's plus a deviation. Beforehand a deviation is 0 with a
standard deviation that is fitted to the data, in two parts (a Gaussian process over the pieces):

    covariance(i, j) = alike^2 * sum over layers a of i, b of j of share_a share_b k(a, b)  +  own^2 where i = j
    k(a, b) = (0.3 + 0.7 where their kinds are equal) * exp(-distance(place_a, place_b)^2 / 2)

share: a layer's part of its piece's latency by the cost model. distance: over the natural logarithms of channels and
height, so that a factor of e in one of them is 1.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from lutbench.lut.pieces import Layer, Piece

ACROSS_KINDS = 0.3  # correlation of layers of different kinds at one place
Array = npt.NDArray[np.float64]


class Shares:
    """Pieces as mixtures of layers.

    costs_us: microseconds per unit of work.
    """

    def __init__(self, pieces: Sequence[Piece], costs_us: Mapping[str, float]) -> None:
        self.pieces = tuple(pieces)
        self.layers = tuple(dict.fromkeys(layer for piece in pieces for layer in piece.layers))
        self._number = {layer: number for number, layer in enumerate(self.layers)}
        self.weights: Array = np.zeros((len(pieces), len(self.layers)))
        for row, piece in enumerate(pieces):
            for layer in piece.layers:
                self.weights[row, self._number[layer]] += _layer_us(layer, costs_us)
            self.weights[row] /= self.weights[row].sum()


def _layer_us(layer: Layer, costs_us: Mapping[str, float]) -> float:
    return sum(costs_us[kind] * amount for kind, amount in layer.work)


def alike(one: Shares, other: Shares) -> Array:
    """The first part of the covariance between all pieces of one and of other, with alike = 1."""
    return np.asarray(one.weights @ _layers_alike(one.layers, other.layers) @ other.weights.T, dtype=np.float64)


def alike_itself(one: Shares) -> Array:
    """The diagonal of alike(one, one), without the rest of it."""
    found = np.empty(len(one.pieces))
    for row, weights in enumerate(one.weights):
        held = np.flatnonzero(weights)
        layers = [one.layers[number] for number in held]
        found[row] = weights[held] @ _layers_alike(layers, layers) @ weights[held]
    return found


def _layers_alike(one: Sequence[Layer], other: Sequence[Layer]) -> Array:
    places, others = (np.array([layer.place for layer in layers]).reshape(-1, 3) for layers in (one, other))
    squares = (places**2).sum(1)[:, None] + (others**2).sum(1)[None, :] - 2 * places @ others.T
    kinds, other_kinds = (np.array([layer.kind for layer in layers]) for layers in (one, other))
    same = kinds[:, None] == other_kinds[None, :]
    return np.asarray(np.exp(-np.maximum(squares, 0) / 2) * np.where(same, 1.0, ACROSS_KINDS), dtype=np.float64)
