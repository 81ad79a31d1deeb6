from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from lutbench.errors import UsageError
from lutbench.search.gates import candidate_mask, probabilities
from lutbench.search.latency import LatencyModel, latencies_us, latency_model, stacked_costs_us
from lutbench.search.objective import Product, budget, product
from tests.search.made import SMALL, made_lut

ONE = latency_model(made_lut(seed=1, device="one"), SMALL)
TWO = latency_model(made_lut(seed=2, device="two"), SMALL)


def us(*values: float) -> Tensor:
    return torch.tensor(values, dtype=torch.float64)


def test_the_exponent_is_on_the_logarithm() -> None:
    objective = product([ONE])
    loss = objective.loss(torch.tensor(2.0), us(20_000), us(1))
    assert loss.item() == pytest.approx(2 * 0.2 * math.log(20_000) ** 0.6, rel=1e-6)


def test_the_product_pulls_by_what_its_derivative_says() -> None:
    latency_us, cross_entropy = us(20_000).requires_grad_(), torch.tensor(2.0, requires_grad=True)
    Product((9_000.0,)).loss(cross_entropy, latency_us, us(1)).backward()  # type: ignore[no-untyped-call]
    log = math.log(20_000)
    assert latency_us.grad is not None and cross_entropy.grad is not None
    assert latency_us.grad.item() == pytest.approx(2 * 0.2 * 0.6 * log**-0.4 / 20_000, rel=1e-6)
    assert cross_entropy.grad.item() == pytest.approx(0.2 * log**0.6, rel=1e-6)


def test_several_devices_count_by_the_worst_ratio_to_their_fastest_net() -> None:
    objective = Product((100.0, 400.0))
    losses = [objective.loss(torch.tensor(1.0), us(*pair), us(0, 0)).item() for pair in ((300, 400), (100, 1200))]
    assert losses[0] == pytest.approx(losses[1])  # both are 3 times the fastest on one device
    assert losses[0] == pytest.approx(0.2 * math.log(3 * 200) ** 0.6)
    assert objective.loss(torch.tensor(1.0), us(310, 400), us(0, 0)).item() > losses[0]


@pytest.mark.parametrize(
    ("alpha", "beta", "reference"), [(0, 0.6, 9.0), (-1, 0.6, 9.0), (0.2, -1, 9.0), (0.2, 0.6, 1.0)]
)
def test_a_product_without_sense_is_refused(alpha: float, beta: float, reference: float) -> None:
    with pytest.raises(UsageError):
        Product((reference,), alpha, beta)


@pytest.mark.parametrize("share", [-0.01, 1.01])
def test_a_target_out_of_reach_is_refused_with_both_numbers(share: float) -> None:
    low_us, high_us = ONE.net_us(ONE.fastest), ONE.net_us(ONE.slowest)
    with pytest.raises(UsageError) as caught:
        budget([ONE], [low_us + share * (high_us - low_us)])
    assert f"{low_us:.1f} us" in str(caught.value) and f"{high_us:.1f} us" in str(caught.value)


def test_targets_at_the_ends_are_allowed_and_each_lut_needs_one() -> None:
    for net in (ONE.fastest, ONE.slowest):
        budget([ONE], [ONE.net_us(net)])
    with pytest.raises(UsageError, match="1 targets for 2 LUTs"):
        budget([ONE, TWO], [200.0])


def test_budgets_that_no_net_meets_together_are_refused() -> None:
    net = ONE.fastest
    assert TWO.net_us(net) > 1.01 * TWO.net_us(TWO.fastest)
    with pytest.raises(UsageError, match="no net of space small takes"):
        budget([ONE, TWO], [ONE.net_us(ONE.fastest), TWO.net_us(TWO.fastest)])


def descend(models: list[LatencyModel], targets_us: list[float], taste: Tensor, steps: int = 400) -> Tensor:
    """theta after steps of Adam where taste (layers, candidates) stands in for what accuracy asks for."""
    objective, costs_us, mask = budget(models, targets_us), stacked_costs_us(models), candidate_mask(SMALL)
    theta = torch.zeros(mask.shape, dtype=torch.float64, requires_grad=True)
    adam = torch.optim.Adam([theta], 0.05, weight_decay=5e-4)
    for _ in range(steps):
        shares = probabilities(theta, mask)
        latency_us = latencies_us(models, costs_us, shares)
        loss = objective.loss((shares * taste).sum(), latency_us, latency_us)
        adam.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        adam.step()
        objective.observe(latencies_us(models, costs_us, probabilities(theta.detach(), mask)))
    return latencies_us(models, costs_us, probabilities(theta.detach(), mask))


@pytest.mark.parametrize("share", [0.3, 0.5, 0.8])
@pytest.mark.parametrize("sign", [-0.003, 0.003, 0.0])
def test_the_weight_brings_theta_to_the_budget_whatever_accuracy_asks_for(share: float, sign: float) -> None:
    low_us, high_us = ONE.net_us(ONE.fastest), ONE.net_us(ONE.slowest)
    target_us = low_us + share * (high_us - low_us)
    taste = sign * ONE.tensor()  # slow candidates help, hurt, or do not matter
    assert 0.95 < descend([ONE], [target_us], taste).item() / target_us < 1.02


def test_two_budgets_are_both_kept_and_one_is_used() -> None:
    targets_us = [1.6 * model.net_us(model.fastest) for model in (ONE, TWO)]
    ratios = descend([ONE, TWO], targets_us, -0.003 * ONE.tensor()) / us(*targets_us)
    assert 0.95 < ratios.max().item() < 1.02


def test_the_state_is_the_whole_state() -> None:
    one, other = budget([ONE], [400.0]), budget([ONE], [400.0])
    one.observe(us(410))
    other.restore(one.state())
    arguments = torch.tensor(1.0), us(1), us(250)
    assert one == other and one.loss(*arguments) == other.loss(*arguments)


@pytest.mark.parametrize("latency_us", [20_000.0, 4_000.0])
def test_a_nets_own_loss_is_that_of_its_one_hot_gates(latency_us: float) -> None:
    made = product([ONE], None, 4.0)
    expected = made.loss(torch.tensor(0.7, dtype=torch.float64), us(latency_us), us(1)).item()
    assert made.of_net(0.7, (latency_us,)) == pytest.approx(expected)
    assert budget([ONE], [ONE.net_us(ONE.slowest)]).of_net(0.7, (latency_us,)) == 0.7


def test_another_beta_keeps_the_fastest_nets_factor() -> None:
    paper, steep = product([ONE, TWO]), product([ONE, TWO], None, 4.0)
    assert paper.alpha == pytest.approx(0.2) and paper.beta == 0.6
    fastest_us = steep.references_us
    assert steep.of_net(1.0, fastest_us) == pytest.approx(paper.of_net(1.0, fastest_us))
