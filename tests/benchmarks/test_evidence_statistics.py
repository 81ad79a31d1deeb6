"""The statistics of the search's evidence, against a published example and arithmetic that anyone can redo."""

from __future__ import annotations

import math
import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parent.parent.parent / "benchmarks"))
from _evidence_statistics import bootstrap, hypervolume, intraclass, rank_correlation, share_beaten

# Shrout and Fleiss (1979), table 2: six targets, four judges
SHROUT = np.array(
    [[9, 2, 5, 8], [6, 1, 3, 2], [8, 4, 6, 8], [7, 1, 2, 6], [10, 5, 6, 9], [6, 2, 4, 7]], dtype=np.float64
)


def test_the_intraclass_correlation_of_the_published_example() -> None:
    found = intraclass(SHROUT)
    assert found.one.value == pytest.approx(0.17, abs=0.005)
    assert found.mean.value == pytest.approx(0.44, abs=0.005)
    assert (found.one.low, found.one.high) == pytest.approx((-0.13, 0.72), abs=0.005)
    assert found.within_sd**2 == pytest.approx(6.26, abs=0.005)
    assert found.between_sd**2 == pytest.approx((11.24 - 6.26) / 4, abs=0.01)
    assert found.ceiling == pytest.approx(math.sqrt(found.mean.value))


def test_it_tells_noise_from_differences_that_were_put_in() -> None:
    rng = np.random.default_rng(0)
    nets = rng.normal(0, 2, (200, 1))
    clear, noise = intraclass(nets + rng.normal(0, 1, (200, 3))), intraclass(rng.normal(0, 1, (200, 3)))
    assert clear.one.low < 0.8 < clear.one.high
    assert noise.one.low < 0 < noise.one.high


def test_trainings_that_were_counted_twice_are_refused() -> None:
    with pytest.raises(ValueError, match="counted several times"):
        intraclass(np.array([[0.5, 0.5], [0.75, 0.75]]))


def test_a_bootstrap_is_the_same_each_time_and_covers_the_mean() -> None:
    rows = np.random.default_rng(1).normal(5, 1, 50)
    found = bootstrap(lambda some: float(some.mean()), rows)
    assert found == bootstrap(lambda some: float(some.mean()), rows)
    error = rows.std() / math.sqrt(50)
    assert (found.low, found.high) == pytest.approx((found.value - 1.96 * error, found.value + 1.96 * error), abs=0.1)


def test_rank_correlation_of_what_is_all_the_same_is_no_number() -> None:
    assert rank_correlation(np.array([[1.0, 3.0], [2.0, 5.0], [3.0, 4.0]])) == pytest.approx(0.5)
    assert math.isnan(rank_correlation(np.array([[1.0, 2.0], [1.0, 3.0]])))


def test_the_share_beaten_counts_a_draw_as_half() -> None:
    assert share_beaten(2.0, [1.0, 2.0, 3.0, 4.0]) == pytest.approx(0.375)


@pytest.mark.parametrize(
    ("points", "area"),
    [
        ([], 0.0),
        ([(1.0, 0.5)], 2.0 * 0.5),
        ([(2.0, 0.25), (1.0, 0.5)], 2.0 * 0.5 + 1.0 * 0.25),
        ([(1.0, 0.5), (2.0, 0.75)], 2.0 * 0.5),  # slower and worse
        ([(4.0, 0.1)], 0.0),  # beyond the worst
    ],
)
def test_hypervolume(points: list[tuple[float, float]], area: float) -> None:
    assert hypervolume(points, (3.0, 1.0)) == pytest.approx(area)
