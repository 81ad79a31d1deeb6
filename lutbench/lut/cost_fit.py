"""Fits the cost model to whole nets: relative least squares over positive costs, held near what is known beforehand.

The logarithms of the costs are the parameters, so that every kind of work costs something. The sum minimised is

    sum over nets of (predicted / latency - 1)^2 / net_spread^2 + sum over costs of log(cost / prior)^2 / cost_spread^2

a maximum a posteriori estimate. 19 nets cannot tell 10 costs apart without the second sum: some would become 0.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from lutbench.lut.costs import OVERHEAD, PRIOR_US, Work, total_work
from lutbench.measure.statistics import Z_95

FEWEST_NETS_FOR_SCATTER = 5
_Array = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Prior:
    """What the costs are held near. costs_us: microseconds per unit of work, of which only the ratios count.

    net_spread: how far nets are expected to be from the model, over their latency. cost_spread: how far costs are
    expected to be from the prior's, of their logarithm. layer_scatter: taken where there are too few nets to tell it.
    """

    costs_us: Mapping[str, float]
    net_spread: float
    cost_spread: float
    layer_scatter: float = math.nan

    @property
    def pull(self) -> float:
        return self.net_spread / self.cost_spread


def general_prior(kinds: Collection[str]) -> Prior:
    """Of any device: what kinds of work usually cost against each other, within a factor of e^0.5 or so."""
    return Prior({kind: cost for kind, cost in PRIOR_US.items() if kind in kinds}, net_spread=0.05, cost_spread=0.5)


def device_prior(costs_us: Mapping[str, float], layer_scatter: float) -> Prior:
    """Another device's costs: each may be off by a factor of e^0.7, and the few nets at hand are to be met closely."""
    return Prior(costs_us, net_spread=0.02, cost_spread=0.7, layer_scatter=layer_scatter)


@dataclass(frozen=True)
class FittedNet:
    """A net the costs were fitted to, microseconds. left_out_us: predicted by a fit without it."""

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
class CostFit:
    """costs: microseconds per unit of work, in the order of covariance, that of their logarithms.

    prior: what the costs were held near, scaled to the nets. layer_scatter: how far a single layer's latency is
    from the model (standard deviation over the latency), the layers' errors taken to be independent.
    """

    costs: Mapping[str, float]
    prior: Mapping[str, float]
    nets: tuple[FittedNet, ...]
    covariance: _Array
    layer_scatter: float

    @property
    def left_out_mean_error(self) -> float:
        return float(np.mean([abs(net.left_out_error) for net in self.nets]))

    @property
    def left_out_max_error(self) -> float:
        return max(abs(net.left_out_error) for net in self.nets)

    @property
    def mean_error(self) -> float:
        return float(np.mean([abs(net.error) for net in self.nets]))

    def latency_us(self, layers: Sequence[Work]) -> float:
        """Of these layers, without the overhead of a call."""
        return sum(_layers_us(self.costs, layers))

    def spread(self, layers: Sequence[Work]) -> float:
        """Standard deviation of the logarithm of latency_us: what the costs and the model leave open."""
        amounts = total_work(layers)
        parts = np.array([cost * amounts.get(kind, 0.0) for kind, cost in self.costs.items()])
        share = parts / parts.sum()
        values = np.array(_layers_us(self.costs, layers))
        return math.hypot(
            math.sqrt(float(share @ self.covariance @ share)),
            self.layer_scatter * float(np.linalg.norm(values) / values.sum()),
        )

    def cost_interval(self, kind: str) -> tuple[float, float]:
        """95 % interval of one cost."""
        position = list(self.costs).index(kind)
        factor = math.exp(Z_95 * math.sqrt(float(self.covariance[position, position])))
        return self.costs[kind] / factor, self.costs[kind] * factor


@dataclass(frozen=True)
class NetWork:
    """A net's latency and the work of each of its layers."""

    net: str
    latency_us: float
    layers: tuple[Work, ...]


