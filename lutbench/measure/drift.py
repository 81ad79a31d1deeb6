"""Whether and how to correct a LUT for what a device has become since: judged by its own tuning nets, timed again."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import fmean, geometric_mean, stdev
from typing import Literal

from lutbench.measure.common_drift import without_common_drift
from lutbench.measure.in_net import InNet, Setting
from lutbench.measure.net_fit import NetMeasurement, Solution, problem_of, solutions_without, solve
from lutbench.measure.scale import FEWEST_NETS

Correction = Literal["none", "ratio", "fit"]
Nets = Sequence[NetMeasurement]


@dataclass(frozen=True)
class Corrections:
    """What operators cost inside nets now, for each group of nets, by correction; and how each errs at nets that had no
    part in it, fractions: of each net the mean over groups, for what a net errs by in one it mostly does in others.

    none: as the LUT says. ratio: every net of a group by one ratio, as where the clock is another. fit: fitted anew to
    the nets of all groups together, and each group by a ratio.
    """

    in_nets: Mapping[Correction, Sequence[InNet]]
    errors: Mapping[Correction, Sequence[float]]


@dataclass(frozen=True)
class _Rows:
    """A LUT's rows and the overhead of a call, microseconds, by which nets are predicted.

    colder: how much more operators take behind others, a fraction.
    """

    latencies_us: Mapping[str, float]
    overhead_us: float
    colder: Mapping[str, float]

    def predicted_us(self, net: NetMeasurement, in_net: InNet) -> float:
        return in_net.net_us([(name, self.latencies_us[name]) for name in net.operators], self.overhead_us)

    def ratio(self, nets: Nets, in_net: InNet) -> float:
        """Says how much slower the nets are than predicted, in the geometric mean of those that are longer than a call.

        Not the median: some of the tuning nets are unlike others, and what they err by would move it by more than their
        share.
        """
        ratios = [
            (net.latency_us - self.overhead_us) / (predicted_us - self.overhead_us)
            for net in nets
            if min(net.latency_us, predicted_us := self.predicted_us(net, in_net)) > self.overhead_us
        ]
        return geometric_mean(ratios) if ratios else 1.0

    def fitted(self, nets: Nets, setting: Setting) -> Solution:
        return solve(problem_of(nets, self.latencies_us, self.overhead_us, setting, self.colder))


def corrections(
    groups: Sequence[Nets],
    rows_us: Mapping[str, float],
    overhead_us: float,
    was: InNet,
    setting: Setting,
    then_us: Mapping[str, float] | None = None,
) -> Corrections:
    """The corrections that the tuning nets, timed again beside each group, are enough for.

    then_us: what they took when the LUT was fitted to them. Each is then predicted by what the LUT would say without
    it: else a LUT looks better at the nets that it was fitted to than it is at others.
    """
    if any(len(nets) < FEWEST_NETS for nets in groups):
        return Corrections({"none": [was] * len(groups)}, {"none": ()})
    rows = _Rows(rows_us, overhead_us, was.colder)
    together = _of_all(groups)
    fitted = rows.fitted(together, setting)
    without = dict(zip([net.net for net in together], solutions_without(fitted), strict=True))
    fit_without = {name: found.in_net for name, found in without.items()}
    lut_without = _lut_without(groups, rows, was, then_us or {}, setting)
    return Corrections(
        {
            "none": [was] * len(groups),
            "ratio": [_by_ratio(rows, nets, was) for nets in groups],
            "fit": [_by_ratio(rows, nets, fitted.in_net) for nets in groups],
        },
        {
            "none": _of_each_net(groups, lambda nets: _errors(rows, nets, lut_without)),
            "ratio": _of_each_net(groups, lambda nets: _errors_by_ratio(rows, nets, lut_without)),
            "fit": _of_each_net(groups, lambda nets: _errors_by_ratio(rows, nets, fit_without)),
        },
    )


def choose(found: Corrections) -> Correction:
    """The fit is taken where it is clearly better than none, unless the ratio is clearly better than the fit.

    Where the fit is not, a ratio that is.

    A correction is not free: it takes in the noise of the nets that it is made from, and where the device has not
    changed none is better. One beats another where its errors are smaller by more than a standard error of the pairs.
    A device that has changed has seldom changed by one ratio: at nets that had no part in it the fit was better than
    the ratio in 39 of 40 LUTs, which the few tuning nets do not always show (docs/notes/measured.md: which correction).
    """
    errors = found.errors
    further: tuple[Correction, ...] = ("ratio", "fit")
    better = [how for how in further if how in errors and _clearly_smaller(errors[how], errors["none"])]
    if "fit" in better and not _clearly_smaller(errors["ratio"], errors["fit"]):
        return "fit"
    return better[0] if better else "none"


def _of_all(groups: Sequence[Nets]) -> list[NetMeasurement]:
    """Every net once, with its latency over all groups; what a group's nets have in common is taken out of each."""
    measured = {net.net: net for nets in groups for net in nets}
    by_group: dict[str, dict[int, float]] = {name: {} for name in measured}
    for number, nets in enumerate(groups):
        for net in nets:
            by_group[net.net][number] = net.latency_us
    alike = without_common_drift(by_group)
    return [replace(net, latency_us=geometric_mean(alike[name].values())) for name, net in measured.items()]


def _lut_without(
    groups: Sequence[Nets], rows: _Rows, was: InNet, then_us: Mapping[str, float], setting: Setting
) -> dict[str, InNet]:
    """For each net what the LUT says operators cost inside nets, fitted without it where its time then is known."""
    nets = {net.net: net for group in groups for net in group}
    if len(nets) <= FEWEST_NETS or nets.keys() - then_us.keys():
        return dict.fromkeys(nets, was)
    then = rows.fitted([replace(net, latency_us=then_us[name]) for name, net in nets.items()], setting)
    return {name: found.in_net for name, found in zip(nets, solutions_without(then), strict=True)}


def _by_ratio(rows: _Rows, nets: Nets, in_net: InNet) -> InNet:
    return in_net.times(rows.ratio(nets, in_net))


def _of_each_net(groups: Sequence[Nets], errors_of: Callable[[Nets], Iterator[float]]) -> list[float]:
    """The nets' errors, each the mean of those in the groups."""
    found: dict[str, list[float]] = {}
    for nets in groups:
        for net, error in zip(nets, errors_of(nets), strict=True):
            found.setdefault(net.net, []).append(error)
    return [fmean(errors) for errors in found.values()]


def _errors(rows: _Rows, nets: Nets, without: Mapping[str, InNet]) -> Iterator[float]:
    """What each net errs by under what was made without it."""
    for net in nets:
        yield abs(rows.predicted_us(net, without[net.net]) / net.latency_us - 1)


def _errors_by_ratio(rows: _Rows, nets: Nets, without: Mapping[str, InNet]) -> Iterator[float]:
    """The same with the others' ratio taken in."""
    for place, net in enumerate(nets):
        in_net = without[net.net]
        ratio = rows.ratio([*nets[:place], *nets[place + 1 :]], in_net)
        by_ratio_us = rows.overhead_us + ratio * (rows.predicted_us(net, in_net) - rows.overhead_us)
        yield abs(by_ratio_us / net.latency_us - 1)


def _clearly_smaller(errors: Sequence[float], others: Sequence[float]) -> bool:
    gains = [other - error for error, other in zip(errors, others, strict=True)]
    return fmean(gains) > stdev(gains) / math.sqrt(len(gains))
