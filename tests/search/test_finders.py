"""Ways to find nets in a supernet: all score different nets within the targets, the same for the same seed."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from lutbench.events import Event, StepProgress
from lutbench.search.budget import WINDOW
from lutbench.search.derive import Derived, Ranking
from lutbench.search.finders import FINDERS, Effort, at_random, by_evolution, uniform
from lutbench.search.gates import candidate_mask, probabilities
from lutbench.search.latency import choice_positions, latency_model
from lutbench.search.objective import Objective, budget, product
from lutbench.search.supernet import Supernet
from lutbench.search.train import Score
from lutbench.space.fbnet import fbnet
from lutbench.space.net import Net
from tests.search.made import SMALL, Blobs, made_lut

MODEL = latency_model(made_lut(), SMALL)
FBNET = fbnet(224, 1.0)
FBNET_MODEL = latency_model(made_lut(FBNET), FBNET)


class Scored(Ranking):
    """A ranking whose scores are a function of the net: what a finder does with them can be told."""

    def score(self, net: Net) -> Score:
        loss = 1 + sum((layer * 3 + position) % 7 for layer, position in enumerate(choice_positions(net)))
        return Score(loss / 10, 0.5, 1)


def ranking(model: object = MODEL, objective: Objective | None = None, scored: type[Ranking] = Ranking) -> Ranking:
    space = model.space  # type: ignore[attr-defined]
    mask = candidate_mask(space)
    supernet = Supernet(SMALL, 4, 16, seed=0)
    shares = probabilities(torch.zeros(mask.shape), mask)
    chosen = objective or product([model], 1.0, 60.0)  # type: ignore[list-item]
    return scored(supernet, [model], shares, Blobs(), 16, chosen, lambda _: None)  # type: ignore[list-item]


def losses(found: tuple[Derived, ...], by: Ranking) -> list[float]:
    return [by.objective.of_net(one.score.loss, [*one.predicted_us.values()]) for one in found]


@pytest.mark.parametrize("name", FINDERS)
@pytest.mark.parametrize("targeted", [False, True])
def test_a_finder_gives_different_nets_best_first_within_the_target_and_again(name: str, targeted: bool) -> None:
    target_us = MODEL.net_us(MODEL.fastest) * 1.3
    by = ranking(objective=budget([MODEL], [target_us]) if targeted else None)
    effort = Effort(4, 4, 0, [target_us] if targeted else None)
    found = FINDERS[name](by, effort)
    assert 1 <= len(found) <= effort.nets
    assert len({one.net.choice for one in found}) == len(found)
    assert losses(found, by) == sorted(losses(found, by))
    assert FINDERS[name](by, effort) == found
    if targeted:
        assert all(WINDOW * target_us < one.predicted_us["host"] <= target_us for one in found)


def test_evolution_finds_better_nets_than_chance_at_equal_cost() -> None:
    target_us = 1.6 * FBNET_MODEL.net_us(FBNET_MODEL.fastest)
    by = ranking(FBNET_MODEL, budget([FBNET_MODEL], [target_us]), Scored)
    wins = 0
    for seed in range(5):
        effort = Effort(20, 8, seed, [target_us])
        evolved, drawn = by_evolution(by, effort), at_random(by, effort)
        assert len(evolved) == len(drawn) == effort.nets
        wins += losses(evolved, by)[0] < losses(drawn, by)[0]
    assert wins == 5


def test_evolution_ends_where_a_space_has_no_more_nets() -> None:
    found = by_evolution(ranking(scored=Scored), Effort(300, 4, 0))
    nets = np.prod([len(layer.candidates) for layer in SMALL.layers])
    assert 0.9 * nets <= len(found) <= nets


def test_uniform_nets_have_one_candidate_wherever_the_target_allows() -> None:
    free = uniform(ranking(scored=Scored), Effort(4, 4, 0))
    for one in free:
        name = one.net.name.split("_", 1)[1].split("@")[0]
        assert all(
            c.name == name
            for layer, c in zip(SMALL.layers, one.net.choice, strict=True)
            if name in [other.name for other in layer.candidates]
        )
    target_us = 1.6 * FBNET_MODEL.net_us(FBNET_MODEL.fastest)
    by = ranking(FBNET_MODEL, budget([FBNET_MODEL], [target_us]), Scored)
    for one in uniform(by, Effort(4, 4, 0, [target_us])):
        name = one.net.name.split("_", 1)[1].split("@")[0]
        assert sum(c.name == name for c in one.net.choice) >= 5


def test_progress_counts_to_all_nets() -> None:
    events: list[Event] = []
    by_evolution(replace(ranking(), report=events.append), Effort(6, 4, 0))
    steps = [(event.done, event.total) for event in events if isinstance(event, StepProgress)]
    assert steps == [(n, 24) for n in range(1, 25)]
