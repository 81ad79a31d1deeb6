"""Terms of neighbours: what counts as a pair, and that nets tell them."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest

from lutbench.measure.in_net import OF_CHAINS, InNet, Setting, fitted_terms
from lutbench.measure.layouts import Kept
from lutbench.measure.neighbours import (
    ALIKE,
    BOUNDARIES,
    EVICTED,
    KEPT,
    NEIGHBOUR_TERMS,
    REGROUPED,
    SLOWED,
    SLOWED_WEIGHTS,
    SPARED,
    Before,
    Pairs,
    neighbour_of,
    neighbour_of_name,
    pairs_of,
)
from lutbench.measure.scale import fit_scale
from lutbench.measure.tensors import widest_layer
from lutbench.measure.wide_kernels import has_wide_kernel
from lutbench.space.find import known_space
from lutbench.space.operator import OVERHEAD, parse_operator
from tests.measure.timed_nets import mean_error, timed

SPACE = known_space("fbnet-cifar").scaled(32, 1.0)
STEM, WIDER = "stem_k3_3x16x16_16_s2", "ir_k3_e3_g1_16x8x8_24_s1"
RESIDUAL, GROUPED, SKIP = "ir_k3_e3_g1_16x8x8_16_s1", "ir_k3_e1_g2_16x8x8_16_s1", "identity_16x8x8"


def made_rows() -> dict[str, float]:
    rng = random.Random(3)
    return {op.name: rng.uniform(20, 200) for op in SPACE.operators if op.is_measured} | {OVERHEAD.name: 2.0}


def besides(pairs: Pairs) -> Pairs:
    """The same without what large tensors evict, which is more than nothing in every net."""
    assert pairs.evicted > 0
    return replace(pairs, evicted=0.0)


def test_a_residual_block_is_the_first_or_behind_another() -> None:
    assert besides(pairs_of([STEM, WIDER], 0)) == Pairs()
    assert besides(pairs_of([STEM, RESIDUAL], 0)) == Pairs(first_residuals=1)
    assert besides(pairs_of([STEM, RESIDUAL, SKIP, RESIDUAL, WIDER], 0)) == Pairs(alike=2, first_residuals=1)
    assert pairs_of([RESIDUAL, WIDER, RESIDUAL.replace("16", "24")], 0).first_residuals == 2


def test_blocks_are_alike_whatever_their_kernels_and_shapes() -> None:
    other_kernel, other_expansion = (RESIDUAL.replace(*change) for change in (("k3", "k5"), ("e3", "e6")))
    assert pairs_of([RESIDUAL, other_kernel, WIDER], 0).alike == 2
    assert pairs_of([RESIDUAL, other_expansion, RESIDUAL], 0).alike == 0
    assert pairs_of([RESIDUAL, RESIDUAL.replace("_g1_", "_g1_hswish_")], 0).alike == 0
    assert pairs_of(["nothing", "nothing", "foreign_x", "foreign_y"], 0).alike == 0


def test_grouped_blocks_beside_others_are_counted() -> None:
    assert pairs_of([STEM, GROUPED, GROUPED, RESIDUAL, RESIDUAL, SKIP, GROUPED], 0).regrouped == 3
    assert pairs_of([GROUPED, "foreign_x", RESIDUAL], 0).regrouped == 0


def test_a_net_is_spared_what_stays_in_blocks_and_what_convolutions_add() -> None:
    elements = 16 * 8 * 8 / 1e6
    assert besides(pairs_of([STEM, RESIDUAL], 16)) == Pairs(Kept(elements, 1), elements, first_residuals=1)
    assert pairs_of([STEM, RESIDUAL, RESIDUAL], 16).spared == pytest.approx(6 * elements)
    # alone, a grouped block copies its input before its last convolution adds to it; what is behind it is not in blocks
    assert pairs_of([GROUPED, RESIDUAL], 16).spared == pytest.approx(elements)
    assert pairs_of([RESIDUAL, GROUPED], 16).spared == pytest.approx(elements)
    assert pairs_of([STEM, RESIDUAL, GROUPED], 0).spared == 0


def test_all_behind_a_wide_kernel_is_slowed_and_wide_kernels_are_not() -> None:
    wide, moved = RESIDUAL.replace("k3", "k7"), 16 * 8 * 8 / 1e6
    assert pairs_of([STEM, RESIDUAL, wide], 0).slowed == 0
    assert pairs_of([wide, RESIDUAL, wide, SKIP, RESIDUAL, GROUPED], 0).slowed == pytest.approx(3 * 2 * moved)
    assert pairs_of([wide, WIDER], 0).slowed == pytest.approx((16 + 24) * 8 * 8 / 1e6)
    weights = [parse_operator(name).params / 1e6 for name in (WIDER, RESIDUAL)]
    assert pairs_of([RESIDUAL, wide, WIDER, wide, RESIDUAL], 0).slowed_weights == pytest.approx(sum(weights))
    assert neighbour_of(parse_operator("foreign_x"), 0).pairs(Before(is_slow=True)) == Pairs()


def test_weights_count_by_the_widest_layer_before_them() -> None:
    def weights(*names: str) -> float:
        return sum(parse_operator(name).params for name in names) / 1e6

    small, large = 2**-9, 2**-7.5  # of some 2,000 and 6,000 elements, by half octaves of a million
    assert widest_layer(parse_operator(STEM)) / 1e6 == 0.001792
    assert widest_layer(parse_operator(RESIDUAL)) / 1e6 == 0.006144
    assert pairs_of([STEM], 0).evicted == 0
    assert pairs_of([STEM, RESIDUAL], 0).evicted == pytest.approx(small * weights(RESIDUAL))
    # what is narrower behind it takes its place no more than a layer that is left out
    found = pairs_of([STEM, RESIDUAL, SKIP, GROUPED, "nothing", WIDER], 0)
    assert found.evicted == pytest.approx(small * weights(RESIDUAL) + large * weights(GROUPED, WIDER))
    assert pairs_of(["foreign_x", "nothing"], 0) == Pairs()


def test_a_layer_that_is_left_out_is_no_neighbour() -> None:
    assert pairs_of([GROUPED, SKIP, GROUPED], 16) == pairs_of([GROUPED, GROUPED], 16)
    before = Before(True, True, True, "any", True, 0.5)
    assert neighbour_of_name(SKIP, 16).after(before) == before


def test_sums_of_pairs() -> None:
    one = Pairs(Kept(0.5, 1), 0.25, 2, 3, 4, 0.125, 0.75, 0.375)
    assert one + one == Pairs(Kept(1.0, 2), 0.5, 4, 6, 8, 0.25, 1.5, 0.75)
    assert [term.amount(one) for term in NEIGHBOUR_TERMS.values()] == [0.5, 1.25, 1, 2, 3, 4, 0.125, 0.75, 0.375]


def test_int8_is_asked_for_one_by_its_runtime_and_chains_for_none() -> None:
    assert fitted_terms(Setting(runtime="torch"))[0] == ALIKE
    assert set(fitted_terms(Setting(runtime="executorch"))) & set(NEIGHBOUR_TERMS) == {SLOWED}
    in_fp32 = fitted_terms(Setting(dtype="fp32", runtime="executorch"))
    assert set(in_fp32) & set(NEIGHBOUR_TERMS) == {ALIKE, SLOWED_WEIGHTS, EVICTED}
    for setting in (OF_CHAINS, Setting(threads=2, runtime="onnxruntime")):
        assert not set(fitted_terms(setting)) & set(NEIGHBOUR_TERMS)


@pytest.mark.parametrize(
    ("terms", "told_by", "not_told_by"),
    [
        ({KEPT: -2000.0, "macs": 3.0}, Setting(16), Setting()),
        ({SPARED: -800.0, BOUNDARIES: -15.0}, Setting(16, threads=2, dtype="fp32"), Setting(16)),
        ({SPARED: -1500.0, REGROUPED: 20.0}, Setting(16, dtype="fp32"), Setting(16)),
        ({ALIKE: 40.0}, Setting(dtype="fp32", runtime="executorch"), Setting()),
        ({ALIKE: -40.0}, Setting(runtime="torch"), Setting()),
        ({EVICTED: 1500.0}, Setting(dtype="fp32"), Setting()),
    ],
)
def test_nets_ask_for_what_their_neighbours_take(
    terms: dict[str, float], told_by: Setting, not_told_by: Setting
) -> None:
    rows = made_rows()
    truth = InNet(1.02, 1.0, terms, block_channels=16)
    nets, unseen = (timed(SPACE, truth, rows, *which, purpose="kept") for which in ((22, 0), (60, 1)))
    errors = [
        mean_error(fit_scale(nets, rows, 2.0, setting, {}).in_net, rows, unseen) for setting in (told_by, not_told_by)
    ]
    assert errors[0] < 0.005 < 0.01 < errors[1]


@pytest.mark.parametrize(
    ("term", "price_us", "dtype", "slower", "least"),
    [(SLOWED, 320.0, "int8", 10, 200.0), (SLOWED_WEIGHTS, 55.0, "fp32", 2, 5.0)],
)
def test_nets_ask_for_what_wide_kernels_slow_and_never_for_more_than_it_is(
    term: str, price_us: float, dtype: str, slower: int, least: float
) -> None:
    """Rows by work, those of wide kernels so many times slower, and a price as XNNPACK's nets have it.

    What few nets tell of is asked for in part.
    """
    space = known_space("ofa-mobilenetv3").scaled(224, 1.0)
    rng, measured = random.Random(3), [op for op in space.operators if op.is_measured]
    rows = {
        op.name: 5 + rng.uniform(0.9, 1.1) * (op.macs / 5e4 + op.touched / 1e4) * (slower if has_wide_kernel(op) else 1)
        for op in measured
    } | {OVERHEAD.name: 2.0}
    setting = Setting(runtime="executorch", dtype=dtype)
    prices, errors = [], []
    for us in (price_us, 0.0):
        truth = InNet(1.02, 1.0, {term: us})
        nets, unseen = (timed(space, truth, rows, *which, purpose="kept") for which in ((32, 0), (60, 1)))
        found = fit_scale(nets, rows, 2.0, setting, {}).in_net
        without = replace(found, terms=dict(found.terms) | {term: 0.0})
        prices.append(found.terms[term])
        errors += [mean_error(found, rows, unseen), mean_error(without, rows, unseen)]
    assert least < prices[0] < 1.1 * price_us
    assert abs(prices[1]) < 0.15 * price_us
    assert errors[0] < 0.004 and 1.5 * errors[0] < errors[1]
    assert errors[2] < 0.004


def test_large_tensors_make_no_weights_cheaper() -> None:
    rows = made_rows()
    prices = []
    for price_us in (1500.0, -1500.0):
        nets = timed(SPACE, InNet(1.02, 1.0, {EVICTED: price_us}), rows, 32, 0, purpose="evicted")
        prices.append(fit_scale(nets, rows, 2.0, Setting(dtype="fp32"), {}).in_net.terms[EVICTED])
    assert prices[0] > 500 and prices[1] == 0
