from __future__ import annotations

import math
import random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lutbench.lut.usual import FEWEST_ROWS, Line, follow_clock, usual_line

SMALLEST = 1000.0
TOUCHED = SMALLEST * np.exp(np.linspace(-1, 4, 60))
TIMES = np.clip(np.linspace(-1, 4, 60), 0, None)
MOVED = {"small": 1.01, "large": 1.4, "nets": 1.3}


def line(log_ratio: np.ndarray, canaries: dict[str, float] = MOVED) -> Line:
    found = usual_line(log_ratio, TOUCHED, SMALLEST, canaries)
    assert found is not None
    return found


def test_rows_on_a_line_are_usual_exactly() -> None:
    log_ratio = 0.01 + 0.03 * TIMES
    found = line(log_ratio)
    assert (found.level, found.slope) == pytest.approx((0.01, 0.03))
    assert found.log_ratios(TOUCHED) == pytest.approx(log_ratio)
    assert found.reach == 0.01  # no run of a better one


@given(st.integers(0, 2**32), st.floats(-0.5, 0.5))
def test_a_tenth_of_rows_that_have_changed_hardly_moves_it(seed: int, change: float) -> None:
    rng = random.Random(seed)
    log_ratio = 0.01 + 0.03 * TIMES + np.array([rng.gauss(0, 0.004) for _ in TIMES])
    unchanged = line(log_ratio)
    log_ratio[rng.sample(range(len(TIMES)), len(TIMES) // 10)] += change
    found = line(log_ratio)
    assert found.log_ratios(TOUCHED) == pytest.approx(unchanged.log_ratios(TOUCHED), abs=0.01)


@pytest.mark.parametrize(
    ("canaries", "steepest"),
    [
        (MOVED, 0.15 * math.log(1.4 / 1.01) + 0.005),
        ({"small": 1.0, "large": 1.0, "nets": 1.0}, 0.005),
        ({"small": 1.0, "large": 0.8, "nets": 0.9}, 0.005),  # the other way
        ({"small": 1.05}, 0.005),
    ],
)
def test_what_no_canary_tells_of_is_not_the_machines(canaries: dict[str, float], steepest: float) -> None:
    assert line(0.5 * TIMES, canaries).slope == pytest.approx(steepest)
    assert line(0.0 * TIMES + 1.0, {"small": 1.0}).level == pytest.approx(0.005)
    assert line(0.0 * TIMES - 1.0, {"small": 1.02}).level == pytest.approx(-0.005)
    assert line(0.0 * TIMES + 1.0, {"small": 1.1}).level == pytest.approx(2 * math.log(1.1) + 0.005)


def test_rows_that_scatter_have_changed_unless_the_machine_has() -> None:
    scattered = np.where(np.arange(len(TIMES)) % 2, 0.1, -0.1)
    assert line(scattered, {"small": 1.0, "large": 1.0, "nets": 1.0}).reach == pytest.approx(0.03)
    assert line(scattered, MOVED).reach > 0.2


def test_too_few_rows_and_too_far_a_state_tell_nothing() -> None:
    log_ratio = 0.01 + 0.03 * TIMES
    few = FEWEST_ROWS - 1
    assert usual_line(log_ratio[:few], TOUCHED[:few], SMALLEST, MOVED) is None
    assert usual_line(log_ratio, TOUCHED, SMALLEST, {**MOVED, "nets": 1.8}) is None
    assert usual_line(np.where(np.arange(60) < few, log_ratio, math.nan), TOUCHED, SMALLEST, MOVED) is None
    log_ratio[::4] = math.nan, *[math.inf] * 14
    assert line(log_ratio).slope == pytest.approx(0.03)


def test_rows_of_one_size_have_a_level_alone() -> None:
    found = usual_line(np.full(60, 0.01), np.full(60, 5 * SMALLEST), SMALLEST, MOVED)
    assert found is not None and found.log_ratios(np.array([5 * SMALLEST])) == pytest.approx([0.01], abs=1e-3)


def test_the_clock_is_followed_the_same_way_and_not_too_far() -> None:
    clock = math.log(1.14)
    assert follow_clock({"small": 1.14}, 1.2 * clock) and follow_clock({"small": 1.14}, 0.0)
    assert not follow_clock({"small": 1.14}, 2.1 * clock) and not follow_clock({"small": 1.14}, -0.1 * clock)
    assert not follow_clock({"small": 1.02}, math.log(1.02))  # a clock that two quiet runs may have
