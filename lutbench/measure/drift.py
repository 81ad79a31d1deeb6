"""Whether and how to correct a LUT for what a device has become since: judged by its own tuning nets, timed again."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import fmean, median, stdev
from typing import Literal

from lutbench.measure.in_net import InNet
from lutbench.measure.net_fit import NetMeasurement, left_out_errors, problem_of, solutions_without, solve
from lutbench.measure.scale import FEWEST_NETS

Correction = Literal["none", "ratio", "fit"]


@dataclass(frozen=True)
class Corrections:
    """What operators cost inside nets now, by correction, and how each errs at nets that had no part in it, fractions.

    none: as the LUT says. ratio: every net by one ratio, as where the clock is another. fit: fitted anew.
    """

    in_nets: Mapping[Correction, InNet]
    errors: Mapping[Correction, Sequence[float]]


def corrections(
    nets: Sequence[NetMeasurement],
    rows_us: Mapping[str, float],
    overhead_us: float,
    was: InNet,
    then_us: Mapping[str, float] | None = None,
) -> Corrections:
    """The corrections that the tuning nets, timed now, are enough for.

    then_us: what they took when the LUT was fitted to them. Each is then predicted by what the LUT would say without
    it: else a LUT looks better at the nets that it was fitted to than it is at others.
    """
    if len(nets) < FEWEST_NETS:
        return Corrections({"none": was}, {"none": ()})
    without = _without_each(nets, rows_us, overhead_us, was, then_us or {})
    none: list[float] = []
    ratio: list[float] = []
    for place, in_net in enumerate(without):
        own = nets[place]
        predicted_us = _predicted_us(own, in_net, rows_us, overhead_us)
        others = [*nets[:place], *nets[place + 1 :]]
        by_ratio_us = overhead_us + _ratio(others, in_net, rows_us, overhead_us) * (predicted_us - overhead_us)
        none.append(abs(predicted_us / own.latency_us - 1))
        ratio.append(abs(by_ratio_us / own.latency_us - 1))
    fitted = solve(problem_of(nets, rows_us, overhead_us, was.block_channels))
    fit = [abs(error) for error in left_out_errors(fitted)]
    by_ratio = was.times(_ratio(nets, was, rows_us, overhead_us))
    return Corrections(
        {"none": was, "ratio": by_ratio, "fit": fitted.in_net}, {"none": none, "ratio": ratio, "fit": fit}
    )


def choose(groups: Sequence[Corrections]) -> Correction:
    """The simplest correction that no further one clearly beats, over all groups of nets together.

    A correction is not free: it takes in the noise of the nets that it is made from, and where the device has not
    changed none is better. One beats another where its errors are smaller by more than a standard error of the pairs.
    """
    order: tuple[Correction, ...] = ("none", "ratio", "fit")
    chosen: Correction = "none"
    for further in order[1:]:
        if groups and all(further in group.in_nets for group in groups):
            errors, others = ([error for group in groups for error in group.errors[how]] for how in (further, chosen))
            if _clearly_smaller(errors, others):
                chosen = further
    return chosen


def _without_each(
    nets: Sequence[NetMeasurement],
    rows_us: Mapping[str, float],
    overhead_us: float,
    was: InNet,
    then_us: Mapping[str, float],
) -> list[InNet]:
    """For each net what the LUT says operators cost inside nets, fitted without it where its time then is known."""
    if len(nets) <= FEWEST_NETS or any(net.net not in then_us for net in nets):
        return [was] * len(nets)
    timed_then = [replace(net, latency_us=then_us[net.net]) for net in nets]
    then = solve(problem_of(timed_then, rows_us, overhead_us, was.block_channels))
    return [found.in_net for found in solutions_without(then)]


def _predicted_us(net: NetMeasurement, in_net: InNet, rows_us: Mapping[str, float], overhead_us: float) -> float:
    return in_net.net_us([(name, rows_us[name]) for name in net.operators], overhead_us)


def _ratio(nets: Sequence[NetMeasurement], in_net: InNet, rows_us: Mapping[str, float], overhead_us: float) -> float:
    """How much slower the nets are than predicted: their median."""
    return median(
        (net.latency_us - overhead_us) / (_predicted_us(net, in_net, rows_us, overhead_us) - overhead_us)
        for net in nets
    )


def _clearly_smaller(errors: Sequence[float], others: Sequence[float]) -> bool:
    gains = [other - error for error, other in zip(errors, others, strict=True)]
    return fmean(gains) > stdev(gains) / math.sqrt(len(gains))
