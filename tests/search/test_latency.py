from __future__ import annotations

import random
from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from lutbench.errors import LutError
from lutbench.lut.predict import predict
from lutbench.lut.row import failed_row
from lutbench.lut.table import Lut
from lutbench.measure.warmth import Warmth
from lutbench.search.gates import candidate_mask, fixed_path
from lutbench.search.latency import (
    check_same_space,
    choice_positions,
    latencies_us,
    latency_model,
    net_at,
    stacked_costs_us,
)
from lutbench.space.fbnet import fbnet
from lutbench.space.sampling import random_nets
from tests.search.made import SMALL, made_lut

FBNET = fbnet(224, 1.0)


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 10**6), scale=st.floats(0.5, 2), operator_us=st.floats(0, 20), warm=st.floats(0, 0.9))
def test_one_hot_gates_give_what_predict_gives(seed: int, scale: float, operator_us: float, warm: float) -> None:
    lut = made_lut(FBNET, seed, scale=scale, operator_us=operator_us, warmth=Warmth(warm, 1000.0))
    model = latency_model(lut, FBNET)
    costs_us, mask = stacked_costs_us([model]), candidate_mask(FBNET)
    for net in random_nets(FBNET, 5, seed, "latency"):
        predicted_us = predict(lut, net).latency_us
        gates = fixed_path(choice_positions(net), mask).values.double()
        assert latencies_us([model], costs_us, gates).item() == pytest.approx(predicted_us, rel=1e-12)
        assert model.net_us(net) == pytest.approx(predicted_us, rel=1e-12)


def test_layers_with_fewer_candidates_are_summed_right() -> None:
    lut = made_lut()
    model = latency_model(lut, SMALL)
    for net in random_nets(SMALL, 20, 0, "latency"):
        gates = fixed_path(choice_positions(net), candidate_mask(SMALL)).values
        assert latencies_us([model], stacked_costs_us([model]), gates).item() == pytest.approx(
            predict(lut, net).latency_us
        )


def test_the_gradient_of_a_gate_is_its_cost() -> None:
    model = latency_model(made_lut(), SMALL)
    gates = torch.full(model.tensor().shape, 0.25, dtype=torch.float64, requires_grad=True)
    latencies_us([model], stacked_costs_us([model]), gates).sum().backward()  # type: ignore[no-untyped-call]
    assert gates.grad is not None and torch.equal(gates.grad, model.tensor())


def test_fastest_and_slowest_bound_every_net() -> None:
    lut = made_lut()
    model = latency_model(lut, SMALL)
    every = [predict(lut, net).latency_us for net in random_nets(SMALL, 40, 0, "bounds")]
    assert model.net_us(model.fastest) <= min(every) <= max(every) <= model.net_us(model.slowest)
    rng = random.Random(0)
    nets = [net_at(SMALL, [rng.randrange(len(row)) for row in model.cost_us], "n") for _ in range(200)]
    assert min(map(model.net_us, nets)) >= model.net_us(model.fastest)


def without(lut: Lut, *names: str) -> Lut:
    return replace(lut, rows=tuple(row for row in lut.rows if row.operator not in names))


def test_every_missing_operator_is_in_one_error_with_the_command() -> None:
    lut = made_lut()
    gone = ["fc_32_10", "ir_k5_e2_g1_8x16x16_8_s1", "runtime_overhead"]
    failed = tuple(failed_row(r.operator, "died") if r.operator.startswith("stem") else r for r in lut.rows)
    with pytest.raises(LutError) as caught:
        latency_model(without(replace(lut, rows=failed), *gone), SMALL)
    text = str(caught.value)
    assert all(name in text for name in gone) and "3 operators are missing" in text
    assert "1 operators failed of space small at 32x1.0: stem_" in text
    assert "lutbench profile --device host --dtype int8 --space small --resolution 32 --width 1" in text


def test_an_operator_that_no_net_of_the_search_uses_may_be_missing() -> None:
    lut = made_lut(FBNET)
    heads = ("conv_k1_352x7x7_1984_s1", "pool_1984x7x7", "fc_1984_1000")
    assert latency_model(without(lut, *heads), FBNET) == latency_model(lut, FBNET)
    assert len(without(lut, *heads).rows) == len(lut.rows) - 3


def test_luts_of_different_spaces_do_not_mix() -> None:
    one, other = latency_model(made_lut(), SMALL), latency_model(made_lut(FBNET, device="s8"), FBNET)
    check_same_space([one])
    with pytest.raises(LutError, match="2 LUTs are of device host"):
        check_same_space([one, one])
    with pytest.raises(LutError, match=r"host is of space small at 32x1.0, s8 of fbnet at 224x1.0"):
        check_same_space([one, other])
