"""Fits what operators cost inside a net to whole nets, by terms that the nets have to ask for.

Linear in scale, operator_us and the terms of `in_net`, on relative errors. Each has a normal prior: the scale around 1,
the others around 0, as wide as that a term is expected to make up a share of a usual net's latency. How wide that share
is, is found by the likelihood of the nets: where rows and nets agree but for a scale, terms stay near 0 and cost no
accuracy; where they do not, a dozen nets are enough to tell. Where there are several sets of terms, each is fitted, and
what comes of them is averaged by the same likelihood. A net that was disturbed does not carry the others along (Huber).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from lutbench.measure.in_net import KEPT, TERMS, InNet, amounts, fitted_terms, term_sets
from lutbench.measure.layouts import kept_elements
from lutbench.measure.statistics import SPREAD_PER_MAD

Array = npt.NDArray[np.float64]

_SCALE_SPREAD = 0.1
_SHARES = (0.0003, 0.001, 0.003, 0.01, 0.03, 0.1)  # of a usual net's latency, standard deviations to choose from
_REWEIGHTINGS = 6
_HUBER = 1.5  # standard deviations within which a net counts in full
_LEAST_SPREAD = 1e-5  # of a net's relative error


@dataclass(frozen=True)
class NetMeasurement:
    """A whole net that was measured beside its operators.

    operators: names, in order, one entry per use.
    """

    net: str
    operators: tuple[str, ...]
    latency_us: float


@dataclass(frozen=True)
class Problem:
    """Nets as relative quantities: (nets, 2 + terms) of work, operators and terms; what is above the scale of 1.

    latencies_us: of the nets.
    block_channels: as in InNet; it says which terms the columns are of.
    """

    columns: Array
    targets: Array
    latencies_us: Array
    block_channels: int = 0

    def without(self, number: int) -> Problem:
        columns, targets, latencies_us = (
            np.delete(part, number, axis=0) for part in (self.columns, self.targets, self.latencies_us)
        )
        return Problem(columns, targets, latencies_us, self.block_channels)


@dataclass(frozen=True)
class Fit:
    """One set of terms, fitted: their unknowns, the covariance of these, and the spread of nets about the model.

    places: the set's columns of the problem.
    share: the prior's width, of a usual net's latency.
    evidence: the logarithm of the nets' likelihood under it, but for a constant.
    """

    places: tuple[int, ...]
    unknowns: Array
    covariance: Array
    spread: float
    share: float
    evidence: float


@dataclass(frozen=True)
class Solution:
    """Unknowns (scale minus 1, operator_us, terms), averaged over the fits; one that a fit lacks is 0 there.

    weights: of the fits, in their order; their sum is 1.
    """

    fits: tuple[Fit, ...]
    weights: tuple[float, ...]
    unknowns: Array
    block_channels: int = 0

    @property
    def in_net(self) -> InNet:
        scale, operator_us, *terms = (float(value) for value in self.unknowns)
        named = dict(zip(fitted_terms(self.block_channels), terms, strict=True))
        return InNet(1 + scale, operator_us, named, block_channels=self.block_channels)

    @property
    def scale_spread(self) -> float:
        """The scale's standard deviation, that between the fits among it."""
        return math.sqrt(
            sum(
                weight * (float(fit.covariance[0, 0]) + float(fit.unknowns[0] - self.unknowns[0]) ** 2)
                for fit, weight in zip(self.fits, self.weights, strict=True)
            )
        )


def problem_of(
    nets: Sequence[NetMeasurement], rows_us: Mapping[str, float], overhead_us: float, block_channels: int = 0
) -> Problem:
    latencies_us = np.array([net.latency_us for net in nets])
    work_us = np.array([math.fsum(rows_us[name] - overhead_us for name in net.operators) for net in nets])
    counts = np.array([len(net.operators) for net in nets], dtype=np.float64)
    moved = np.array([_amounts_of_net(net.operators, block_channels) for net in nets])
    columns = np.column_stack([work_us, counts, moved]) / latencies_us[:, None]
    return Problem(columns, (latencies_us - overhead_us - work_us) / latencies_us, latencies_us, block_channels)


