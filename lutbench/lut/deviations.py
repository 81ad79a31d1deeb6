"""How pieces deviate from the cost model, as a Gaussian prior: pieces that are alike deviate alike.

The logarithm of a piece's latency is that of the cost model's plus a deviation. Beforehand a deviation is 0 with a
standard deviation that is fitted to the data, in three parts (a Gaussian process over the pieces):

    covariance(i, j) = alike^2 * sum over layers a of i, b of j of share_a share_b k(a, b)  +  own^2 where i = j
                       +  level^2 * usual^2 / (us_i us_j) where the ends of i and j are equal
    k(a, b) = (0.3 + 0.7 where their kinds are equal) * exp(-distance(place_a, place_b)^2 / 2)

The last part is a time that all candidates for one layer of a net are off by. Every net runs exactly one of them, so
where none of them is an identity nets cannot tell such a time from one of the stem or of another layer; without it the
intervals of layers without an identity held 72 to 84 % of their shares on three of thirteen devices.

usual: what pieces of those ends take on average, us_i: what piece i takes, both by the cost model. share: a layer's
part of its piece's latency by the cost model. distance: over the natural logarithms of channels and
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
        self.pieces_us: Array = self.weights.sum(1)
        self.weights /= self.pieces_us[:, None]
        self.ends = tuple(_ends(piece) for piece in pieces)
        self.usual_us = {ends: float(us) for ends, us in _means(self.ends, self.pieces_us).items()}

    def levels(self, known: Shares) -> Array:
        """What pieces of equal ends usually take, over what each takes.

        known: the pieces that nets had.
        """
        usual_us = self.usual_us | known.usual_us
        return np.array([usual_us[ends] for ends in self.ends]) / self.pieces_us


def _ends(piece: Piece) -> tuple[float, ...]:
    """Input channels, output channels and height: candidates for one layer of a net have equal ends."""
    return (piece.layers[0].place[0], *piece.layers[-1].place[1:])


def _means(ends: Sequence[tuple[float, ...]], pieces_us: Array) -> dict[tuple[float, ...], float]:
    found: dict[tuple[float, ...], list[float]] = {}
    for one, us in zip(ends, pieces_us, strict=True):
        found.setdefault(one, []).append(float(us))
    return {one: float(np.mean(all_us)) for one, all_us in found.items()}


def level(one: Shares, other: Shares, known: Shares) -> Array:
    """The last part of the covariance, with level = 1: pieces of equal ends are off by equal times."""
    number = {ends: place for place, ends in enumerate(dict.fromkeys((*one.ends, *other.ends)))}
    mine, others = (np.array([number[ends] for ends in shares.ends]) for shares in (one, other))
    factors = one.levels(known)[:, None] * other.levels(known)[None, :]
    return np.where(mine[:, None] == others[None, :], factors, 0.0)


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
