from __future__ import annotations

import random
from dataclasses import replace
from statistics import median

import pytest

from lutbench.measure.in_net import (
    COLDER,
    HOT_WEIGHTS,
    PACKED_WEIGHTS,
    SIDES,
    TERMS,
    WEIGHTS,
    InNet,
    Setting,
    amounts,
    fitted_terms,
    side_powers,
)
from lutbench.measure.net_fit import NetMeasurement, left_out_errors, problem_of, solve
from lutbench.measure.scale import fit_scale
from lutbench.space.fbnet import fbnet
from lutbench.space.operator import OVERHEAD
from lutbench.space.sampling import random_nets

SPACE = fbnet(224, 1.0)
OVERHEAD_US = 2.0


def rows_us() -> dict[str, float]:
    """Rows that grow with the work, each with an oddity of its own."""
    rng = random.Random(1)
    return {
        op.name: OVERHEAD_US + (10 + 30 * op.macs / 1e6 + 50 * op.touched / 1e6) * rng.uniform(0.8, 1.2)
        for op in SPACE.operators
        if op.is_measured and op != OVERHEAD
    } | {OVERHEAD.name: OVERHEAD_US}


def measured(
    truth: InNet, count: int, noise: float, seed: int = 0, noise_seed: int | None = None
) -> list[NetMeasurement]:
    rows, rng = rows_us(), random.Random(seed if noise_seed is None else noise_seed)
    found = []
    for net in random_nets(SPACE, count, seed, "test"):
        names = tuple(op.name for op in net.operators)
        latency_us = truth.net_us([(name, rows[name]) for name in names], OVERHEAD_US)
        found.append(NetMeasurement(net.key, names, latency_us * (1 + rng.gauss(0, noise))))
    return found


def amount(term: str, operator: str) -> float:
    return dict(zip(TERMS, amounts(operator), strict=True))[term]


def errors_of(in_net: InNet, nets: list[NetMeasurement]) -> list[float]:
    rows = rows_us()
    return [
        in_net.net_us([(name, rows[name]) for name in net.operators], OVERHEAD_US) / net.latency_us - 1 for net in nets
    ]


def one_ratio(nets: list[NetMeasurement]) -> InNet:
    """What nets say where all operators are slower by one ratio."""
    return InNet(1 / median(1 + error for error in errors_of(InNet(), nets)))


def test_overhead_is_paid_once() -> None:
    assert InNet().net_us([("a", 13.0), ("b", 23.0)], 3.0) == 3 + 10 + 20
    assert InNet(1.1).net_us([("a", 13.0), ("b", 23.0)], 3.0) == pytest.approx(3 + 33)
    assert InNet(1.1, 2.0).net_us([("a", 13.0), ("b", 23.0)], 3.0) == pytest.approx(3 + 33 + 4)
    assert InNet(1.1, 2.0).net_us([], 3.0) == 3.0


def test_terms_go_with_what_an_operator_moves_and_an_unknown_shape_has_none() -> None:
    name = "ir_k5_e1_g2_16x112x112_16_s1"
    weights, moved, grouped, residual, macs, *_ = amounts(name)
    assert weights == pytest.approx((16 * 8 + 25 * 16 + 16 * 8) / 1e6)
    assert moved == grouped == pytest.approx(2 * 16 * 112 * 112 / 1e6)
    assert macs == pytest.approx((16 * 8 + 25 * 16 + 16 * 8) * 112 * 112 / 1e6)
    assert residual == 0  # where it computes, its addition is a part of it, alone and in nets
    assert amounts(name.replace("_g2_", "_g1_"))[2:4] == pytest.approx((0, moved / 2))
    assert amounts(name.replace("_g2_", "_g1_").replace("_16_s1", "_24_s1"))[3] == 0
    assert InNet(1.0, 0.0, {"grouped": 100.0}).share_us(name, 50.0, 2.0) == pytest.approx(48 + 100 * moved)
    assert amounts("foreign_x") == amounts("nothing") == (0.0,) * len(TERMS)


def test_weights_are_hot_alone_where_a_cache_holds_them() -> None:
    """What an operator's weights cost more inside a net grows with them, and falls again where no cache holds them."""
    hot = [amount(HOT_WEIGHTS, f"conv_k1_{channels}x7x7_{channels}_s1") for channels in (64, 256, 640, 1280, 2560)]
    assert hot[0] == pytest.approx(64 * 64 / 1e6, rel=0.01)
    assert hot[0] < hot[1] < hot[2] > hot[3] > hot[4]
    assert hot[4] < 1e-4 and max(hot) < 0.5 / 2.7


def test_each_runtime_and_type_has_the_weights_that_count_there() -> None:
    asked = {
        Setting(): {WEIGHTS},
        Setting(runtime="onnxruntime"): {WEIGHTS},
        Setting(runtime="executorch"): {PACKED_WEIGHTS},
        Setting(dtype="fp32", runtime="onnxruntime"): {HOT_WEIGHTS},
        Setting(dtype="fp32", runtime="executorch"): {WEIGHTS, HOT_WEIGHTS},
    }
    for setting, terms in asked.items():
        assert {WEIGHTS, HOT_WEIGHTS, PACKED_WEIGHTS} & set(fitted_terms(setting)) == terms


