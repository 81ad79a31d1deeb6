"""The paper's recipe, and recipes that cannot be."""

from __future__ import annotations

import json

import pytest

from lutbench.errors import UsageError
from lutbench.search.recipe import PAPER, SMALL, Recipe, default_recipe


def test_the_paper_s_rates() -> None:
    rates = [PAPER.rate_at(epoch) for epoch in (0, 89, 90, 179, 180, 269, 270, 359)]
    assert rates == pytest.approx([0.1, 0.1, 1e-2, 1e-2, 1e-3, 1e-3, 1e-4, 1e-4])
    assert (PAPER.epochs, PAPER.batch_size, PAPER.momentum, PAPER.weight_decay, PAPER.dropout) == (
        *(360, 256, 0.9, 4e-5, 0.2),
    )


def test_small_sets_get_a_small_recipe() -> None:
    assert default_recipe(1438) == SMALL
    assert default_recipe(130_000) == PAPER
    assert SMALL.epochs < PAPER.epochs


def test_a_recipe_is_plain_data() -> None:
    values = PAPER.to_dict()
    assert Recipe(**{**values, "milestones": tuple(values["milestones"])}) == PAPER
    assert json.loads(json.dumps(values)) == values


@pytest.mark.parametrize(
    "wrong",
    [
        {"epochs": 0},
        {"batch_size": 1},
        {"learning_rate": 0.0},
        {"learning_rate": float("nan")},
        {"momentum": 1.0},
        {"weight_decay": -1.0},
        {"milestones": (0.5, 1.0)},
        {"decay": 0.0},
        {"dropout": 1.0},
        {"clip": -1.0},
    ],
)
def test_recipes_that_cannot_be(wrong: dict[str, float]) -> None:
    with pytest.raises(UsageError, match=next(iter(wrong))):
        Recipe(**wrong)  # type: ignore[arg-type]
