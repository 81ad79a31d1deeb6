from __future__ import annotations

import math

import pytest

from lutbench.errors import UsageError
from lutbench.search.schedule import PAPER, SMALL, Schedule, default_schedule


def test_the_papers_numbers_are_the_defaults() -> None:
    assert Schedule() == PAPER == default_schedule(100_000)
    assert (PAPER.epochs, PAPER.warmup, PAPER.theta_rate, PAPER.theta_decay) == (90, 10, 0.01, 5e-4)
    assert (PAPER.w_rate, PAPER.w_momentum, PAPER.w_decay) == (0.1, 0.9, 1e-4)
    assert PAPER.temperature_at(0) == 5.0
    assert PAPER.temperature_at(10) == pytest.approx(5 * math.exp(-0.45))


def test_the_rate_of_w_is_a_cosine_from_all_to_nothing() -> None:
    assert [PAPER.w_rate_at(share) for share in (0, 0.5, 1)] == pytest.approx([0.1, 0.05, 0])


def test_few_images_cool_to_the_same_temperature_in_fewer_epochs() -> None:
    assert default_schedule(1437) == SMALL
    assert SMALL.temperature_at(SMALL.epochs) == pytest.approx(PAPER.temperature_at(PAPER.epochs))


@pytest.mark.parametrize(
    "wrong",
    [
        {"epochs": 0},
        {"warmup": 90},
        {"warmup": -1},
        {"batch_size": 1},
        {"w_rate": 0},
        {"w_momentum": 1},
        {"w_decay": -1},
        {"theta_rate": math.inf},
        {"theta_decay": math.nan},
        {"temperature": 0},
        {"cooling": -0.1},
    ],
)
def test_numbers_that_cannot_be_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(UsageError, match=next(iter(wrong))):
        Schedule(**wrong)  # type: ignore[arg-type]
