"""From operators to nets: the overhead rule, the scale that whole nets ask for, and the choice of context depth.

A net pays the runtime's overhead once and a row carries it once, so

    prediction = overhead + scale * sum(row - overhead)
"""

from __future__ import annotations

import math
import random
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean, median, stdev

BOOTSTRAPS = 1000
_FEWEST_SHARES = 8  # nets of a round from which its factor is known
WORTHWHILE_GAIN = 0.01  # of the mean absolute error, a fraction
FEWEST_NETS = 3  # below that one odd net would decide


@dataclass(frozen=True)
class NetMeasurement:
    """A whole net that was measured beside its operators. operators: names, in order, one entry per use."""

    net: str
    operators: tuple[str, ...]
    latency_us: float


@dataclass(frozen=True)
class ScaleFit:
    """scale and its 95 % interval; mean_abs_error: leave-one-out, of the nets it was fitted on."""

    scale: float
    ci_low: float
    ci_high: float
    mean_abs_error: float


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


def predict_us(rows_us: Sequence[float], overhead_us: float, scale: float) -> float:
    """A net's latency from its operators' rows, microseconds."""
    return overhead_us + scale * math.fsum(row - overhead_us for row in rows_us)


def _scale_of(net: NetMeasurement, rows_us: Mapping[str, float], overhead_us: float) -> float:
    work_us = math.fsum(rows_us[name] - overhead_us for name in net.operators)
    return (net.latency_us - overhead_us) / work_us


def fit_scale(nets: Sequence[NetMeasurement], rows_us: Mapping[str, float], overhead_us: float) -> ScaleFit:
    """The median of the nets' own scales (one disturbed net does not move it), with a bootstrap interval."""
    if len(nets) < FEWEST_NETS:
        raise ValueError(f"{len(nets)} nets are too few to fit a scale")
    scales = [_scale_of(net, rows_us, overhead_us) for net in nets]
    rng = random.Random(0)
    resampled = sorted(median(rng.choices(scales, k=len(scales))) for _ in range(BOOTSTRAPS))
    errors = left_out_errors(nets, rows_us, overhead_us)
    return ScaleFit(
        scale=median(scales),
        ci_low=resampled[int(0.025 * BOOTSTRAPS)],
        ci_high=resampled[int(0.975 * BOOTSTRAPS)],
        mean_abs_error=fmean(errors),
    )


def left_out_errors(nets: Sequence[NetMeasurement], rows_us: Mapping[str, float], overhead_us: float) -> list[float]:
    """Each net's absolute relative error under the scale fitted to the others."""
    scales = [_scale_of(net, rows_us, overhead_us) for net in nets]
    errors = []
    for number, net in enumerate(nets):
        scale = median(scales[:number] + scales[number + 1 :])
        rows = [rows_us[name] for name in net.operators]
        errors.append(abs(predict_us(rows, overhead_us, scale) / net.latency_us - 1))
    return errors


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