def test_packed_weights_are_found_where_nets_ask_for_them() -> None:
    kernels = [f"ir_k{kernel}_e{wider}_g1_16x28x28_16_s1" for kernel in (3, 5, 7) for wider in (3, 4, 6)]
    rng = random.Random(0)
    rows = {name: 100.0 + 10 * place for place, name in enumerate(kernels)}
    truth = InNet(1.05, 1.0, {PACKED_WEIGHTS: 80.0})
    chosen = [tuple(rng.choices(kernels, k=12)) for _ in range(32)]
    nets = [
        NetMeasurement(str(n), one, truth.net_us([(name, rows[name]) for name in one], 2.0))
        for n, one in enumerate(chosen)
    ]
    fit = fit_scale(nets, rows, 2.0, Setting(runtime="executorch"), {}).in_net
    for one in [tuple([name] * 12) for name in kernels]:
        own = [(name, rows[name]) for name in one]
        assert fit.net_us(own, 2.0) == pytest.approx(truth.net_us(own, 2.0), rel=0.01)


def test_hot_weights_are_found_where_nets_ask_for_them() -> None:
    """In fp32, in place of all weights."""
    truth = InNet(1.02, 1.0, {HOT_WEIGHTS: 1500.0})
    nets, unseen = measured(truth, 32, 0.005), measured(truth, 100, 0.0, seed=1)
    fit = fit_scale(nets, rows_us(), OVERHEAD_US, Setting(dtype="fp32"), {}).in_net
    assert WEIGHTS not in fit.terms
    without = replace(fit, terms={name: us for name, us in fit.terms.items() if name != HOT_WEIGHTS})
    errors = [sum(map(abs, errors_of(found, unseen))) / 100 for found in (fit, without)]
    assert errors[0] < 0.006 < 0.01 < errors[1]


def test_the_scale_goes_with_the_side_of_the_feature_map() -> None:
    small, usual, large = "conv_k1_16x1x1_24_s1", "conv_k1_16x12x13_24_s1", "conv_k1_16x112x112_24_s1"
    assert side_powers(small) == pytest.approx((-1.1, 1.21, -1.331))
    assert side_powers(usual) == pytest.approx((0, 0, 0), abs=0.01)
    z = side_powers(large)[0]
    assert 10 ** (z + 1.1) == pytest.approx(112)
    sized = InNet(1.0, 0.0, {"side": 0.1, "side_2": 0.02, "side_3": -0.03})
    assert sized.share_us(large, 52.0, 2.0) == pytest.approx(50 * (1 + 0.1 * z + 0.02 * z**2 - 0.03 * z**3))
    assert sized.times(2.0).share_us(large, 52.0, 2.0) == pytest.approx(2 * sized.share_us(large, 52.0, 2.0))
    assert side_powers("foreign_x") == (0.0,) * len(SIDES)


def test_a_scale_of_the_feature_map_is_found_where_nets_ask_for_it() -> None:
    truth = InNet(1.05, 1.0, {"side": -0.4, "side_3": 0.3})
    nets, unseen = measured(truth, 32, 0.01), measured(truth, 100, 0.0, seed=1)
    fit = fit_scale(nets, rows_us(), OVERHEAD_US, Setting(), {})
    assert (
        set(fit.in_net.terms)
        == {*TERMS, *SIDES, COLDER} - {HOT_WEIGHTS, PACKED_WEIGHTS}
        == set(fitted_terms(Setting()))
    )
    with_sizes, without = (sum(map(abs, errors_of(found, unseen))) / 100 for found in (fit.in_net, one_ratio(nets)))
    assert with_sizes < 0.006 < 0.01 < without


def test_what_no_net_has_is_not_asked_for() -> None:
    names = [op.name for op in SPACE.operators if op.is_measured and op.groups == 1 and not op.has_residual]
    rows, rng = rows_us(), random.Random(3)
    nets = []
    for number in range(14):
        drawn = tuple(rng.sample([name for name in names if name in rows], 12))
        nets.append(NetMeasurement(str(number), drawn, InNet(1.1).net_us([(n, rows[n]) for n in drawn], OVERHEAD_US)))
    fit = fit_scale(nets, rows, OVERHEAD_US, Setting(), {}).in_net
    assert fit.terms["grouped"] == fit.terms["residual"] == 0
    assert fit.scale == pytest.approx(1.1, abs=0.01)


def test_what_depends_on_layout_and_bytes_is_found_where_nets_ask_for_it() -> None:
    truth = InNet(1.05, 3.0, {"weights": 600.0, "inputs_outputs": -60.0, "macs": 10.0})
    nets, unseen = measured(truth, 32, 0.005), measured(truth, 100, 0.0, seed=1)
    fit = fit_scale(nets, rows_us(), OVERHEAD_US, Setting(), {})
    with_terms, without = (sum(map(abs, errors_of(found, unseen))) / 100 for found in (fit.in_net, one_ratio(nets)))
    assert with_terms < 0.006 < 0.01 < without


def test_where_nets_do_not_ask_for_terms_they_cost_nothing() -> None:
    truth = InNet(1.02, 1.0)
    unseen = measured(truth, 100, 0.0, seed=1)
    worst = []
    for seed in range(2, 8):
        fit = fit_scale(measured(truth, 14, 0.01, seed), rows_us(), OVERHEAD_US, Setting(), {})
        worst.append(sum(map(abs, errors_of(fit.in_net, unseen))) / 100)
    assert sum(worst) / len(worst) < 0.006


def test_left_out_errors_are_of_nets_that_the_fit_has_not_seen() -> None:
    nets = measured(InNet(1.02), 14, 0.01)
    odd = [NetMeasurement("odd", nets[0].operators, 2 * nets[0].latency_us), *nets[1:]]
    assert left_out_errors(solve(problem_of(odd, rows_us(), OVERHEAD_US, Setting(), {})))[0] == pytest.approx(
        -0.5, abs=0.03
    )
    found = solve(problem_of(nets, rows_us(), OVERHEAD_US, Setting(), {}))
    spread, in_sample = (
        sum(error**2 for error in errors) for errors in (left_out_errors(found), errors_of(found.in_net, nets))
    )
    assert spread > in_sample
