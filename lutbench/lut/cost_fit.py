"""Fits latencies of whole nets, and of single pieces where they are known, by costs and deviations from them.

    net latency = overhead + sum over its pieces of (cost model(piece) + deviation * usual latency of the piece)

The logarithms of the costs and the deviations are the unknowns, all with Gaussian priors (`Prior`, `deviations`), so
the estimate runs from the plain cost model, where a dozen nets cannot say more, to a latency of each piece's own,
where thousands of nets can. How wide the priors of the deviations and of the nets' errors are is found by the
likelihood of the data (type II maximum likelihood, held near usual values). The posterior is Laplace's: Gauss-Newton
steps to its mode, and the curvature there. The usual latency is the cost model's of the step before, held still, so
that sums are linear in the deviations: with logarithms the mode was not the middle, and the costs of what every net
has came out 1.2 standard deviations high; with factors of the costs themselves, large costs were made likely.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from lutbench.lut.alone import alone_intervals
from lutbench.lut.cost_problem import FASTEST, USUAL_WIDTHS, WIDTHS_HELD, NetWork, Prior, Problem, Widths, piece_work
from lutbench.lut.deviations import Array, Shares, alike, alike_itself, level
from lutbench.lut.pieces import Piece
from lutbench.measure.one_thread import on_one_thread
from lutbench.measure.statistics import Z_95, student_95

_STEPS = 30
_SETTLED = 1e-6  # of the logarithm of a cost
_NETS_PER_FREEDOM = 2
_FARTHEST = 20.0  # of a logarithm: a net that alone decides a cost has no left-out prediction to speak of


@dataclass(frozen=True)
class FittedNet:
    """A net the costs were fitted to, microseconds.

    left_out_us: predicted by a fit without it.
    """

    net: str
    latency_us: float
    fitted_us: float
    left_out_us: float

    @property
    def error(self) -> float:
        return self.fitted_us / self.latency_us - 1

    @property
    def left_out_error(self) -> float:
        return self.left_out_us / self.latency_us - 1


@dataclass(frozen=True)
class PieceLatency:
    """A piece without the overhead of a call, microseconds.

    spread: standard deviation of the logarithm of its share of a net.
    low_us, high_us: 95 % interval that holds both its share of a net and what is measured where it is timed alone.
    """

    latency_us: float
    spread: float
    low_us: float
    high_us: float

    @property
    def factor(self) -> float:
        """The 95 % interval of its share of a net is from latency_us / factor to latency_us * factor."""
        return math.exp(Z_95 * self.spread)


@dataclass(frozen=True)
class CostFit:
    """Costs of each kind of work, fitted to whole nets.

    costs: microseconds per unit of work.
    cost_spreads: of their logarithms.
    nets: as fitted and left out.
    prior: what the costs were held near, scaled to the nets.
    """

    costs: Mapping[str, float]
    prior: Mapping[str, float]
    cost_spreads: Mapping[str, float]
    nets: tuple[FittedNet, ...]
    widths: Widths
    posterior: Posterior

    @property
    def left_out_mean_error(self) -> float:
        return float(np.mean([abs(net.left_out_error) for net in self.nets]))

    @property
    def left_out_max_error(self) -> float:
        return max(abs(net.left_out_error) for net in self.nets)

    @property
    def mean_error(self) -> float:
        return float(np.mean([abs(net.error) for net in self.nets]))

    def cost_interval(self, kind: str) -> tuple[float, float]:
        """95 % interval of one cost."""
        factor = math.exp(Z_95 * self.cost_spreads[kind])
        return self.costs[kind] / factor, self.costs[kind] * factor

    def latencies(self, pieces: Sequence[Piece]) -> list[PieceLatency]:
        """The latencies of any pieces, whether the nets had them or not."""
        with on_one_thread():
            return self.posterior.latencies(pieces)


def fit_costs(nets: Sequence[NetWork], prior: Prior, rows: Sequence[tuple[Piece, float]] = ()) -> CostFit:
    """Costs and deviations, from at least two nets.

    rows: single pieces and their latencies, microseconds.
    """
    with on_one_thread():
        return _fitted(nets, prior, rows)


def _fitted(nets: Sequence[NetWork], prior: Prior, rows: Sequence[tuple[Piece, float]]) -> CostFit:
    problem = Problem(nets, rows, prior)
    posterior = Posterior(problem, prior.widths or USUAL_WIDTHS)
    if prior.widths is None or len(nets) >= FEWEST_NETS_FOR_WIDTHS:
        for _ in range(3):  # the likelihood is that of the model made linear at the mode
            widths = posterior.likeliest_widths()
            problem, start = problem.around(posterior.mode)
            posterior = Posterior(problem, widths, start)
    costs = problem.costs_us(posterior.mode)
    fitted = problem.predicted_us(posterior.mode)[: len(nets)]
    left_out = posterior.left_out_us()
    return CostFit(
        costs,
        dict(zip(problem.kinds, (float(v) for v in np.exp(problem.centre)), strict=True)),
        dict(zip(problem.kinds, (float(v) for v in posterior.cost_spreads()), strict=True)),
        tuple(
            FittedNet(net.net, net.latency_us, float(mine), float(out))
            for net, mine, out in zip(nets, fitted, left_out, strict=True)
        ),
        posterior.widths,
        posterior,
    )


FEWEST_NETS_FOR_WIDTHS = 5


class Posterior:
    """The mode of the unknowns under given widths, and what is left open around it."""

    def __init__(self, problem: Problem, widths: Widths, start: Array | None = None) -> None:
        self.problem = problem
        self.widths = widths
        self.prior = problem.covariance(widths)
        self.mode = problem.start() if start is None else start
        for _ in range(_STEPS):
            before = self.mode
            self._step()
            if np.abs(self.mode - before).max() < _SETTLED:
                break

    def _linear(self) -> tuple[Array, Array]:
        """Slopes and targets of the model made linear at the mode, both over the noise."""
        slopes = self.problem.slopes(self.mode)
        missed = np.log(self.problem.latency_us / self.problem.predicted_us(self.mode))
        noise = self.problem.noise(self.widths)
        return slopes / noise[:, None], (missed + slopes @ self.mode) / noise

    def _step(self) -> None:
        """A Gauss-Newton step; where a step is long it is shortened, for the model is linear only near by."""
        self.slopes, self.targets = compressed(*self._linear())
        self.spread = _Spread(self.slopes @ self.prior @ self.slopes.T)
        self.gain = self.spread.solve(self.slopes @ self.prior)
        step = self.gain.T @ self.targets - self.mode
        self.mode = self.problem.bounded(self.mode + step * min(1.0, 1.0 / max(1e-12, float(np.abs(step).max()))))

    def covariance_of(self, directions: Array) -> Array:
        """Variances of linear combinations of the unknowns, (combinations, unknowns) -> (combinations,)."""
        beforehand = np.einsum("ij,ij->i", directions @ self.prior, directions)
        told = np.einsum("ij,ij->i", (directions @ self.prior) @ self.slopes.T, directions @ self.gain.T)
        return np.asarray(np.maximum(beforehand - told, 0.0), dtype=np.float64)

    def cost_spreads(self) -> Array:
        kinds = len(self.problem.kinds)
        return np.sqrt(self.covariance_of(np.eye(kinds, len(self.mode))))

    def left_out_us(self) -> Array:
        """Each net's prediction by the posterior without it, which is linear algebra where the model is linear."""
        slopes, _ = self._linear()
        nets = ~self.problem.is_row
        leverage = np.minimum(self.covariance_of(slopes[nets]), 1 - 1e-9)
        missed = np.log(self.problem.latency_us / self.problem.predicted_us(self.mode))[nets]
        far = np.clip(-missed / (1 - leverage), -_FARTHEST, _FARTHEST)
        return np.asarray(self.problem.latency_us[nets] * np.exp(far))

    def likeliest_widths(self) -> Widths:
        """The widths under which the data, linear at the mode, are most likely, held near usual ones."""
        from scipy.optimize import minimize

        names = ("alike", "own", "nets")
        usual = np.log([getattr(USUAL_WIDTHS, name) for name in names])
        held = np.array([getattr(WIDTHS_HELD, name) for name in names])
        slopes = self.problem.slopes(self.mode)
        missed = np.log(self.problem.latency_us / self.problem.predicted_us(self.mode)) + slopes @ self.mode
        rows = self.problem.is_row
        of_nets, nets_missed = compressed(slopes[~rows], missed[~rows])  # once: all nets have one noise
        few, few_missed = np.vstack([of_nets, slopes[rows]]), np.concatenate([nets_missed, missed[rows]])

        def widths_of(logs: Array) -> Widths:
            return replace(self.widths, **dict(zip(names, (float(v) for v in np.exp(logs)), strict=True)))

        def unlikely(logs: Array) -> float:
            widths = widths_of(logs)
            noise = self.problem.noise(widths)
            few_noise = np.concatenate([np.full(len(nets_missed), widths.nets), noise[rows]])
            over_noise, targets = few / few_noise[:, None], few_missed / few_noise
            spread = over_noise @ self.problem.covariance(widths) @ over_noise.T + np.eye(len(targets))
            factor = np.linalg.cholesky(spread)
            whitened = np.linalg.solve(factor, targets)
            likelihood = whitened @ whitened / 2 + np.log(np.diag(factor)).sum() + np.log(noise).sum()
            return float(likelihood + (((logs - usual) / held) ** 2).sum() / 2)

        start = np.log([getattr(self.widths, name) for name in names])
        found = minimize(unlikely, start, method="Nelder-Mead", options={"xatol": 0.02, "fatol": 0.02})
        return widths_of(np.asarray(found.x))

    def latencies(self, pieces: Sequence[Piece]) -> list[PieceLatency]:
        """Latencies of any pieces: by the costs, and by what the deviations of those that are alike say of theirs."""
        problem, kinds = self.problem, len(self.problem.kinds)
        known = {piece: number for number, piece in enumerate(problem.pieces)}
        shares = Shares(pieces, dict(zip(problem.kinds, problem.usual, strict=True)))
        work = piece_work(pieces, problem.kinds)
        usual_us = work @ problem.usual
        costs = np.exp(problem.centre + self.mode[:kinds])
        deviations = self.widths.alike**2 * alike(shares, problem.shares)
        deviations += self.widths.level**2 * level(shares, problem.shares, problem.shares)
        for row, piece in enumerate(pieces):
            if piece in known:
                deviations[row, known[piece]] += self.widths.own**2
        told = self.spread.solve(self.targets[:, None])[:, 0]
        by_costs_us = work @ costs
        found_us = by_costs_us + usual_us * (deviations @ self.slopes[:, kinds:].T @ told)
        found_us = np.maximum(found_us, FASTEST * by_costs_us)
        # the covariance of each piece's relative latency with the unknowns, beforehand
        by_cost = work * costs / found_us[:, None]
        by_deviation = usual_us / found_us
        together = np.hstack([by_cost * problem.cost_spread**2, deviations * by_deviation[:, None]])
        own = self.widths.alike**2 * alike_itself(shares) + self.widths.own**2
        own += self.widths.level**2 * shares.levels(problem.shares) ** 2
        beforehand = (by_cost**2).sum(1) * problem.cost_spread**2 + by_deviation**2 * own
        weights = self.spread.solve(self.slopes @ together.T)
        variances = np.maximum(beforehand - np.einsum("ij,ji->i", together @ self.slopes.T, weights), 0.0)
        spreads = np.sqrt(variances) * self._doubt()
        lows, highs = alone_intervals(work, dict(zip(problem.kinds, costs, strict=True)), found_us, spreads)
        return [
            PieceLatency(*(float(value) for value in values))
            for values in zip(found_us, spreads, lows, highs, strict=True)
        ]

    def _doubt(self) -> float:
        """How much wider intervals are because the widths themselves are known from so few nets (Student's t)."""
        if self.problem.widths_are_known:
            return 1.0
        return student_95((~self.problem.is_row).sum() / _NETS_PER_FREEDOM) / Z_95


def compressed(slopes: Array, targets: Array) -> tuple[Array, Array]:
    """The same least squares in at most one row more than there are unknowns (QR): thousands of nets cost no more."""
    if len(slopes) <= slopes.shape[1] + 1:
        return slopes, targets
    triangle: Array = np.linalg.qr(np.hstack([slopes, targets[:, None]]), mode="r")  # type: ignore[assignment]
    return triangle[:, :-1], triangle[:, -1]


class _Spread:
    """How far data may be from what is expected of them: a covariance and noise of 1 each, factorised once."""

    def __init__(self, covariance: Array) -> None:
        from scipy.linalg import cho_factor

        self._factor = cho_factor(covariance + np.eye(len(covariance)))

    def solve(self, right: Array) -> Array:
        """(covariance + 1)^-1 right."""
        from scipy.linalg import cho_solve

        return np.asarray(cho_solve(self._factor, right), dtype=np.float64)
