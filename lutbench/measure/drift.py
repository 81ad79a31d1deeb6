"""Whether and how to correct a LUT for what a device has become since: judged by its own tuning nets, timed again."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean, median, stdev
from typing import Literal

from lutbench.measure.in_net import InNet
from lutbench.measure.net_fit import NetMeasurement, left_out_errors, problem_of, solve
from lutbench.measure.scale import FEWEST_NETS

Correction = Literal["none", "ratio", "fit"]


@dataclass(frozen=True)
class Corrected:
    """What operators cost inside nets now.

    how: as the LUT says; every net by one ratio, as where the clock is another; or fitted anew.
    """

    how: Correction
    in_net: InNet


def correct(nets: Sequence[NetMeasurement], rows_us: Mapping[str, float], overhead_us: float, was: InNet) -> Corrected:
    """The simplest correction that no further one clearly beats at predicting each net by what the others say.

    A correction is not free: it takes in the noise of the nets that it is made from, and where the device has not
    changed none is better. One beats another where its errors are smaller by more than a standard error of the pairs.
    """
    if len(nets) < FEWEST_NETS:
        return Corrected("none", was)
    latencies_us = [net.latency_us for net in nets]
    predicted_us = [was.net_us([(name, rows_us[name]) for name in net.operators], overhead_us) for net in nets]
    ratios = [
        (latency_us - overhead_us) / (us - overhead_us)
        for latency_us, us in zip(latencies_us, predicted_us, strict=True)
    ]
    others = [median(ratios[:place] + ratios[place + 1 :]) for place in range(len(ratios))]
    by_ratio_us = [overhead_us + ratio * (us - overhead_us) for ratio, us in zip(others, predicted_us, strict=True)]
    problem = problem_of(nets, rows_us, overhead_us)
    fitted = solve(problem)
    errors: dict[Correction, list[float]] = {
        "none": _errors(predicted_us, latencies_us),
        "ratio": _errors(by_ratio_us, latencies_us),
        "fit": [abs(error) for error in left_out_errors(problem, fitted)],
    }
    how: Correction = "none"
    for further in errors:
        if further != how and _clearly_smaller(errors[further], errors[how]):
            how = further
    by_how: dict[Correction, InNet] = {"none": was, "ratio": was.times(median(ratios)), "fit": fitted.in_net}
    return Corrected(how, by_how[how])


def _errors(predicted_us: Sequence[float], latencies_us: Sequence[float]) -> list[float]:
    return [abs(us / latency_us - 1) for us, latency_us in zip(predicted_us, latencies_us, strict=True)]


def _clearly_smaller(errors: Sequence[float], others: Sequence[float]) -> bool:
    gains = [other - error for error, other in zip(errors, others, strict=True)]
    return fmean(gains) > stdev(gains) / math.sqrt(len(gains))
