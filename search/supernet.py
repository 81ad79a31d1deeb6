"""The supernet: every candidate of every layer of a space, side by side (FBNet, section 3.2).

One class, two modes, decided by the gates of a pass. Soft: a layer's output is the sum of its candidates' outputs times
their gates. Hard: only the candidate in the gates' path runs.

A layer that keeps its shape has the input in every candidate's output, as residual or as skip. Its gates sum to 1, so
the layer is

    y = x + sum over i of m[i] * f_i(x)        f_i: the candidate without its residual, 0 for a skip

which is the paper's sum, and a skip costs nothing. A layer of which some candidate is no branch beside its input (a
plain convolution) sums the candidates as they are. FBNet's blocks share their weights (`block`); a candidate of any
other kind is the module of its graph, with weights of its own.

In hard mode the gradient of gate i is <dL/dy, f_i(x)> for the candidate that ran and 0 for the others, then through the
softmax: theta_k gets sum over i of <dL/dy, f_i(x)> * dm[i]/dtheta_k with that one term. What candidates that did not
run would have changed is not estimated, other than over many draws. The input's share, which is the same for all
candidates and has no gradient in the full sum, is left out of the one term too: it would only add noise.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import Protocol, cast

import torch
from torch import Tensor, nn

from lutbench.nn.graph import GraphModule, InvertedResidual
from lutbench.nn.modules import empty_operator, empty_operators
from lutbench.search import composed, fused
from lutbench.search.block import SharedBlock
from lutbench.search.gates import Gates, ThetaNet
from lutbench.search.initial import initialise
from lutbench.search.judged import judged_quickly
from lutbench.space.macro import Layer, Space

Way = Callable[[SharedBlock, Tensor, Tensor, Sequence[int]], Tensor]  # to run some of a block's candidates


class Searchable(Protocol):
    """What a search trains: weights of all nets of a space, and theta, the options' logits, in the decisions' order."""

    theta: nn.Parameter
    mask: Tensor

    @property
    def probabilities(self) -> Tensor:
        """P_theta (decisions, options), on the CPU."""

    def subnet(self, positions: Sequence[int]) -> nn.Sequential:
        """The net of these options with a copy of the weights; (N, 3, R, R) -> (N, classes)."""


class Supernet(ThetaNet):
    """All weights of a space at a training resolution, and theta (layers, candidates).

    shared: the blocks of a layer are parts of one; else each has weights of its own, as in the paper.
    fast: in training, what blocks have in common is computed once: by one function for each layer on a CPU in full
        precision (`fused`), else in torch's calls (`composed`); tests compare both with the plain loop over candidates.
    """

    def __init__(
        self, space: Space, classes: int, resolution: int, seed: int, fast: bool = True, shared: bool = True
    ) -> None:
        super().__init__()
        self.space = space
        trained = replace(space, resolution=resolution, classes=classes)
        tail = trained.tail(trained.head_channels)
        self.stem = empty_operator(trained.stem)
        self.layers = nn.ModuleList(SuperLayer(layer, shared) for layer in trained.layers)
        self.tail = judged_quickly(empty_operators(tail))
        self.add_theta(space)
        self.fast = fast
        initialise(self, torch.Generator().manual_seed(seed))
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # torch's stubs lack it
        for part in self.modules():
            if isinstance(part, SharedBlock):
                part.nest()

    def forward(self, images: Tensor, gates: Gates) -> Tensor:
        """(N, 3, R, R) -> (N, classes)"""
        x: Tensor = self.stem(images.contiguous(memory_format=torch.channels_last))
        way = self._way(x)
        for number, layer in enumerate(cast("list[SuperLayer]", self.layers)):
            chosen = range(layer.candidates) if gates.path is None else (gates.path[number],)
            x = layer(x, gates.values[number], chosen, way)
        found: Tensor = self.tail(x)
        return found

    def _way(self, x: Tensor) -> Way | None:
        """How a layer's blocks are run; None: candidate by candidate."""
        if not (self.fast and self.training):
            return None
        on_cpu = x.device.type == "cpu" and not torch.is_autocast_enabled("cpu")
        # a compiler's work that is done by hand is hidden from it
        return fused.branches if on_cpu and not torch.compiler.is_compiling() else composed.branches

    def equal_theta(self, everywhere: bool = True) -> Tensor:
        """The theta (layers, candidates) of paths that train all weights alike.

        Of a layer the candidates that share weights are together as probable as any that shares none: were each as
        probable as any other, the one skip beside many blocks would hardly be trained (docs/notes/search.md: figures).

        everywhere: in all layers; otherwise only where a skip has weights to train, which is where a stage begins.
        """
        found = torch.zeros_like(self.theta)
        for row, layer in zip(found, cast("list[SuperLayer]", self.layers), strict=True):
            if everywhere or not layer.keeps:
                row[: layer.candidates] = -torch.tensor(layer.sharers).to(row).log()
        return found

    def subnet(self, positions: Sequence[int]) -> nn.Sequential:
        """The net of these candidates with a copy of the weights; (N, 3, R, R) -> (N, classes)."""
        layers = [cast(SuperLayer, layer).copy_of(p) for layer, p in zip(self.layers, positions, strict=True)]
        parts = [layer for layer in layers if not isinstance(layer, nn.Identity)]
        return nn.Sequential(copy.deepcopy(self.stem), *parts, *copy.deepcopy(self.tail))


