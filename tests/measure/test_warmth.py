from __future__ import annotations

import random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lutbench.measure.in_net import InNet, Setting
from lutbench.measure.net_fit import NetMeasurement, left_out_errors, problem_of, solutions_without, solve
from lutbench.measure.warmth import LEAST_POWER, LEAST_SHARE, MOST_POWER, MOST_SHARE, Warmth
from tests.measure.test_in_net import OVERHEAD_US, SPACE, errors_of, rows_us

warmths = st.builds(Warmth, st.floats(LEAST_SHARE, MOST_SHARE), st.floats(1, 1e6), st.floats(LEAST_POWER, MOST_POWER))
sums = st.floats(0.01, 1e7)


@given(warmths, sums, sums)
def test_latency_grows_with_the_sum_and_tells_it(warmth: Warmth, one_us: float, other_us: float) -> None:
    low_us, high_us = sorted((one_us, other_us))
    assert warmth.net_us(low_us) <= warmth.net_us(high_us)
    least, most = sorted((low_us, (1 - warmth.share) * low_us))
    assert least <= warmth.net_us(low_us) <= most
    assert warmth.sum_us(warmth.net_us(one_us)) == pytest.approx(one_us, rel=1e-9)


@given(warmths, sums, st.floats(0.1, 10))
def test_a_slower_clock_slows_small_nets_as_others(warmth: Warmth, sum_us: float, ratio: float) -> None:
    assert warmth.times(ratio).net_us(ratio * sum_us) == pytest.approx(ratio * warmth.net_us(sum_us), rel=1e-9)


@pytest.mark.parametrize(("share", "size_us"), [(-1.1, 5.0), (0.95, 5.0), (0.5, 0.0), (0.5, -1.0), (float("nan"), 5.0)])
def test_what_is_no_warmth(share: float, size_us: float) -> None:
    with pytest.raises(ValueError, match="no net saves"):
        Warmth(share, size_us)


@pytest.mark.parametrize("power", [0.0, 0.9, 3.1, float("nan")])
def test_what_ends_too_sharply_or_never(power: float) -> None:
    with pytest.raises(ValueError, match="what nets save ends by a power of"):
        Warmth(0.5, 5.0, power)


def test_a_net_of_any_size_has_a_latency() -> None:
    assert Warmth(0.5, 1e-200, 3.0).net_us(1e7) == Warmth(0.5, 1e-200).net_us(1e7) == 1e7


def test_by_a_higher_power_nets_up_to_the_size_save_alike_and_others_nothing() -> None:
    slow, sharp = Warmth(0.4, 1000.0), Warmth(0.4, 1000.0, 3.0)
    assert [round(slow.net_us(us) / us, 3) for us in (100, 500, 1000, 2000)] == [0.638, 0.757, 0.853, 0.946]
    assert [round(sharp.net_us(us) / us, 3) for us in (100, 500, 1000, 2000)] == [0.6, 0.647, 0.853, 1.0]


def nets_of_all_sizes(truth: InNet, count: int, noise: float, seed: int) -> list[NetMeasurement]:
    """Nets of which a few are of few operators, as tuning nets are."""
    rows, rng = rows_us(), random.Random(seed)
    names = [name for name in rows if name != "runtime_overhead"]
    found = []
    for number in range(count):
        drawn = tuple(rng.choices(names, k=rng.choice([2, 3, 5, *[20] * 6])))
        latency_us = truth.net_us([(name, rows[name]) for name in drawn], OVERHEAD_US)
        found.append(NetMeasurement(str(number), drawn, latency_us * (1 + rng.gauss(0, noise))))
    return found


def mean_error(in_net: InNet, nets: list[NetMeasurement]) -> float:
    return sum(map(abs, errors_of(in_net, nets))) / len(nets)


@pytest.mark.parametrize(("share", "size", "power"), [(0.3, 0.4, 1.0), (-0.3, 0.4, 1.0), (0.3, 0.8, 3.0)])
def test_what_small_nets_save_or_pay_is_found_where_nets_ask_for_it(share: float, size: float, power: float) -> None:
    usual_us = float(np.median([net.latency_us for net in nets_of_all_sizes(InNet(), 100, 0.0, 1)]))
    truth = InNet(1.2, 1.0, warmth=Warmth(share, size * usual_us, power))
    nets, unseen = nets_of_all_sizes(truth, 32, 0.005, 2), nets_of_all_sizes(truth, 200, 0.0, 3)
    found = solve(problem_of(nets, rows_us(), OVERHEAD_US, Setting(), {}))
    assert found.in_net.warmth.share == pytest.approx(share, abs=0.1)
    assert mean_error(found.in_net, unseen) < 0.008
    # what each net is said to be off is what the fit says of it
    errors = [float(e) for e in found.problem.columns @ found.unknowns - found.problem.targets]
    assert errors == pytest.approx(errors_of(found.in_net, nets), abs=0.002)
    assert max(map(abs, left_out_errors(found))) < 0.05


def test_without_its_only_small_net_a_fit_has_a_warmth_all_the_same() -> None:
    truth = InNet(1.2, warmth=Warmth(0.8, 150.0))
    nets = [net for net in nets_of_all_sizes(truth, 60, 0.01, 2) if len(net.operators) == 20]
    small = next(net for net in nets_of_all_sizes(truth, 60, 0.0, 5) if len(net.operators) == 2)
    found = solve(problem_of([small, *nets], rows_us(), OVERHEAD_US, Setting(), {}))
    assert found.in_net.warmth
    for other in solutions_without(found):
        assert LEAST_SHARE <= other.in_net.warmth.share <= MOST_SHARE


def test_where_nets_do_not_ask_for_it_it_costs_nothing() -> None:
    truth = InNet(1.1, 1.0)
    worst = []
    for seed in range(4, 8):
        fit = solve(problem_of(nets_of_all_sizes(truth, 32, 0.01, seed), rows_us(), OVERHEAD_US, Setting(), {})).in_net
        worst.append(mean_error(fit, nets_of_all_sizes(truth, 100, 0.0, 1)))
    assert sum(worst) / len(worst) < 0.008


def test_every_operator_of_the_space_has_a_row() -> None:
    assert {operator.name for operator in SPACE.operators if operator.is_measured} <= set(rows_us())
