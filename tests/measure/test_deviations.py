"""Single operators of large tensors: how far each may deviate, and that nets tell which one does."""

from __future__ import annotations

from dataclasses import replace

import pytest

from lutbench.measure.deviations import freedom
from lutbench.measure.in_net import InNet, Setting
from lutbench.measure.net_fit import NetMeasurement
from lutbench.measure.scale import fit_scale
from tests.measure import timed_nets
from tests.measure.test_in_net import SPACE, rows_us
from tests.measure.timed_nets import mean_error

LARGE, SMALL = "ir_k3_e6_g1_16x112x112_16_s1", "ir_k3_e6_g1_184x7x7_184_s1"
FP32 = Setting(dtype="fp32", runtime="executorch")


def timed(truth: InNet, count: int, seed: int, noise: float) -> list[NetMeasurement]:
    return timed_nets.timed(SPACE, truth, rows_us(), count, seed, purpose="deviating", noise=noise)


def test_operators_of_small_tensors_may_hardly_deviate_and_no_one_beyond_the_largest() -> None:
    names = [op.name for op in SPACE.operators if op.is_measured]
    free = {name: freedom(name, "fp32", 1) for name in names}
    assert free[LARGE] == max(free.values()) == pytest.approx((2 * 96 * 112 * 112 * 4 / 1e7) ** 0.5)
    assert freedom(LARGE, "fp32", 2) == 1.0
    assert 0 < free[SMALL] < 0.25
    assert freedom(LARGE, "int8", 1) == pytest.approx((2 * 96 * 112 * 112 / 1e7) ** 0.5)
    assert freedom(SMALL, "fp32", 4) == pytest.approx(2 * free[SMALL])
    assert freedom("of_an_imported_table", "fp32", 1) == 0.0


@pytest.mark.parametrize("more", [0.15, -0.12])
def test_nets_tell_which_operator_deviates(more: float) -> None:
    rows, truth = rows_us(), InNet(1.02, 1.0, deviations={LARGE: more})
    nets, unseen = timed(truth, 32, 0, 0.003), timed(truth, 200, 1, 0.0)
    found = fit_scale(nets, rows, 2.0, FP32, {}).in_net
    assert 0.5 < found.deviations[LARGE] / more < 1.1
    others = [abs(own) for name, own in found.deviations.items() if name != LARGE]
    assert max(others) < abs(more) / 4
    assert mean_error(found, rows, unseen) < 0.006
    of_those_with_it = [net for net in unseen if LARGE in net.operators]
    without = mean_error(replace(found, deviations={}), rows, of_those_with_it)
    assert mean_error(found, rows, of_those_with_it) < without / 2


def test_where_no_operator_deviates_none_is_said_to() -> None:
    rows, truth = rows_us(), InNet(1.1, 2.0)
    exact = fit_scale(timed(truth, 32, 0, 0.0), rows, 2.0, FP32, {}).in_net
    assert max(map(abs, exact.deviations.values())) < 0.001
    noisy = fit_scale(timed(truth, 32, 0, 0.01), rows, 2.0, FP32, {}).in_net
    assert max(map(abs, noisy.deviations.values())) < 0.06
    assert mean_error(noisy, rows, timed(truth, 200, 1, 0.0)) < 0.006


def test_a_deviation_is_of_the_operators_own_work_and_goes_with_the_clock() -> None:
    in_net = InNet(1.0, 0.5, deviations={"a": 0.1})
    assert in_net.share_us("a", 12.0, 2.0) == pytest.approx(0.5 + 1.1 * 10)
    assert in_net.share_us("b", 12.0, 2.0) == pytest.approx(0.5 + 10)
    assert in_net.times(2.0).share_us("a", 12.0, 2.0) == pytest.approx(2 * (0.5 + 1.1 * 10))
