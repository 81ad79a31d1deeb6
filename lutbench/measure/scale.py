"""From operators to nets: what whole nets ask for on top of their operators' rows, and the choice of context depth."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean, stdev

from lutbench.measure.common_drift import usual_rounds_us
from lutbench.measure.in_net import InNet, Setting
from lutbench.measure.measurements import Measurements
from lutbench.measure.net_fit import NetMeasurement, left_out_errors, problem_of, solve
from lutbench.measure.processes import halves_us, noise_of
from lutbench.measure.statistics import Z_95, robust_mean

WORTHWHILE_GAIN = 0.01  # of the mean absolute error, a fraction
FEWEST_NETS = 3  # below that one odd net would decide


@dataclass(frozen=True)
class ScaleFit:
    """What operators cost inside nets, the 95 % interval of its scale, and how far nets are from it, fractions.

    mean_abs_error: of the nets, each left out in turn.
    spread: the root of their mean square error.
    """

    in_net: InNet
    ci_low: float
    ci_high: float
    mean_abs_error: float
    spread: float


def net_latencies_us(data: Measurements, nets: Iterable[str]) -> dict[str, float]:
    """The latency of each net with a round that counts, over its usual rounds.

    Nets slow down alike where the machine does, so that a round in which it was disturbed tells as much of how nets
    compare as any other. A net that never ran while it was quiet is not among them: it may have been slowed alone.
    """
    return {net: robust_mean(rounds_us.values()) for net, rounds_us in usual_rounds_us(data, nets).items()}


def net_noise(data: Measurements, nets: Iterable[str], starts: Sequence[int]) -> float:
    """What the halves of a net's usual rounds differ by, on average, a fraction.

    starts: the rounds at which a worker process began; none where one process has them all.
    """
    return noise_of(halves_us(rounds_us, starts) for rounds_us in usual_rounds_us(data, nets).values())


def fit_scale(
    nets: Sequence[NetMeasurement],
    rows_us: Mapping[str, float],
    overhead_us: float,
    setting: Setting,
    colder: Mapping[str, float],
) -> ScaleFit:
    """What makes the nets' predictions right; ValueError for too few nets.

    setting: of the LUT; it says which terms are fitted.
    colder: how much more operators take behind others, a fraction; none where it was not measured.
    """
    if len(nets) < FEWEST_NETS:
        raise ValueError(f"{len(nets)} nets are too few to fit a scale")
    found = solve(problem_of(nets, rows_us, overhead_us, setting, colder))
    half = Z_95 * found.scale_spread
    errors = left_out_errors(found)
    scale = found.in_net.scale
    return ScaleFit(
        in_net=found.in_net,
        ci_low=max(scale / 2, scale - half),
        ci_high=scale + half,
        mean_abs_error=fmean(map(abs, errors)),
        spread=math.sqrt(fmean(error**2 for error in errors)),
    )


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
    setting: Setting,
) -> list[DepthTrial]:
    """A trial per depth; rows_at gives each operator's latency (us) at a depth."""
    trials = []
    for depth in depths:
        rows_us = rows_at(depth)
        found = solve(problem_of(nets, rows_us, rows_us[overhead_name], setting, {}))
        errors = tuple(map(abs, left_out_errors(found)))
        trials.append(DepthTrial(depth, errors, found.in_net.scale))
    return trials
