"""The masked supernet: channels and resolution are searched beside the blocks (FBNetV2, DMaskingNAS).

One module per layer serves all of the layer's options (`masked_block`), so memory and time hardly grow with them. One
class, two modes, decided by the gates of a pass, as in `supernet`. Soft: every option weighted; of the resolutions each
runs on a sample of the maps (`resolutions`). Hard: the options in the gates' path; where the gates are not to learn,
only the part of the weights that the path needs.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import cast

import torch
from torch import Tensor, nn

from lutbench.nn.modules import empty_operator, empty_operators
from lutbench.search.gates import Gates, ThetaNet
from lutbench.search.grid_costs import SplitGates, gate_counts, split_gates
from lutbench.search.initial import initialise
from lutbench.search.masked_block import MaskedBlock, prefix, resized
from lutbench.search.masked_forms import check_masks
from lutbench.search.resolutions import Sample, Size, sampled, sizes_at, spread
from lutbench.space.decisions import decisions
from lutbench.space.macro import Space


@dataclass(frozen=True)
class Path:
    """A net as positions: of its resolution, and of each layer's input channels, output channels and candidate."""

    resolution: int
    layers: tuple[tuple[int, int, int], ...]


class MaskedSupernet(ThetaNet):
    """All weights of a space at a training resolution, and theta (decisions, options).

    The largest of the space's resolutions is that of the images; the others are smaller in proportion.
    """

    def __init__(self, space: Space, classes: int, resolution: int, seed: int) -> None:
        super().__init__()
        check_masks(space)
        self.space = space
        self._resolutions = sizes_at(resolution, space.resolutions or (space.resolution,))
        shapes = [replace(space.widest, resolution=r, resolutions=(), classes=classes) for r in self._resolutions]
        self._trained = shapes[-1]
        self._sizes = [_sizes(one) for one in shapes]  # [resolution][place]: of what each layer and the tail get
        self._stages = tuple(layer.stage for layer in space.layers)
        self._counts = gate_counts(space)
        self.stem = empty_operator(self._trained.stem)
        grid = self._trained.grid(resolution)
        tied = [number > 0 and stage == self._stages[number - 1] for number, stage in enumerate(self._stages)]
        self.layers = nn.ModuleList(MaskedBlock(rows, is_tied) for rows, is_tied in zip(grid, tied, strict=True))
        self.tail = empty_operators(self._trained.tail(space.head_channels))
        self.add_theta(space)
        initialise(self, torch.Generator().manual_seed(seed))
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # torch's stubs lack it
        for layer in self._blocks:
            layer.nest()

    @property
    def _blocks(self) -> list[MaskedBlock]:
        return list(cast("list[MaskedBlock]", self.layers))

    def forward(self, images: Tensor, gates: Gates) -> Tensor:
        """(N, 3, R, R) -> (N, classes)"""
        images = images.contiguous(memory_format=torch.channels_last)
        split = self.split(gates)
        if gates.path is None:
            return self._soft(images, split)
        path = self.path(gates.path)
        x = self.stem(sampled(images, self._sizes[path.resolution][0]))
        if not gates.values.requires_grad:
            for block, (i, j, position) in zip(self._blocks, path.layers, strict=True):
                x = block.sliced(x, i, j, position)
            found: Tensor = self.tail(resized(x, self._widest))
            return found
        parts = zip(self._blocks, split.inputs, split.outputs, split.candidates, path.layers, strict=True)
        for block, given, gives, candidates, (_, _, position) in parts:
            x = block.masked(x, block.weighted(given, gives, candidates, (position,)))
        chosen: Tensor = self.tail(x)
        return chosen * split.resolution[path.resolution]

    def split(self, gates: Gates) -> SplitGates:
        """The gates by what they decide."""
        return split_gates(gates.values, self._stages, self._counts)

    def _soft(self, images: Tensor, split: SplitGates) -> Tensor:
        """Each layer at every resolution, on samples of its input, spread again and weighted."""
        gates, sizes = split.resolution, self._sizes

        def at_all(x: Tensor, place: int, run: Callable[[Tensor], Tensor]) -> Tensor:
            total: Tensor | None = None
            for number, gate in enumerate(gates):
                part = spread(run(sampled(x, sizes[number][place])), sizes[-1][place + 1])
                part = part if len(gates) == 1 else gate * part
                total = part if total is None else total + part
            assert total is not None
            return total

        x = at_all(images, 0, self.stem)
        parts = zip(self._blocks, split.inputs, split.outputs, split.candidates, strict=True)
        for number, (block, given, gives, candidates) in enumerate(parts):
            x = at_all(x, number + 1, partial(block.masked, weights=block.weighted(given, gives, candidates)))
        last = len(self.layers) + 1
        outputs = [gate * self.tail(sampled(x, sizes[number][last])) for number, gate in enumerate(gates)]
        found: Tensor = sum(outputs[1:], start=outputs[0])
        return found

    @property
    def _widest(self) -> int:
        return self._blocks[-1].outs[-1]

    def path(self, positions: Sequence[int]) -> Path:
        """The options of a net, by layer."""
        resolution, last, out = 0, 0, 0
        found: list[tuple[int, int, int]] = []
        for decision, position in zip(decisions(self.space), positions, strict=True):
            if decision.kind == "resolution":
                resolution = position
            elif decision.kind == "channels":
                out = position
            else:
                stage = self._stages[decision.index]
                if not decision.index or stage != self._stages[decision.index - 1]:
                    given, last = last, out if self.space.stages[stage].options else 0
                else:
                    given = last
                found.append((given, last, position))
        return Path(resolution, tuple(found))

    @torch.no_grad()
    def subnet(self, positions: Sequence[int]) -> nn.Sequential:
        """The net of these options with a copy of its part of the weights; (N, 3, R, R) -> (N, classes).

        It has no masks. Of a smaller resolution it begins with taking the smaller image out of the larger one.
        """
        path = self.path(positions)
        blocks = [block.copy_of(*choice) for block, choice in zip(self._blocks, path.layers, strict=True)]
        parts = [block for block in blocks if not isinstance(block, nn.Identity)]
        size = self._sizes[path.resolution][0]
        samples = [Sample(size)] if size != self._sizes[-1][0] else []
        last = replace(self._trained.stages[-1], channels=self._blocks[-1].outs[path.layers[-1][1]])
        own = replace(self._trained, stages=(*self._trained.stages[:-1], last))
        tail = empty_operators(own.tail(self.space.head_channels))
        theirs = self.tail.state_dict()
        for name, value in tail.state_dict().items():
            value.copy_(prefix(theirs[name], value.shape))
        found = nn.Sequential(*samples, copy.deepcopy(self.stem), *parts, *tail)
        return found.to(self.theta.device).train(self.training)


def _sizes(space: Space) -> list[Size]:
    """Heights and widths of the image, of what each layer gets, and of what the tail gets."""
    layers = space.layers
    last = layers[-1]
    end = (-(-last.h_in // last.stride), -(-last.w_in // last.stride))
    return [(space.stem.h_in, space.stem.w_in), *((layer.h_in, layer.w_in) for layer in layers), end]
