"""From operators to nets: the overhead rule, what whole nets ask for on top of it, and the choice of context depth.

A net pays the runtime's overhead once and a row carries it once. Inside a net an operator finds its code and weights
colder than among its own repetitions, which costs a constant and a share of its time:

    prediction = overhead + sum over operators of (operator_us + scale * (row - overhead))
"""

from __future__ import annotations

import math
import random
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean, median, stdev

BOOTSTRAPS = 200
_REWEIGHTINGS = 10
_HUBER = 1.5  # standard deviations within which a net counts in full
_FEWEST_SHARES = 8  # nets of a round from which its factor is known
WORTHWHILE_GAIN = 0.01  # of the mean absolute error, a fraction
FEWEST_NETS = 3  # below that one odd net would decide


@dataclass(frozen=True)
class NetMeasurement:
    """A whole net that was measured beside its operators.

    operators: names, in order, one entry per use.
    """

    net: str
    operators: tuple[str, ...]
    latency_us: float


@dataclass(frozen=True)
class ScaleFit:
    """scale with its 95 % interval, operator_us, and the mean absolute error of the nets, each left out in turn."""

    scale: float
    ci_low: float
    ci_high: float
    operator_us: float
    mean_abs_error: float


@dataclass(frozen=True)
class _Point:
    """A net as the fit sees it: work = sum(row - overhead), its operators, what it took beyond the overhead; us."""

    work_us: float
    operators: int
    target_us: float
    latency_us: float


def without_common_drift(rounds_us: Mapping[str, Mapping[int, float]]) -> dict[str, list[float]]:
    """Each net's round medians with what all nets of a round have in common taken out.

    rounds_us: net -> round -> median. A round's factor is the median over its nets of (value over the net's own
    median); it moves by several per cent as neighbours use the shared cache. Rounds of few nets are left as they are.
    """
    middles = {net: median(values.values()) for net, values in rounds_us.items()}
    shares: dict[int, list[float]] = defaultdict(list)
    for net, values in rounds_us.items():
        for number, value in values.items():
            shares[number].append(value / middles[net])
    factors = {number: median(found) if len(found) >= _FEWEST_SHARES else 1.0 for number, found in shares.items()}
    return {
        net: [value / factors[number] for number, value in sorted(values.items())] for net, values in rounds_us.items()
    }


def predict_us(rows_us: Sequence[float], overhead_us: float, scale: float, operator_us: float) -> float:
    """A net's latency from its operators' rows, microseconds."""
    return overhead_us + len(rows_us) * operator_us + scale * math.fsum(row - overhead_us for row in rows_us)


def _point(net: NetMeasurement, rows_us: Mapping[str, float], overhead_us: float) -> _Point:
    work_us = math.fsum(rows_us[name] - overhead_us for name in net.operators)
    return _Point(work_us, len(net.operators), net.latency_us - overhead_us, net.latency_us)


def _residual(point: _Point, scale: float, operator_us: float) -> float:
    """Relative error of the prediction of one net."""
    return (scale * point.work_us + operator_us * point.operators - point.target_us) / point.latency_us


def _weighted(points: Sequence[_Point], weights: Sequence[float]) -> tuple[float, float]:
    """scale and operator_us of least squares on relative errors; operator_us is not negative."""
    ww = wn = nn = wt = nt = 0.0
    for point, weight in zip(points, weights, strict=True):
        work, count, target = (v / point.latency_us for v in (point.work_us, point.operators, point.target_us))
        ww += weight * work * work
        wn += weight * work * count
        nn += weight * count * count
        wt += weight * work * target
        nt += weight * count * target
    determinant = ww * nn - wn * wn
    if determinant > 1e-9 * ww * nn:
        scale, operator_us = (wt * nn - nt * wn) / determinant, (nt * ww - wt * wn) / determinant
        if operator_us >= 0 and scale > 0:
            return scale, operator_us
    return wt / ww, 0.0


def _robust(points: Sequence[_Point]) -> tuple[float, float]:
    """scale and operator_us by Huber's estimator: a net that was disturbed does not carry the others along."""
    weights = [1.0] * len(points)
    scale, operator_us = _weighted(points, weights)
    for _ in range(_REWEIGHTINGS):
        errors = [abs(_residual(point, scale, operator_us)) for point in points]
        spread = max(1e-6, _HUBER * 1.4826 * median(errors))
        weights = [min(1.0, spread / max(error, 1e-12)) for error in errors]
        scale, operator_us = _weighted(points, weights)
    return scale, operator_us


def fit_scale(nets: Sequence[NetMeasurement], rows_us: Mapping[str, float], overhead_us: float) -> ScaleFit:
    """scale and operator_us that make the nets' predictions right; the scale's interval by bootstrap over nets."""
    if len(nets) < FEWEST_NETS:
        raise ValueError(f"{len(nets)} nets are too few to fit a scale")
    points = [_point(net, rows_us, overhead_us) for net in nets]
    scale, operator_us = _robust(points)
    rng = random.Random(0)
    resampled = sorted(_robust(rng.choices(points, k=len(points)))[0] for _ in range(BOOTSTRAPS))
    return ScaleFit(
        scale=scale,
        ci_low=min(scale, resampled[int(0.025 * BOOTSTRAPS)]),
        ci_high=max(scale, resampled[int(0.975 * BOOTSTRAPS)]),
        operator_us=operator_us,
        mean_abs_error=fmean(left_out_errors(nets, rows_us, overhead_us)),
    )


def left_out_errors(nets: Sequence[NetMeasurement], rows_us: Mapping[str, float], overhead_us: float) -> list[float]:
    """Each net's absolute relative error under what was fitted to the others."""
    points = [_point(net, rows_us, overhead_us) for net in nets]
    fits = [_robust(points[:number] + points[number + 1 :]) for number in range(len(points))]
    return [abs(_residual(point, *fit)) for point, fit in zip(points, fits, strict=True)]


@dataclass(frozen=True)
class DepthTrial:
    """What a context depth gave: left-out errors of the nets, in the nets' order, and the scale it needs."""

    depth: int
    errors: tuple[float, ...]
    scale: float

    @property
    def mean_abs_error(self) -> float:
        return fmean(self.errors)


def choose_depth(trials: Sequence[DepthTrial]) -> DepthTrial:
    """The shallowest depth that no deeper one clearly beats.

    A deeper context costs more noise per row, so it has to earn its place: it is taken where its errors on the same
    nets are smaller by WORTHWHILE_GAIN and by more than three standard errors of the paired differences.
    """
    ordered = sorted(trials, key=lambda trial: trial.depth)
    best = ordered[0]
    for trial in ordered[1:]:
        gains = [old - new for old, new in zip(best.errors, trial.errors, strict=True)]
        doubt = 3 * stdev(gains) / math.sqrt(len(gains))
        if fmean(gains) > max(WORTHWHILE_GAIN, doubt):
            best = trial
    return best


def try_depths(
    depths: Sequence[int],
    nets: Sequence[NetMeasurement],
    rows_at: Callable[[int], Mapping[str, float]],
    overhead_name: str,
) -> list[DepthTrial]:
    """A trial per depth; rows_at gives each operator's latency (us) at a depth."""
    trials = []
    for depth in depths:
        rows_us = rows_at(depth)
        overhead_us = rows_us[overhead_name]
        errors = left_out_errors(nets, rows_us, overhead_us)
        trials.append(DepthTrial(depth, tuple(errors), fit_scale(nets, rows_us, overhead_us).scale))
    return trials
