"""From theta to nets: draws them from P_theta, within a budget where there is one, and ranks them by the supernet."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import chain, islice

import numpy as np
import torch
from torch import Tensor, nn

from lutbench.errors import UsageError
from lutbench.events import Report, StepProgress
from lutbench.search.budget import best_within
from lutbench.search.data.source import Batches, DataSource
from lutbench.search.grid_costs import CostModel, is_latency, option_counts
from lutbench.search.judged import judged_quickly, larger_batches
from lutbench.search.objective import Objective
from lutbench.search.scorers import Scorers
from lutbench.search.scores import Scores
from lutbench.search.supernet import Searchable
from lutbench.search.train import Score, evaluate
from lutbench.space.decisions import choice_positions, net_at
from lutbench.space.net import Net
from lutbench.units import format_percent

CALIBRATION_BATCHES = 10
VIEWS_SEED = 0  # the same in every search
MOST_KEPT_BYTES = 256 << 20  # of images that nets are scored on, which are otherwise made anew for each
_TRIES_PER_NET = 50


@dataclass(frozen=True)
class Derived:
    """A net, its log probability under theta, its score under the supernet's weights, and its latencies by device.

    costs: of the search's models, in their order, counts among them.
    """

    net: Net
    log_probability: float
    score: Score
    predicted_us: dict[str, float]
    costs: tuple[float, ...] = ()


@dataclass(frozen=True)
class Ranking:
    """What nets are ranked with.

    probabilities: P_theta (decisions, options).
    views: times that theta's share is looked at, augmented anew each time but alike for every net; 0: once, as it is.
    On a few hundred images as they are, a net's loss hangs on a handful of them (docs/notes/search.md: figures).
    scores: those that are known already, and a place to keep new ones.
    scorers: processes that score, None where this one does.
    """

    supernet: Searchable
    models: Sequence[CostModel]
    probabilities: Tensor
    data: DataSource
    batch_size: int
    objective: Objective
    report: Report
    views: int = 0
    scores: Scores | None = None
    scorers: Scorers | None = None
    _kept: list[tuple[Tensor, Tensor]] = field(default_factory=list, init=False, repr=False, compare=False)

    def score(self, net: Net) -> Score:
        """Scores a net with the supernet's weights; taken from scores where it stands there."""
        known = self.scores.get(net.candidates_text) if self.scores is not None else None
        if known is not None:
            return known
        score = self.judge(choice_positions(net))
        if self.scores is not None:
            self.scores.keep(net.candidates_text, score)
        return score

    def score_all(self, nets: Sequence[Net]) -> Iterator[Score]:
        """The nets' scores, in their order."""
        return map(self.score, nets) if self.scorers is None else self.scorers.score_all(nets)

    def judge(self, positions: Sequence[int]) -> Score:
        """Scores the net of these options with the supernet's weights."""
        return evaluate(self.alone(positions), self.batches(), self.device)

    def alone(self, positions: Sequence[int]) -> nn.Module:
        """The net of these options with a copy of the supernet's weights, and batch norms of its own."""
        alone = judged_quickly(self.supernet.subnet(positions))
        calibrate(alone, self.data, self.batch_size, self.device)
        return alone

    @property
    def device(self) -> str:
        return str(self.supernet.theta.device)

    def batches(self) -> Batches:
        """The images that a net's loss is the mean over, the same for every net: kept where memory allows it."""
        looks = self.data.count("theta") * max(1, self.views)
        if 3 * self.data.resolution**2 * looks * torch.float32.itemsize > MOST_KEPT_BYTES:
            return self._made()
        if not self._kept:
            self._kept.extend(larger_batches(self._made()))
        return iter(self._kept)

    def _made(self) -> Batches:
        if not self.views:
            return self.data.plain_batches(self.batch_size, "theta")
        views = (self.data.train_batches(self.batch_size, view, VIEWS_SEED, "theta") for view in range(self.views))
        return chain.from_iterable(views)


def draw_nets(
    probabilities: Tensor,
    models: Sequence[CostModel],
    count: int,
    seed: int | Sequence[int],
    targets_us: Sequence[float] | None = None,
) -> tuple[Net, ...]:
    """Up to count different nets: the most probable one, then samples of P_theta (decisions, options).

    With targets each is within them (`best_within`): Gumbel noise is added to the log probabilities, and the best sum
    that fits the budget is taken; without targets that is an exact sample. Fewer than count only where further draws
    bring nothing new.
    """
    if count < 1:
        raise UsageError(f"{count} nets cannot be drawn", remedy="1 or more")
    space = models[0].space
    with np.errstate(divide="ignore"):
        logs = np.log(probabilities.double().numpy())
    rng = np.random.default_rng(seed)
    found: dict[tuple[int, ...], Net] = {}
    for number in range(count * _TRIES_PER_NET):
        noise = rng.gumbel(size=logs.shape) if number else 0.0
        scores = [row[:count] for row, count in zip(logs + noise, option_counts(models[0]), strict=True)]
        if targets_us is None:
            positions = tuple(int(row.argmax()) for row in scores)
        else:
            positions = best_within(scores, models, targets_us)
        if positions not in found:
            found[positions] = net_at(space, positions, f"drawn_{len(found)}@{{label}}")
        if len(found) == count:
            break
    return tuple(found.values())


@torch.no_grad()
def calibrate(net: nn.Module, data: DataSource, batch_size: int, device: str = "cpu") -> None:
    """Sets the batch norms' running statistics to those of this net alone; in the supernet other paths had a share.

    Batches of small images go through together: that takes half as long, and orders nets alike (docs/notes/masks.md).
    """
    norms = [part for part in net.modules() if isinstance(part, nn.BatchNorm2d)]
    momenta = [norm.momentum for norm in norms]
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # a plain average over the batches
    net.train()
    batches = islice(data.plain_batches(batch_size, "w"), CALIBRATION_BATCHES)
    # the last batch may be one image, which has no statistics where maps are 1 x 1
    for images, _ in larger_batches(batch for batch in batches if len(batch[0]) > 1):
        net(images.to(device))
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum
    net.eval()


def rank(
    ranking: Ranking, nets: Sequence[Net], before: Sequence[Derived] = (), stage: str = "ranking", total: int = 0
) -> tuple[Derived, ...]:
    """The nets, with those ranked before, by the search's own loss on theta's share of the data, best first.

    That is cross entropy times the latency's factor, and under a budget cross entropy alone: on a few hundred
    images many nets have the same accuracy, and their cross entropy still differs.

    total: nets that will have been ranked in the end, where they come one by one; 0: these alone are counted.
    """
    found = [*before]
    for number, (net, score) in enumerate(zip(nets, ranking.score_all(nets), strict=True)):
        derived = _derived(ranking, net, score)
        found.append(derived)
        detail = f"{net.name}: accuracy {format_percent(derived.score.accuracy)}"
        done = (len(found), total) if total else (number + 1, len(nets))
        ranking.report(StepProgress(stage, *done, "nets", detail))
    of_net = ranking.objective.of_net
    return tuple(sorted(found, key=lambda one: of_net(one.score.loss, one.costs)))


def _derived(ranking: Ranking, net: Net, score: Score) -> Derived:
    positions = choice_positions(net)
    chosen = ranking.probabilities.double()[range(len(positions)), list(positions)]
    costs = tuple(model.net_us(net) for model in ranking.models)
    predicted_us = {m.device: cost for m, cost in zip(ranking.models, costs, strict=True) if is_latency(m)}
    return Derived(net, chosen.log().sum().item(), score, predicted_us, costs)
