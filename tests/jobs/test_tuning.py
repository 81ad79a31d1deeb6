from __future__ import annotations

import random
from statistics import fmean

import numpy as np
import pytest

from lutbench.jobs.tuning import TUNING_NETS, draw_tuning_nets, tuning_nets_wanted
from lutbench.measure import net_fit
from lutbench.measure.design import lines, most_telling
from lutbench.measure.in_net import COLDER, InNet, Setting, fitted_terms
from lutbench.measure.neighbours import KEPT, Pairs
from lutbench.measure.net_fit import NetMeasurement
from lutbench.measure.scale import fit_scale
from lutbench.space.fbnet import fbnet
from lutbench.space.find import known_space
from lutbench.space.macro import Space
from lutbench.space.net import Net
from lutbench.space.operator import OVERHEAD
from lutbench.space.sampling import STRONG_TASTES, USUAL_TASTES, largest_net, random_nets, smallest_net

FBNET = fbnet(224, 1.0)


@pytest.mark.parametrize(("dtype", "at_random", "tastes"), [("int8", 20, USUAL_TASTES), ("fp32", 60, STRONG_TASTES)])
def test_most_nets_are_drawn_at_random_and_the_smallest_is_among_the_others(
    dtype: str, at_random: int, tastes: tuple[float, ...]
) -> None:
    nets = draw_tuning_nets((FBNET,), 0, dtype=dtype)
    assert len({net.key for net in nets}) == tuning_nets_wanted(dtype) == at_random * 8 / 5
    assert nets[:at_random] == random_nets(FBNET, at_random, 0, "tune", varied=True, tastes=tastes)
    assert smallest_net(FBNET, "tell_0_smallest") in nets[at_random:]
    assert (largest_net(FBNET, "tell_0_largest") == nets[at_random]) == (dtype != "int8")
    assert draw_tuning_nets((FBNET,), 0, dtype=dtype) == nets


def timed(nets: tuple[Net, ...], truth: InNet, rows_us: dict[str, float], noise: float) -> list[NetMeasurement]:
    rng, found = random.Random(5), []
    for net in nets:
        names = tuple(op.name for op in net.operators if op.is_measured)
        us = truth.net_us([(name, rows_us[name]) for name in names], 2.0)
        found.append(NetMeasurement(net.key, names, us * (1 + rng.gauss(0, noise))))
    return found


def worst_error(nets: tuple[Net, ...], judged: tuple[Net, ...], space: Space) -> float:
    rows = {op.name: 5 + op.macs / 1e5 + op.touched / 3e3 for op in space.operators if op.is_measured}
    rows[OVERHEAD.name] = 2.0
    truth = InNet(1.05, 6.0, {"weights": 60.0, "inputs_outputs": -120.0, "macs": 4.0})
    fit = fit_scale(timed(nets, truth, rows, 0.01), rows, 2.0, Setting(), {}).in_net
    errors = (
        abs(fit.net_us([(name, rows[name]) for name in net.operators], 2.0) / net.latency_us - 1)
        for net in timed(judged, truth, rows, 0.0)
    )
    return max(errors)


def test_nets_that_differ_say_more_of_odd_ones_than_as_many_drawn_at_random() -> None:
    judged = random_nets(FBNET, 100, 0, "verify", varied=True)
    chosen = fmean(worst_error(draw_tuning_nets((FBNET,), seed), judged, FBNET) for seed in range(4))
    drawn = fmean(
        worst_error(random_nets(FBNET, TUNING_NETS, seed, "tune", varied=True), judged, FBNET) for seed in range(4)
    )
    assert chosen < 0.8 * drawn


def test_the_most_telling_line_is_the_one_that_others_say_least_of() -> None:
    found = np.array([[1.0, 0.0], [1.0, 0.1], [0.0, 1.0], [0.9, 0.0], [0.0, 2.0]])
    assert most_telling(found, [0], 3) == [4, 1, 3]


def test_what_no_net_of_a_space_has_tells_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(net_fit, "pairs_of", lambda *_: Pairs())
    found = lines(random_nets(FBNET, 5, 0, "any"))
    assert np.isfinite(found).all()
    # how cold operators get is not known before they are measured
    none = [2 + fitted_terms(Setting(16)).index(term) for term in (KEPT, COLDER)]
    assert not found[:, none].any() and np.delete(found, none, axis=1).all()


def test_several_spaces_share_the_nets_and_a_space_of_few_has_random_ones() -> None:
    spaces = tuple(fbnet(resolution, 1.0) for resolution in (32, 64, 96))
    nets = draw_tuning_nets(spaces, 0)
    assert len({net.key for net in nets}) == 33
    assert {net.space.resolution for net in nets} == {32, 64, 96}


def test_no_net_has_more_arithmetic_or_weights_than_the_largest() -> None:
    for space in (FBNET, known_space("fbnetv2").scaled(224, 1.0), known_space("ofa-mobilenetv3").scaled(224, 1.0)):
        largest = largest_net(space, "n")
        assert largest is not None and largest.name.startswith("n@")
        for net in random_nets(space, 100, 0, "any", varied=True, tastes=STRONG_TASTES):
            assert net.macs <= largest.macs and net.params <= largest.params
    every = {op.name for op in FBNET.searchable_operators}
    assert largest_net(FBNET, "n", every) is None


def test_the_smallest_net_has_nothing_that_failed_and_the_fewest_channels() -> None:
    failed = {"ir_k3_e1_g2_112x14x14_184_s2"}
    for net in (*draw_tuning_nets((FBNET,), 0, failed), smallest_net(FBNET, "n", failed)):
        assert net is not None and failed.isdisjoint(op.name for op in net.operators)
    every = {op.name for op in FBNET.searchable_operators}
    assert smallest_net(FBNET, "n", every) is None
    choosing = known_space("fbnetv2").scaled(224, 1.0)
    found = smallest_net(choosing, "n")
    assert found is not None and found.space.resolution == min(choosing.resolutions)
    assert all(found.macs <= net.macs for net in random_nets(choosing, 100, 0, "any"))
