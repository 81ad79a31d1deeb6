from __future__ import annotations

import pytest

from lutbench.measure.drift import correct
from lutbench.measure.in_net import InNet
from tests.measure.test_in_net import OVERHEAD_US, errors_of, measured, rows_us

WAS = InNet(1.05, 2.0, {"weights": 40.0})


def test_a_device_that_has_not_changed_is_mostly_left_alone() -> None:
    found = [correct(measured(WAS, 22, 0.01, seed), rows_us(), OVERHEAD_US, WAS).how for seed in range(12)]
    assert found.count("none") >= 8
    assert "fit" not in found


def test_another_clock_is_one_ratio() -> None:
    nets = measured(WAS.times(1.08), 22, 0.004)
    found = correct(nets, rows_us(), OVERHEAD_US, WAS)
    assert found.how == "ratio"
    assert found.in_net.scale == pytest.approx(1.05 * 1.08, rel=0.004)


def test_weights_that_have_become_dearer_are_fitted_anew() -> None:
    now = InNet(1.0, 2.0, {"weights": 900.0})
    found = correct(measured(now, 22, 0.004), rows_us(), OVERHEAD_US, WAS)
    assert found.how == "fit"
    unseen = measured(now, 50, 0.0, seed=1)
    assert sum(map(abs, errors_of(found.in_net, unseen))) / 50 < 0.006


def test_too_few_nets_correct_nothing() -> None:
    assert correct(measured(WAS.times(2), 2, 0.0), rows_us(), OVERHEAD_US, WAS).in_net == WAS
