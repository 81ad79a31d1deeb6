"""The supernet: every candidate of every layer of a space, side by side (FBNet, section 3.2).

One class, two modes, decided by the gates of a pass. Soft: a layer's output is the sum of its candidates' outputs times
their gates. Hard: only the candidate in the gates' path runs.

A layer that keeps its shape has the input in every candidate's output, as residual or as skip. Its gates sum to 1, so
the layer is

    y = x + sum over i of m[i] * f_i(x)        f_i: the candidate without its residual, 0 for a skip

which is the paper's sum, and a skip costs nothing. In hard mode the gradient of gate i is <dL/dy, f_i(x)> for the
candidate that ran and 0 for the others, then through the softmax: theta_k gets sum over i of <dL/dy, f_i(x)> *
dm[i]/dtheta_k with that one term. What candidates that did not run would have changed is not estimated, other than over
many draws. The input's share, which is the same for all candidates and has no gradient in the full sum, is left out of
the one term too: it would only add noise.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import torch
from torch import Tensor, nn

from lutbench.nn.modules import InvertedResidual, empty_operator
from lutbench.space.macro import Space
from search import fused
from search.gates import Gates, candidate_mask


class Supernet(nn.Module):
    """All weights of a space at a training resolution, and theta (layers, candidates).

    fast: run blocks as one function each where that is possible (training on a CPU in full precision); the plain loop
    over modules is what the tests compare it with.
    """

    def __init__(self, space: Space, classes: int, resolution: int, seed: int, fast: bool = True) -> None:
        super().__init__()
        self.space = space
        trained = replace(space, resolution=resolution, classes=classes)
        tail = trained.tail(trained.head_channels)
        self.stem = empty_operator(trained.stem)
        self.layers = nn.ModuleList(
            nn.ModuleList(empty_operator(layer.operator(c)) for c in layer.candidates) for layer in trained.layers
        )
        self.tail = nn.Sequential(*(empty_operator(operator) for operator in tail))
        self._keeps = [layer.stride == 1 and layer.c_in == layer.c_out for layer in trained.layers]
        self.theta = nn.Parameter(torch.zeros(candidate_mask(space).shape))
        self.mask: Tensor
        self.register_buffer("mask", candidate_mask(space), persistent=False)
        self.fast = fast
        initialise(self, seed)

    def weights(self) -> Iterator[nn.Parameter]:
        """Every parameter but theta."""
        return (parameter for parameter in self.parameters() if parameter is not self.theta)

    def forward(self, images: Tensor, gates: Gates) -> Tensor:
        """(N, 3, R, R) -> (N, classes)"""
        x: Tensor = self.stem(images.contiguous(memory_format=torch.channels_last))
        for number, keeps in enumerate(self._keeps):
            x = self._layer(number, x, gates, keeps)
        found: Tensor = self.tail(x)
        return found

    def _layer(self, number: int, x: Tensor, gates: Gates, keeps: bool) -> Tensor:
        candidates, values = self.layers[number], gates.values[number]
        chosen = range(len(candidates)) if gates.path is None else (gates.path[number],)  # type: ignore[arg-type]
        fast = self.fast and self.training and x.device.type == "cpu" and not torch.is_autocast_enabled("cpu")
        out = x if keeps else None
        for position in chosen:
            candidate = candidates[position]  # type: ignore[index]
            if isinstance(candidate, nn.Identity):
                continue
            part = _branch(candidate, x, values[position], fast)
            out = part if out is None else out + part
        assert out is not None
        return out


def _branch(candidate: nn.Module, x: Tensor, gate: Tensor, fast: bool) -> Tensor:
    """gate * candidate(x), without a residual."""
    if not isinstance(candidate, InvertedResidual):
        found: Tensor = gate * candidate(x)
    elif fast:
        found = fused.branch(candidate, x, gate)
    else:
        found = gate * candidate.body(x)
    return found


@torch.no_grad()
def initialise(module: nn.Module, seed: int) -> None:
    """Weights for training: He's normal ones for convolutions, in channels_last, batch norms that start as identity."""
    rng = torch.Generator().manual_seed(seed)
    for part in module.modules():
        if isinstance(part, nn.Conv2d):
            part.weight.normal_(0, (2 / part.weight[0].numel()) ** 0.5, generator=rng)
            part.weight.data = part.weight.contiguous(memory_format=torch.channels_last)
        elif isinstance(part, nn.Linear):
            part.weight.normal_(0, 0.01, generator=rng)
            part.bias.zero_()
