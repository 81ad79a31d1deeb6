from __future__ import annotations

import numpy as np
import pytest
import torch

from lutbench.measure.warmth import Warmth
from lutbench.search.latency import latency_model
from lutbench.search.warm import Warm
from tests.search.made import COLD, PAYING, SHARP, SMALL, WARM, made_lut

TOTALS = np.array([2.0, 30.0, 400.0, 5_000.0])


@pytest.mark.parametrize(("warmth", "of_30"), [(WARM, 14.3), (PAYING, 37.8), (SHARP, 18.8)])
def test_a_total_is_found_again_from_its_cost(warmth: Warmth, of_30: float) -> None:
    warm = Warm(2.0, warmth)
    costs = warm.costs(TOTALS)
    assert [warm.cost(total) for total in TOTALS] == pytest.approx(list(costs), rel=1e-14)
    assert [warm.total(cost) for cost in costs] == pytest.approx(list(TOTALS), rel=1e-12)
    assert (
        costs[0] == 2.0 and costs[-1] == pytest.approx(5_000, rel=1e-4) and costs[1] == pytest.approx(of_30, rel=0.01)
    )


@pytest.mark.parametrize("warmth", [WARM, PAYING, SHARP])
def test_a_tensor_costs_the_same_and_has_a_gradient(warmth: Warmth) -> None:
    totals = torch.tensor(TOTALS, requires_grad=True)
    found = Warm(2.0, warmth).expected(totals)
    assert found.tolist() == pytest.approx(list(Warm(2.0, warmth).costs(TOTALS)), rel=1e-12)
    (slopes,) = torch.autograd.grad(found.sum(), totals)
    nearby = Warm(2.0, warmth).costs(TOTALS + 1e-4)
    assert slopes.tolist() == pytest.approx(list((nearby - found.detach().numpy()) / 1e-4), rel=1e-4)


def test_without_warmth_totals_are_costs() -> None:
    warm, tensor = Warm(2.0), torch.tensor(TOTALS)
    assert warm.costs(TOTALS) is TOTALS and warm.expected(tensor) is tensor
    assert warm.cost(7.5) == warm.total(7.5) == 7.5


def test_a_checkpoint_knows_luts_apart_that_differ_in_warmth_alone() -> None:
    warmths = (COLD, WARM, Warmth(0.5, 400.0), Warmth(0.6, 400.0, 3.0))
    luts = [made_lut(warmth=warmth) for warmth in warmths]
    assert len({latency_model(lut, SMALL).total for lut in luts}) == 4
