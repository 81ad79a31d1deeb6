"""Weights to train from."""

from __future__ import annotations

import torch
from torch import nn


@torch.no_grad()
def initialise(module: nn.Module, rng: torch.Generator) -> None:
    """Random weights, in place: convolutions by fan-in (He), a small classifier, batch norms that start as identity.

    They depend on the generator alone, not on how weights lie in memory.
    """
    for part in module.modules():
        if isinstance(part, nn.Conv2d):
            part.weight.copy_(torch.randn(part.weight.shape, generator=rng) * (2 / part.weight[0].numel()) ** 0.5)
        elif isinstance(part, nn.Linear):
            part.weight.copy_(torch.randn(part.weight.shape, generator=rng) * 0.01)
        elif isinstance(part, nn.BatchNorm2d):
            part.reset_parameters()
        if isinstance(part, (nn.Conv2d, nn.Linear)) and part.bias is not None:
            part.bias.zero_()
