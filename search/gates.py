"""Gates: how much each candidate of each layer counts in one pass of the supernet, drawn from theta."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import torch
from torch import Tensor, nn

from lutbench.errors import UsageError
from lutbench.space.decisions import decisions
from lutbench.space.macro import Space

Mode = Literal["soft", "hard"]
MODES: tuple[Mode, ...] = get_args(Mode)


@dataclass(frozen=True)
class Gates:
    """One draw.

    relaxed: the Gumbel-softmax m (layers, candidates), each row sums to 1; differentiable in theta.
    values: what the candidates are weighted by: relaxed itself in soft mode; in hard mode 1 for the candidate in path
        and 0 for the others, with relaxed's gradient (straight-through).
    path: the candidate of each layer that runs, None in soft mode.
    """

    relaxed: Tensor
    values: Tensor
    path: tuple[int, ...] | None = None


def candidate_mask(space: Space) -> Tensor:
    """(decisions, most options of one), bool: which options there are; of most spaces, candidates of layers."""
    counts = torch.tensor([decision.count for decision in decisions(space)])
    return torch.arange(int(counts.max())) < counts[:, None]


def probabilities(theta: Tensor, mask: Tensor) -> Tensor:
    """P_theta (layers, candidates): softmax over each layer's candidates."""
    return theta.masked_fill(~mask, -math.inf).softmax(1)


class ThetaNet(nn.Module):
    """What supernets have in common: weights, and theta (decisions, options); mask says which options there are."""

    theta: nn.Parameter
    mask: Tensor

    def add_theta(self, space: Space) -> None:
        """Adds a theta that prefers nothing."""
        options = candidate_mask(space)
        self.theta = nn.Parameter(torch.zeros(options.shape))
        self.register_buffer("mask", options, persistent=False)

    def weights(self) -> Iterator[nn.Parameter]:
        """Every parameter but theta."""
        return (parameter for parameter in self.parameters() if parameter is not self.theta)

    @property
    def probabilities(self) -> Tensor:
        """P_theta (decisions, options), on the CPU."""
        return probabilities(self.theta.detach(), self.mask).cpu()


def draw(theta: Tensor, mask: Tensor, temperature: float, mode: Mode, generator: torch.Generator) -> Gates:
    """One draw of Gumbel noise at this temperature; the generator is one of the CPU, on any device.

    Hard mode runs the candidate of the largest relaxed gate, so the path is a sample of P_theta whatever the
    temperature.
    """
    noise = -torch.empty(theta.shape, dtype=torch.float64).exponential_(generator=generator).log()
    scores = (theta + noise.to(theta)).masked_fill(~mask, -math.inf)
    relaxed = (scores / temperature).softmax(1)
    if mode == "soft":
        return Gates(relaxed, relaxed)
    path = scores.argmax(1)
    one_hot = torch.nn.functional.one_hot(path, theta.shape[1]).to(relaxed)
    return Gates(relaxed, one_hot + (relaxed - relaxed.detach()), tuple(path.tolist()))


def fixed_path(positions: Sequence[int], mask: Tensor) -> Gates:
    """The gates of one net: a candidate per layer. UsageError for a candidate that a layer does not have."""
    path = torch.tensor(list(positions), device=mask.device)
    if path.shape != mask.shape[:1] or bool((path < 0).any()) or bool((path >= mask.sum(1)).any()):
        raise UsageError(f"{tuple(positions)} is no choice of a candidate in each of {len(mask)} layers")
    values = torch.nn.functional.one_hot(path, mask.shape[1]).float()
    return Gates(values, values, tuple(path.tolist()))
