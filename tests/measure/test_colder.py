"""How cold operators get behind others: read from the trial rounds, and asked for by nets."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest

from lutbench.measure.colder import colder
from lutbench.measure.in_net import COLDER, InNet, Setting
from lutbench.measure.measurements import Measurements
from lutbench.measure.protocol import Canary, Samples
from lutbench.measure.scale import fit_scale
from lutbench.space.fbnet import fbnet
from lutbench.space.operator import OVERHEAD
from tests.measure.timed_nets import mean_error, timed

SPACE = fbnet(224, 1.0)


def test_how_cold_an_operator_gets_is_a_ratio_within_rounds() -> None:
    data = Measurements([Canary("small", "conv", 1, 0.1)])
    for number, clock in enumerate((1.0, 1.5, 1.0)):  # a round in which all is slower says the same
        for depth, us in ((0, 100.0), (1, 104.0), (3, 112.0)):
            data.add(number, samples("a", depth, us * clock))
        data.add(number, samples("b", 0, 50.0))
        data.end(number)
    for number in range(3, 9):  # rounds after the trial, of another machine
        data.add(number, samples("a", 0, 300.0))
        data.end(number)
    found = colder(data, ["a", "b", "c"], (0, 1, 3))
    assert found == {"a": pytest.approx(0.08)}  # of b nothing is known behind others, of c nothing at all
    assert colder(data, ["a"], (0,)) == {}


def samples(name: str, depth: int, us: float) -> Samples:
    return Samples(name, depth, "small", (round(1e3 * us),), (50_000,))


def test_nets_ask_how_many_times_of_it_they_pay() -> None:
    rng, names = random.Random(1), [op.name for op in SPACE.operators if op.is_measured and op != OVERHEAD]
    rows = {name: rng.uniform(20, 200) for name in names} | {OVERHEAD.name: 2.0}
    cold = {name: max(0.0, rng.gauss(0.03, 0.04)) for name in names}
    truth = InNet(1.02, 1.0, {COLDER: 2.0}, cold)
    nets, unseen = (timed(SPACE, truth, rows, *which, purpose="cold") for which in ((32, 0), (100, 1)))
    setting = Setting(dtype="fp32", runtime="executorch")
    found = fit_scale(nets, rows, 2.0, setting, cold).in_net
    assert found.terms[COLDER] == pytest.approx(2.0, abs=0.4)
    assert mean_error(found, rows, unseen) < 0.005
    assert mean_error(fit_scale(nets, rows, 2.0, setting, {}).in_net, rows, unseen) > 0.01
    # a LUT that does not know how cold its operators get has none of the term
    assert fit_scale(nets, rows, 2.0, setting, {}).in_net.terms[COLDER] == 0.0


def test_what_an_operator_pays_goes_with_its_own_work() -> None:
    in_net = InNet(1.0, 0.5, {COLDER: 1.5}, {"a": 0.2})
    assert in_net.share_us("a", 12.0, 2.0) == pytest.approx(0.5 + 10 * (1 + 1.5 * 0.2))
    assert in_net.share_us("b", 12.0, 2.0) == pytest.approx(0.5 + 10)
    assert replace(in_net, colder={}).share_us("a", 12.0, 2.0) == in_net.share_us("b", 12.0, 2.0)