def fit_costs(nets: Sequence[NetWork], prior: Prior) -> CostFit:
    """The costs of every kind of work that the prior has, from at least two nets."""
    kinds = list(prior.costs_us)
    matrix = np.array([[amounts.get(kind, 0.0) for kind in kinds] for amounts in map(_net_work, nets)])
    latency = np.array([net.latency_us for net in nets])
    logs, centre = _fit(matrix, latency, prior)
    fitted = matrix @ np.exp(logs)
    left_out = [matrix[row] @ np.exp(_fit(*_without(matrix, latency, row), prior)[0]) for row in range(len(nets))]
    found = tuple(
        FittedNet(net.net, net.latency_us, float(value), float(out))
        for net, value, out in zip(nets, fitted, left_out, strict=True)
    )
    covariance = _covariance(matrix, latency, logs, prior)
    costs = dict(zip(kinds, (float(value) for value in np.exp(logs)), strict=True))
    priors = dict(zip(kinds, (float(value) for value in np.exp(centre)), strict=True))
    return CostFit(costs, priors, found, covariance, _layer_scatter(nets, found, costs, prior))


def _net_work(net: NetWork) -> dict[str, float]:
    return {**total_work(net.layers), OVERHEAD: 1.0}


def _layers_us(costs: Mapping[str, float], layers: Sequence[Work]) -> list[float]:
    return [sum(costs[kind] * amount for kind, amount in layer.items()) for layer in layers]


def _without(matrix: _Array, latency: _Array, row: int) -> tuple[_Array, _Array]:
    return np.delete(matrix, row, axis=0), np.delete(latency, row)


def _fit(matrix: _Array, latency: _Array, prior: Prior) -> tuple[_Array, _Array]:
    """The logarithms of the costs, and those of the prior, brought to the nets' level first."""
    from scipy.optimize import least_squares

    costs = np.array(list(prior.costs_us.values()))
    centre = np.log(costs) + math.log(float(np.median(latency / (matrix @ costs))))
    relative = matrix / latency[:, None]
    held = prior.pull * np.eye(len(costs))

    def residuals(logs: _Array) -> _Array:
        return np.concatenate([relative @ np.exp(logs) - 1, prior.pull * (logs - centre)])

    def jacobian(logs: _Array) -> _Array:
        return np.vstack([relative * np.exp(logs), held])

    result: Any = least_squares(residuals, centre, jac=jacobian)
    return np.asarray(result.x, dtype=np.float64), centre


def _covariance(matrix: _Array, latency: _Array, logs: _Array, prior: Prior) -> _Array:
    """Laplace's approximation at the estimate; the nets' spread is that of the residuals, but not below the prior's."""
    slopes = matrix * np.exp(logs) / latency[:, None]
    inverse = np.linalg.inv(slopes.T @ slopes + prior.pull**2 * np.eye(len(logs)))
    decided = float(np.trace(inverse @ slopes.T @ slopes))  # costs that the nets, not the prior, decide
    residuals = matrix @ np.exp(logs) / latency - 1
    variance = float(residuals @ residuals) / max(1.0, len(latency) - decided)
    return np.asarray(inverse * max(variance, prior.net_spread**2), dtype=np.float64)


def _layer_scatter(
    nets: Sequence[NetWork], found: Sequence[FittedNet], costs: Mapping[str, float], prior: Prior
) -> float:
    """How far single layers scatter if their errors are independent and add up to the left-out errors of nets.

    A net of n equal layers averages their errors down by sqrt(n); for unequal ones n is (sum)^2 / sum of squares.
    """
    if len(nets) < FEWEST_NETS_FOR_SCATTER and math.isfinite(prior.layer_scatter):
        return prior.layer_scatter
    error = math.sqrt(float(np.mean([net.left_out_error**2 for net in found])))
    values = [np.array(_layers_us(costs, net.layers)) for net in nets]
    return error * math.sqrt(float(np.mean([v.sum() ** 2 / float(v @ v) for v in values])))
