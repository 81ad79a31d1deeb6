from __future__ import annotations

import math

import pytest

from lutbench.errors import UsageError
from lutbench.search.schedule import PAPER, SMALL, SMALL_MASKS, Schedule, default_schedule, schedule_for


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


def test_masks_learn_for_fewer_epochs_with_the_same_share_of_warm_up_and_last_temperature() -> None:
    assert default_schedule(1437, masks=True) == SMALL_MASKS == schedule_for(1437, {}, masks=True)
    assert default_schedule(100_000, masks=True) == PAPER
    assert SMALL_MASKS.epochs < SMALL.epochs
    assert SMALL_MASKS.warmup / SMALL_MASKS.epochs == SMALL.warmup / SMALL.epochs
    assert SMALL_MASKS.temperature_at(SMALL_MASKS.epochs) == pytest.approx(PAPER.temperature_at(PAPER.epochs))
    assert schedule_for(1437, {"epochs": 8}, masks=True).warmup == 2


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


@pytest.mark.parametrize("images", [1437, 100_000])
@pytest.mark.parametrize("epochs", [1, 3, 45, 240])
def test_what_is_not_given_scales_with_the_epochs(images: int, epochs: int) -> None:
    usual, found = default_schedule(images), schedule_for(images, {"epochs": epochs})
    assert found.epochs == epochs
    assert found.warmup == math.floor(usual.warmup * epochs / usual.epochs)
    assert found.temperature_at(epochs) == pytest.approx(usual.temperature_at(usual.epochs))
    assert (found.batch_size, found.w_rate) == (usual.batch_size, usual.w_rate)


def test_what_is_given_stays_as_it_is() -> None:
    assert schedule_for(1437, {}) == SMALL
    found = schedule_for(1437, {"epochs": 3, "warmup": 2, "cooling": 0.5, "w_rate": 0.2})
    assert (found.epochs, found.warmup, found.cooling, found.w_rate) == (3, 2, 0.5, 0.2)
    assert schedule_for(1437, {"warmup": 60}).epochs == SMALL.epochs
    assert schedule_for(1437, {"warmup": 240}).epochs == 960
    with pytest.raises(UsageError, match="warmup 3 cannot be"):
        schedule_for(1437, {"epochs": 3, "warmup": 3})
