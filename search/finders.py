"""Ways to find nets in a trained supernet, all behind one interface, so that they can be compared at equal cost.

A supernet scores any net of its space without further training; a finder decides which nets are scored. Each scores as
many as its effort says: `Effort.nets`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from lutbench.search.budget import best_within
from lutbench.search.chance import Positions, are_within, random_within
from lutbench.search.derive import Derived, Ranking, draw_nets, rank
from lutbench.search.grid_costs import CostModel, option_counts
from lutbench.space.decisions import choice_positions, decisions, net_at
from lutbench.space.net import Net

_ELITE = 10  # nets, near which further rounds draw
_ELITE_SHARE = 0.8  # of a round's probabilities; the rest is P_theta
_POPULATION, _SAMPLE = 0.25, 0.25  # of all nets; of the population, among which the best becomes a parent
_FEWEST = 8  # nets of a population
_MOST_CHANGED = 4  # layers of a child: one change alone seldom keeps to a target
_CHILDREN = 2000  # that are tried at once


@dataclass(frozen=True)
class Effort:
    """The number of nets that are scored: rounds of so many draws.

    targets_us: every net is within them (`best_within`), one per device; None: none is held to any.
    """

    draws: int
    rounds: int
    seed: int
    targets_us: Sequence[float] | None = None

    @property
    def nets(self) -> int:
        """The number of nets that are scored."""
        return self.draws * self.rounds

    def rng(self) -> np.random.Generator:
        """The finder's random numbers."""
        return np.random.default_rng(self.seed)


Finder = Callable[[Ranking, Effort], tuple[Derived, ...]]  # all nets that were scored, best first


def from_theta(ranking: Ranking, effort: Effort) -> tuple[Derived, ...]:
    """Draws from P_theta in the first round, then near the best so far.

    P_theta holds each layer's choice apart from the others', and a supernet's loss can be had of any net: further
    rounds draw from the shares that candidates have among the best nets, mixed with P_theta (cross-entropy method).
    """
    ranked: tuple[Derived, ...] = ()
    for number in range(effort.rounds):
        near = _near(ranked[:_ELITE], ranking.probabilities) if ranked else ranking.probabilities
        drawn = draw_nets(near, ranking.models, effort.draws, (effort.seed, number), effort.targets_us)
        seen = {one.net.candidates_text for one in ranked}
        stage = "ranking" if effort.rounds == 1 else f"ranking, round {number + 1} of {effort.rounds}"
        ranked = rank(ranking, [net for net in drawn if net.candidates_text not in seen], ranked, stage)
    return ranked


def _near(best: Sequence[Derived], probabilities: Tensor) -> Tensor:
    """(decisions, options): the options' shares among the best nets, and some of P_theta."""
    shares = torch.zeros_like(probabilities)
    for one in best:
        positions = list(choice_positions(one.net))
        shares[range(len(positions)), positions] += 1 / len(best)
    return _ELITE_SHARE * shares + (1 - _ELITE_SHARE) * probabilities


def at_random(ranking: Ranking, effort: Effort) -> tuple[Derived, ...]:
    """The best of random nets, each net of the space that meets the targets as probable as any other."""
    return rank(ranking, random_within(ranking.models, effort.nets, effort.rng(), effort.targets_us))


def by_evolution(ranking: Ranking, effort: Effort) -> tuple[Derived, ...]:
    """Regularised evolution (Real and others, arXiv:1802.01548): the oldest dies, the best of a sample has a child.

    A child changes one to four layers of its parent.
    """
    rng, models = effort.rng(), ranking.models
    first = max(_FEWEST, round(_POPULATION * effort.nets))
    start = random_within(models, min(first, effort.nets), rng, effort.targets_us)
    ranked = rank(ranking, start, stage="evolution", total=effort.nets)
    population = [choice_positions(net) for net in start]  # the oldest first
    scored = {choice_positions(one.net): one for one in ranked}
    of_net = ranking.objective.of_net

    def loss(positions: Positions) -> float:
        one = scored[positions]
        return of_net(one.score.loss, one.costs)

    barren = 0
    while len(scored) < effort.nets and barren < effort.nets:
        size = max(2, round(_SAMPLE * len(population)))
        parent = min((population[n] for n in rng.choice(len(population), min(size, len(population)))), key=loss)
        child = _child(parent, models, rng, effort.targets_us)
        if child in scored:
            barren += 1  # a small space has no more nets
            continue
        barren = 0
        net = net_at(models[0].space, child, f"evolved_{len(scored)}@{{label}}")
        ranked = rank(ranking, [net], ranked, "evolution", effort.nets)
        scored |= {choice_positions(one.net): one for one in ranked}
        population = [*population[1:], child]
    return ranked


def _child(
    parent: Positions, models: Sequence[CostModel], rng: np.random.Generator, targets_us: Sequence[float] | None
) -> Positions:
    """The parent with one to four layers changed at random, within the targets; a random net where no child is."""
    counts = np.array(option_counts(models[0]))
    children = np.tile(np.array(parent), (_CHILDREN, 1))
    rows, changes = np.arange(_CHILDREN), rng.integers(1, _MOST_CHANGED + 1, _CHILDREN)
    for number in range(_MOST_CHANGED):
        layers = rng.integers(0, len(counts), _CHILDREN)
        changed = changes > number
        children[rows[changed], layers[changed]] = rng.integers(0, counts[layers])[changed]
    kept = (children != np.array(parent)).any(axis=1)
    if targets_us is not None:
        kept &= are_within(children, models, targets_us)
    if not kept.any():
        return choice_positions(random_within(models, 1, rng, targets_us)[0])
    return tuple(int(position) for position in children[int(kept.argmax())])


def uniform(ranking: Ranking, effort: Effort) -> tuple[Derived, ...]:
    """A net for each candidate, which has it in as many layers as the targets allow: what is made without a search."""
    space = ranking.models[0].space
    nets: dict[Positions, Net] = {}
    for candidate in dict.fromkeys(c for layer in space.layers for c in layer.candidates):
        has = [
            np.array([float(c == candidate) for c in space.layers[decision.index].candidates])
            if decision.kind == "candidate"
            else np.arange(decision.count, dtype=np.float64)  # the larger ones first
            for decision in decisions(space)
        ]
        if effort.targets_us is None:
            positions = tuple(int(row.argmax()) for row in has)
        else:
            positions = best_within(has, ranking.models, effort.targets_us)
        nets.setdefault(positions, net_at(space, positions, f"uniform_{candidate.name}@{{label}}"))
    return rank(ranking, list(nets.values()))


FINDERS: dict[str, Finder] = {
    "theta": from_theta,
    "random": at_random,
    "evolution": by_evolution,
    "uniform": uniform,
}
