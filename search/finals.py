"""The last round of a ranking: the best nets are trained for a few epochs, each alone, and ranked by that.

A supernet's weights serve all nets at once, and some nets worse than others: of small nets, which skip most layers,
many score as if they were untrained. An epoch with a copy of the weights tells them apart better
(docs/notes/search.md: figures).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from statistics import mean

import torch
from torch import nn
from torch.nn import functional as F

from lutbench.search.derive import Derived, Ranking, rank
from lutbench.search.scores import Scores
from lutbench.search.train import LAYOUT, Score, evaluate

FINALS = "finals.jsonl"  # in a search's folder
STAGE = "finals"
# of SGD; the rate falls to 0 along a cosine
BATCH_SIZE, RATE, MOMENTUM, DECAY, CLIP = 64, 0.05, 0.9, 1e-4, 5.0


@dataclass(frozen=True)
class FinalTraining:
    """The training that a net gets before it is scored in the finals.

    runs: a net is trained so many times, each with a copy of its own and another order of images, and has the mean of
        their scores: a short training's end hangs on its order as much as on the net (docs/notes/search.md: figures).
    seed: of the order of images.
    """

    epochs: int = 1
    runs: int = 1
    seed: int = 0


@dataclass(frozen=True)
class Finals(Ranking):
    """A ranking of nets that are trained with a copy of the supernet's weights before they are scored."""

    training: FinalTraining = field(default_factory=FinalTraining)

    def judge(self, positions: Sequence[int]) -> Score:
        scores = [self._after_run(positions, run) for run in range(self.training.runs)]
        return Score(mean(one.loss for one in scores), mean(one.accuracy for one in scores), scores[0].images)

    def _after_run(self, positions: Sequence[int], run: int) -> Score:
        alone = self.alone(positions)
        self._train(alone, self.device, run)
        return evaluate(alone, self.batches(), self.device)

    def _train(self, net: nn.Module, device: str, run: int) -> None:
        parameters = list(net.parameters())
        optimiser = torch.optim.SGD(parameters, RATE, MOMENTUM, weight_decay=DECAY)
        epochs, seed = self.training.epochs, self.training.seed
        steps = epochs * math.ceil(self.data.count("w") / BATCH_SIZE)
        net.train()
        step = 0
        for epoch in range(run * epochs, (run + 1) * epochs):
            for images, labels in self.data.train_batches(BATCH_SIZE, epoch, seed, "w"):
                for group in optimiser.param_groups:
                    group["lr"] = RATE * (1 + math.cos(math.pi * step / steps)) / 2
                loss = F.cross_entropy(net(images.to(device, memory_format=LAYOUT)), labels.to(device))
                optimiser.zero_grad()
                loss.backward()  # type: ignore[no-untyped-call]
                nn.utils.clip_grad_norm_(parameters, CLIP)
                optimiser.step()
                step += 1
        net.eval()


def finals_of(ranking: Ranking, training: FinalTraining, scores: Scores | None = None) -> Finals:
    """The finals of a ranking.

    scores: of finals, not the ranking's.
    """
    own = {one.name: getattr(ranking, one.name) for one in fields(Ranking) if one.init}
    return Finals(**own | {"scores": scores, "scorers": None}, training=training)


def decide(finals: Finals, nets: Sequence[Derived], count: int) -> tuple[Derived, ...]:
    """The best nets of a ranking in the order of their finals, then the others as they were.

    count: how many are in the finals.
    """
    return (*rank(finals, [one.net for one in nets[:count]], stage=STAGE), *nets[count:])
