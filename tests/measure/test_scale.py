from __future__ import annotations

import random

import pytest

from lutbench.measure.in_net import InNet, Setting
from lutbench.measure.measurements import Measurements
from lutbench.measure.net_fit import NetMeasurement
from lutbench.measure.protocol import Canary, Samples
from lutbench.measure.scale import (
    DepthTrial,
    choose_depth,
    fit_scale,
    net_latencies_us,
    try_depths,
)

ROWS = {f"op{n}": 5.0 + 10.0 * n for n in range(10)} | {"runtime_overhead": 3.0}


def nets(scale: float, noise: float = 0.0, count: int = 14, operator_us: float = 0.0) -> list[NetMeasurement]:
    rng = random.Random(4)
    found = []
    for number in range(count):
        names = tuple(rng.choice([f"op{n}" for n in range(10)]) for _ in range(rng.randrange(14, 26)))
        latency = net_us(InNet(scale, operator_us), names) * (1 + noise * rng.uniform(-1, 1))
        found.append(NetMeasurement(f"net{number}", names, latency))
    return found


def net_us(in_net: InNet, names: tuple[str, ...]) -> float:
    return in_net.net_us([(name, ROWS[name]) for name in names], 3.0)


def test_the_scale_that_nets_were_made_with_is_found() -> None:
    fit = fit_scale(nets(1.07), ROWS, 3.0, Setting(), {})
    assert fit.in_net.scale == pytest.approx(1.07, abs=1e-4)
    assert fit.in_net.operator_us == pytest.approx(0, abs=0.01)
    assert fit.mean_abs_error < 1e-4
    cold = fit_scale(nets(1.02, operator_us=4.0), ROWS, 3.0, Setting(), {})
    assert cold.in_net.scale == pytest.approx(1.02, abs=2e-3)
    assert cold.in_net.operator_us == pytest.approx(4.0, abs=0.1)


def test_an_operator_may_cost_less_for_being_in_a_net() -> None:
    """Where it stands alone it may carry changes of layout that a net does not have."""
    fit = fit_scale(nets(1.05, operator_us=-1.0), ROWS, 3.0, Setting(), {})
    assert fit.in_net.operator_us == pytest.approx(-1.0, abs=0.1)
    assert fit.mean_abs_error < 1e-3


def test_the_interval_holds_the_scale_and_one_disturbed_net_does_not_move_it() -> None:
    measured = nets(1.07, noise=0.01)
    fit = fit_scale(measured, ROWS, 3.0, Setting(), {})
    assert fit.ci_low <= fit.in_net.scale <= fit.ci_high
    assert fit.in_net.scale == pytest.approx(1.07, abs=0.03)
    odd = [*measured[:-1], NetMeasurement("odd", measured[-1].operators, measured[-1].latency_us * 3)]
    with_odd = fit_scale(odd, ROWS, 3.0, Setting(), {})
    predicted = [net_us(with_odd.in_net, net.operators) for net in odd]
    errors = [abs(guess / net.latency_us - 1) for guess, net in zip(predicted[:-1], odd[:-1], strict=True)]
    assert max(errors) < 0.03


def test_too_few_nets_are_refused() -> None:
    with pytest.raises(ValueError, match="too few"):
        fit_scale(nets(1.0)[:2], ROWS, 3.0, Setting(), {})


def test_the_shallow_depth_stays_unless_a_deeper_one_is_clearly_better() -> None:
    shallow = DepthTrial(0, (0.02, 0.03, 0.02, 0.04), 1.07)
    like_it = DepthTrial(1, (0.019, 0.031, 0.018, 0.038), 1.05)
    better = DepthTrial(3, (0.005, 0.004, 0.006, 0.005), 1.0)
    assert choose_depth([shallow, like_it]).depth == 0
    assert choose_depth([better, like_it, shallow]).depth == 3
    lucky = DepthTrial(3, (0.0, 0.05, 0.0, 0.0), 1.0)
    assert choose_depth([shallow, lucky]).depth == 0


def test_trials_judge_each_depth_by_its_own_rows() -> None:
    measured = nets(1.0)
    wrong = {name: value * (1 + 0.5 * (index % 2)) for index, (name, value) in enumerate(ROWS.items())}
    wrong["runtime_overhead"] = 3.0
    trials = try_depths((0, 3), measured, lambda depth: ROWS if depth == 3 else wrong, "runtime_overhead", Setting())
    assert [trial.depth for trial in trials] == [0, 3]
    assert trials[1].mean_abs_error < 1e-4 < trials[0].mean_abs_error
    assert choose_depth(trials).depth == 3


def test_nets_of_which_other_rounds_count_are_comparable() -> None:
    """All nets are 10 % slower in the later rounds; of the last net only the first rounds are quiet."""
    data = Measurements([Canary("nets", "classifier", 1, 0.1)])
    for number in range(12):
        for net in range(10):
            slow = number >= 6
            duration_ns = round((100_000 + 1_000 * net) * (1.1 if slow else 1.0))
            canary_ns = 80_000 if slow and net == 9 else 50_000
            data.add(number, Samples(f"net{net}", 0, "nets", (duration_ns,), (canary_ns,)))
        data.end(number)
    assert len(data.round_medians_us("net9", 0)) == 6
    found = net_latencies_us(data, [*(f"net{net}" for net in range(10)), "never timed"])
    assert list(found) == [f"net{net}" for net in range(10)]
    assert found["net9"] / found["net0"] == pytest.approx(1.09, rel=1e-3)