def _amounts_of_net(operators: Sequence[str], block_channels: int) -> list[float]:
    """Million elements of each term that is fitted."""
    sums = dict(zip(TERMS, np.sum([amounts(name) for name in operators], axis=0), strict=True))
    return [
        kept_elements(operators, block_channels) if term == KEPT else float(sums[term])
        for term in fitted_terms(block_channels)
    ]


def solve(problem: Problem) -> Solution:
    """Each set of terms under the prior's width that makes the nets likeliest, averaged by that likelihood."""
    terms = fitted_terms(problem.block_channels)
    fits = []
    for names in term_sets(problem.block_channels):
        places = (0, 1, *(2 + terms.index(name) for name in names))
        fits.append(max((_solve(problem, places, share) for share in _SHARES), key=lambda found: found.evidence))
    best = max(fit.evidence for fit in fits)
    likelihoods = [math.exp(fit.evidence - best) for fit in fits]
    return _averaged(problem, fits, [likelihood / sum(likelihoods) for likelihood in likelihoods])


def _averaged(problem: Problem, fits: Sequence[Fit], weights: Sequence[float]) -> Solution:
    unknowns = np.zeros(problem.columns.shape[1])
    for fit, weight in zip(fits, weights, strict=True):
        unknowns[list(fit.places)] += weight * fit.unknowns
    return Solution(tuple(fits), tuple(weights), unknowns, problem.block_channels)


def _solve(problem: Problem, places: tuple[int, ...], share: float) -> Fit:
    columns, targets = problem.columns[:, places], problem.targets
    usual = np.maximum(np.abs(columns).mean(axis=0), 1e-12)
    prior = share / usual
    prior[0] = _SCALE_SPREAD
    spread = max(_LEAST_SPREAD, SPREAD_PER_MAD * float(np.median(np.abs(targets - np.median(targets)))))
    weights = np.ones(len(targets))
    for _ in range(_REWEIGHTINGS):
        whitened = columns * (np.sqrt(weights) / spread)[:, None]
        covariance: Array = np.asarray(np.linalg.inv(whitened.T @ whitened + np.diag(prior**-2)), dtype=np.float64)
        unknowns = covariance @ whitened.T @ (targets * np.sqrt(weights) / spread)
        errors = np.abs(targets - columns @ unknowns)
        used = float(np.einsum("ij,jk,ik->", whitened, covariance, whitened))
        free = max(1.0, len(targets) - used)
        spread = max(_LEAST_SPREAD, SPREAD_PER_MAD * float(np.median(errors)) * math.sqrt(len(targets) / free))
        weights = np.minimum(1.0, _HUBER * spread / np.maximum(errors, 1e-12))
    spreads = np.diag(spread**2 / weights) + (columns * prior**2) @ columns.T
    factor = np.linalg.cholesky(spreads)
    whitened_targets = np.linalg.solve(factor, targets)
    evidence = -float(whitened_targets @ whitened_targets) / 2 - float(np.log(np.diag(factor)).sum())
    return Fit(places, unknowns, covariance, spread, share, evidence)


def left_out_errors(problem: Problem, found: Solution) -> list[float]:
    """Each net's relative error, prediction over measurement minus 1, under what was fitted to the others.

    found: of all nets together, whose priors' widths and weights are taken: one net hardly moves them, and they are
        what takes the time.
    """
    return [
        float(problem.columns[number] @ other.unknowns - problem.targets[number])
        for number, other in enumerate(solutions_without(problem, found))
    ]


def solutions_without(problem: Problem, found: Solution) -> list[Solution]:
    """What is fitted to all nets but one, for each that is left out, with the same priors' widths and weights."""

    def without(number: int) -> Solution:
        left = problem.without(number)
        return _averaged(left, [_solve(left, fit.places, fit.share) for fit in found.fits], found.weights)

    return [without(number) for number in range(len(problem.targets))]
