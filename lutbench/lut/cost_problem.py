"""What `estimate` knows, as arrays: latencies of nets and of single pieces, what they are made of, and the priors."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from copy import copy
from dataclasses import dataclass

import numpy as np

from lutbench.lut.alone import alone_spreads
from lutbench.lut.costs import OVERHEAD, PRIOR_US
from lutbench.lut.deviations import Array, Shares, alike, level
from lutbench.lut.pieces import Piece

FASTEST = 0.05  # of what the cost model says: no piece is taken to be faster


@dataclass(frozen=True)
class Widths:
    """Standard deviations, relative.

    alike, level, own: of the deviations' three parts.
    nets: of a net's latency beside the model.
    """

    alike: float
    own: float
    nets: float
    level: float


# What the widths are held near, and how closely (of the logarithm); level, of which nets say next to nothing, is kept.
# Twelve nets can be met by a wide error of their own and no deviations, or the other way round; on the devices looked
# at it was the other way round.
USUAL_WIDTHS = Widths(alike=0.5, own=0.15, nets=0.02, level=0.1)
WIDTHS_HELD = Widths(alike=0.35, own=0.35, nets=0.5, level=0.0)


@dataclass(frozen=True)
class Prior:
    """What the costs are held near.

    costs_us: microseconds per unit of work, of which only the ratios count.
    cost_spread: how far costs are expected to be from the prior's, of their logarithm.
    widths: taken as they are where there are too few nets to tell them; None: usual ones.
    """

    costs_us: Mapping[str, float]
    cost_spread: float
    widths: Widths | None = None


def general_prior(kinds: Collection[str]) -> Prior:
    """What is expected of any device before its nets are seen:
    what kinds of work usually cost against each other, within a factor of e^0.5 or so.
    """
    return Prior({kind: cost for kind, cost in PRIOR_US.items() if kind in kinds}, cost_spread=0.5)


def device_prior(costs_us: Mapping[str, float], widths: Widths) -> Prior:
    """Another device's costs: each may be off by a factor of e^0.7."""
    return Prior(costs_us, cost_spread=0.7, widths=widths)


@dataclass(frozen=True)
class NetWork:
    """A net's latency and the pieces it runs."""

    net: str
    latency_us: float
    pieces: tuple[Piece, ...]


class Problem:
    """The data as arrays. An unknown is the logarithm of a cost over the centre's, or a piece's deviation."""

    def __init__(self, nets: Sequence[NetWork], rows: Sequence[tuple[Piece, float]], prior: Prior) -> None:
        self.kinds = tuple(prior.costs_us)
        self.cost_spread = prior.cost_spread
        self.widths_are_known = prior.widths is not None
        pieces = {piece: None for net in nets for piece in net.pieces} | {piece: None for piece, _ in rows}
        self.pieces = tuple(pieces)
        numbers = {piece: number for number, piece in enumerate(self.pieces)}
        self.work = piece_work(self.pieces, self.kinds)
        self.counts: Array = np.zeros((len(nets) + len(rows), len(self.pieces)))
        for number, net in enumerate(nets):
            np.add.at(self.counts[number], [numbers[piece] for piece in net.pieces], 1.0)
        for number, (piece, _) in enumerate(rows):
            self.counts[len(nets) + number, numbers[piece]] = 1.0
        self.calls: Array = np.array([1.0] * len(nets) + [0.0] * len(rows))  # a row is without the overhead of a call
        self.latency_us: Array = np.array([net.latency_us for net in nets] + [us for _, us in rows])
        self.is_row = self.calls == 0
        self.overhead = self.kinds.index(OVERHEAD)
        self.centre = self._centre(np.array(list(prior.costs_us.values())))
        self.usual = np.exp(self.centre)  # costs that deviations are relative to
        self._relate()

    def _relate(self) -> None:
        self.usual_us = self.work @ self.usual
        self.shares = Shares(self.pieces, dict(zip(self.kinds, self.usual, strict=True)))
        self.alike = alike(self.shares, self.shares)
        self.level = level(self.shares, self.shares, self.shares)

    def around(self, unknowns: Array) -> tuple[Problem, Array]:
        """The same with deviations relative to the costs that were found, and what the unknowns are in it."""
        found, kinds = copy(self), len(self.kinds)
        found.usual = np.exp(self.centre + unknowns[:kinds])
        found._relate()
        return found, np.concatenate([unknowns[:kinds], unknowns[kinds:] * self.usual_us / found.usual_us])

    def _centre(self, costs: Array) -> Array:
        """The prior's costs brought to the nets' level."""
        nets = ~self.is_row
        predicted = self.counts[nets] @ (self.work @ costs) + costs[self.overhead]
        return np.asarray(np.log(costs) + math.log(float(np.median(self.latency_us[nets] / predicted))))

    def start(self) -> Array:
        return np.zeros(len(self.kinds) + len(self.pieces))

    def costs_us(self, unknowns: Array) -> dict[str, float]:
        logs = self.centre + unknowns[: len(self.kinds)]
        return dict(zip(self.kinds, (float(value) for value in np.exp(logs)), strict=True))

    def predicted_us(self, unknowns: Array) -> Array:
        costs = np.exp(self.centre + unknowns[: len(self.kinds)])
        own_us = self.work @ costs + self.usual_us * unknowns[len(self.kinds) :]
        return np.asarray(self.counts @ own_us + self.calls * costs[self.overhead])

    def slopes(self, unknowns: Array) -> Array:
        """The slopes of the predictions' logarithms by each unknown."""
        costs = np.exp(self.centre + unknowns[: len(self.kinds)])
        by_cost = self.counts @ (self.work * costs)
        by_cost[:, self.overhead] += self.calls * costs[self.overhead]
        return np.hstack([by_cost, self.counts * self.usual_us]) / self.predicted_us(unknowns)[:, None]

    def bounded(self, unknowns: Array) -> Array:
        """The unknowns, with deviations that leave every piece some of what the cost model says:
        no latency is below 0.
        """
        kinds = len(self.kinds)
        least = (FASTEST - 1) * (self.work @ np.exp(self.centre + unknowns[:kinds])) / self.usual_us
        return np.concatenate([unknowns[:kinds], np.maximum(unknowns[kinds:], least)])

    def covariance(self, widths: Widths) -> Array:
        """The covariance of the unknowns before any net is seen."""
        found = np.zeros((len(self.kinds) + len(self.pieces),) * 2)
        np.fill_diagonal(found, np.array([self.cost_spread**2] * len(self.kinds) + [widths.own**2] * len(self.pieces)))
        found[len(self.kinds) :, len(self.kinds) :] += widths.alike**2 * self.alike + widths.level**2 * self.level
        return found

    def noise(self, widths: Widths) -> Array:
        """Standard deviation of each datum's logarithm beside the model."""
        alone = np.zeros(len(self.latency_us))
        costs = dict(zip(self.kinds, self.usual, strict=True))
        alone[self.is_row] = (self.counts @ alone_spreads(self.work, costs, self.usual_us))[self.is_row]
        return np.asarray(np.hypot(widths.nets, alone), dtype=np.float64)


def piece_work(pieces: Sequence[Piece], kinds: Sequence[str]) -> Array:
    """Amounts of work, (pieces, kinds)."""
    number = {kind: column for column, kind in enumerate(kinds)}
    found = np.zeros((len(pieces), len(kinds)))
    for row, piece in enumerate(pieces):
        for layer in piece.layers:
            for kind, amount in layer.work:
                found[row, number[kind]] += amount
    return found