class SuperLayer(nn.Module):
    """The candidates of one layer: blocks, and a skip, which is an identity or a module of its own."""

    def __init__(self, layer: Layer, shared: bool) -> None:
        super().__init__()
        operators = [layer.operator(candidate) for candidate in layer.candidates]
        blocks = [position for position, operator in enumerate(operators) if SharedBlock.fits(operator)]
        groups = [blocks] if shared and blocks else [[position] for position in blocks]
        self.blocks = nn.ModuleList(SharedBlock([operators[p] for p in positions]) for positions in groups)
        self._places = {p: (b, place) for b, positions in enumerate(groups) for place, p in enumerate(positions)}
        others = {p: empty_operator(op) for p, op in enumerate(operators) if p not in self._places}
        self.others = nn.ModuleDict({str(position): module for position, module in others.items()})
        carries = [operator.has_residual or not operator.is_measured for operator in operators]
        self._carries = tuple(carries)
        self.keeps = all(carries)  # the input's shape, and a skip does nothing

    def forward(self, x: Tensor, gates: Tensor, chosen: Iterable[int], way: Way | None) -> Tensor:
        """gates (candidates,); of them only the chosen run. (N, C, H, W) -> (N, C_out, H_out, W_out)"""
        parts = [x] if self.keeps else []
        of_blocks: dict[int, list[int]] = {}
        for position in chosen:
            if position in self._places:
                of_blocks.setdefault(self._places[position][0], []).append(position)
            else:
                parts += self._other(x, gates[position], position)
        for number, positions in of_blocks.items():
            block = cast(SharedBlock, self.blocks[number])
            places = [self._places[position][1] for position in positions]
            if way is not None:
                parts.append(way(block, x, gates[positions], places))
            else:
                parts += [block.plain(x, gates[p], place) for p, place in zip(positions, places, strict=True)]
            if not self.keeps:
                parts += [gates[position] * x for position in positions if self._carries[position]]
        return sum(parts[1:], start=parts[0])

    def _other(self, x: Tensor, gate: Tensor, position: int) -> list[Tensor]:
        """What a candidate that shares no weights adds: its branch where all candidates carry x, else all of it."""
        module = self.others[str(position)]
        if not self.keeps:
            return [gate * module(x)]
        if isinstance(module, nn.Identity):
            return []
        return [gate * cast("InvertedResidual | GraphModule", module).branch(x)]

    @property
    def candidates(self) -> int:
        return len(self._places) + len(self.others)

    @property
    def sharers(self) -> list[int]:
        """The number of candidates that have the weights of each, itself among them."""
        blocks = [block for block, _ in self._places.values()]
        return [blocks.count(self._places[p][0]) if p in self._places else 1 for p in range(self.candidates)]

    def copy_of(self, position: int) -> nn.Module:
        """A candidate alone, residual included, with a copy of its weights."""
        if position in self._places:
            block, place = self._places[position]
            return cast(SharedBlock, self.blocks[block]).copy_of(place)
        return copy.deepcopy(self.others[str(position)])
