from __future__ import annotations

from dataclasses import replace
from statistics import fmean

import pytest

from lutbench.measure.drift import Correction, Corrections, choose, corrections
from lutbench.measure.in_net import InNet, Setting
from lutbench.measure.net_fit import NetMeasurement, problem_of, solve
from tests.measure.test_in_net import OVERHEAD_US, errors_of, measured, rows_us

WAS = InNet(1.05, 2.0, {"weights": 40.0})


def corrected(nets: list[NetMeasurement]) -> tuple[Correction, InNet]:
    found = corrections([nets], rows_us(), OVERHEAD_US, WAS, Setting())
    how = choose(found)
    return how, found.in_nets[how][0]


def test_a_device_that_has_not_changed_is_mostly_left_alone() -> None:
    found = [corrected(measured(WAS, 22, 0.01, seed))[0] for seed in range(12)]
    assert found.count("none") >= 8
    assert "fit" not in found


def test_another_clock_is_one_ratio() -> None:
    how, in_net = corrected(measured(WAS.times(1.08), 22, 0.004))
    assert how == "ratio"
    assert in_net.scale == pytest.approx(1.05 * 1.08, rel=0.004)


def test_weights_that_have_become_dearer_are_fitted_anew() -> None:
    now = InNet(1.0, 2.0, {"weights": 900.0})
    how, in_net = corrected(measured(now, 22, 0.004))
    assert how == "fit"
    unseen = measured(now, 50, 0.0, seed=1)
    assert sum(map(abs, errors_of(in_net, unseen))) / 50 < 0.006


def test_too_few_nets_correct_nothing() -> None:
    assert corrected(measured(WAS.times(2), 2, 0.0)) == ("none", WAS)


def test_a_lut_is_not_judged_by_the_nets_that_it_was_fitted_to() -> None:
    """What a net errs by for good, a fit to it hides: at others the LUT errs as at those that it was made without."""
    seen, unseen = [], []
    for seed in range(6):
        nets = measured(WAS, 22, 0.02, seed)
        was = solve(problem_of(nets, rows_us(), OVERHEAD_US, Setting(), {})).in_net
        then_us = {net.net: net.latency_us for net in nets}
        fair = corrections([nets], rows_us(), OVERHEAD_US, was, Setting(), then_us).errors["none"]
        blind = corrections([nets], rows_us(), OVERHEAD_US, was, Setting()).errors["none"]
        assert fmean(fair) > fmean(blind)
        seen.append(fmean(fair))
        unseen.append(fmean(map(abs, errors_of(was, measured(WAS, 60, 0.02, seed + 100)))))
    assert fmean(seen) == pytest.approx(fmean(unseen), rel=0.1)


def test_nets_of_which_one_has_no_time_of_then_are_judged_by_the_lut_as_it_is() -> None:
    nets = measured(WAS, 22, 0.01)
    then_us = {net.net: net.latency_us for net in nets[1:]}
    found = corrections([nets], rows_us(), OVERHEAD_US, WAS, Setting(), then_us)
    assert found == corrections([nets], rows_us(), OVERHEAD_US, WAS, Setting())


def of_errors(none: list[float], ratio: list[float], fit: list[float]) -> Corrections:
    in_nets: dict[Correction, list[InNet]] = {"none": [WAS], "ratio": [WAS], "fit": [WAS]}
    return Corrections(in_nets, {"none": none, "ratio": ratio, "fit": fit})


def test_of_a_ratio_and_a_fit_the_fit_unless_the_ratio_is_clearly_better() -> None:
    none, ratio = [0.1, 0.11, 0.12, 0.1], [0.01, 0.02, 0.03, 0.02]
    for fit, expected in (
        ([0.01, 0.02, 0.03, 0.019], "fit"),
        ([0.01, 0.021, 0.029, 0.021], "fit"),  # worse, by less than it differs from net to net
        ([0.011, 0.022, 0.033, 0.022], "ratio"),
    ):
        assert choose(of_errors(none, ratio, fit)) == expected
    assert choose(of_errors([0.021, 0.01, 0.03, 0.02], ratio, [0.019, 0.019, 0.03, 0.01])) == "none"


def test_groups_decide_together() -> None:
    """A gain that is lost in one group's noise shows in four of them; one of too few nets decides for none."""
    none = [0.01, 0.02, 0.03, 0.02]
    gains = [0.004, -0.002, 0.003, -0.001]
    ratio = [error - gain for error, gain in zip(none, gains, strict=True)]
    fit = [0.1, 0.11, 0.12, 0.1]
    for groups, expected in ((1, "none"), (4, "ratio")):
        assert choose(of_errors(none * groups, ratio * groups, fit * groups)) == expected
    nets = measured(WAS.times(2), 22, 0.0)
    assert choose(corrections([nets, nets[:2]], rows_us(), OVERHEAD_US, WAS, Setting())) == "none"


def test_groups_are_fitted_together_and_each_has_its_own_ratio() -> None:
    now = InNet(1.0, 2.0, {"weights": 900.0})
    ratios = (0.9, 1.0, 1.2, 1.05)
    groups = [measured(now.times(ratio), 22, 0.02, seed=0, noise_seed=number) for number, ratio in enumerate(ratios)]
    found = corrections(groups, rows_us(), OVERHEAD_US, WAS, Setting())
    assert choose(found) == "fit"
    assert {len(errors) for errors in found.errors.values()} == {22}  # a net's errors in the groups are one of its own
    together, alone = [], []
    for number, ratio in enumerate(ratios):
        unseen = measured(now.times(ratio), 50, 0.0, seed=1)
        alone_found = corrections([groups[number]], rows_us(), OVERHEAD_US, WAS, Setting()).in_nets["fit"][0]
        together.append(fmean(map(abs, errors_of(found.in_nets["fit"][number], unseen))))
        alone.append(fmean(map(abs, errors_of(alone_found, unseen))))
    assert fmean(together) < 0.75 * fmean(alone)


def test_one_odd_net_moves_a_ratio_by_its_share() -> None:
    nets = measured(WAS.times(1.1), 22, 0.0)
    odd = [replace(nets[0], latency_us=1.22 * nets[0].latency_us), *nets[1:]]
    found = corrections([odd], rows_us(), OVERHEAD_US, WAS, Setting()).in_nets["ratio"][0]
    assert found.scale / WAS.scale == pytest.approx(1.1 * 1.22 ** (1 / 22), rel=0.002)
