"""Space: a macro-architecture (fixed layers and stages of layers to be searched) and its candidates."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from functools import cached_property

from lutbench.errors import SpaceError
from lutbench.space.candidate import Candidate
from lutbench.space.operator import OVERHEAD, Operator, block_operator

CHANNEL_MULTIPLE = 8


def scaled_channels(channels: int, width: float) -> int:
    """channels x width, rounded up to a multiple of 8.

    The rule that gives the released FBNet-96-0.35-1 its stages 8, 16, 16, 24, 40, 72, 128; width 1 changes nothing.
    """
    if width == 1:
        return channels
    multiples = math.ceil(channels * width / CHANNEL_MULTIPLE - 1e-9)  # 1e-9: 0.35 is not exactly .35
    return max(1, multiples) * CHANNEL_MULTIPLE


def format_width(width: float) -> str:
    """A width multiplier as names have it: 1.0, 0.35."""
    return f"{width:.12g}" if width % 1 else f"{width:.1f}"


@dataclass(frozen=True)
class Stage:
    """layers blocks with the same output channels; the first has the stride. No candidates: the space's own."""

    channels: int
    layers: int
    stride: int
    candidates: tuple[Candidate, ...] = ()


@dataclass(frozen=True)
class Layer:
    """A place in the macro-architecture: input (c_in, h_in, w_in), channels out, stride, and what may stand there."""

    index: int
    stage: int
    c_in: int
    h_in: int
    w_in: int
    c_out: int
    stride: int
    candidates: tuple[Candidate, ...]

    def operator(self, candidate: Candidate) -> Operator:
        return block_operator(candidate, self.c_in, self.h_in, self.w_in, self.c_out, self.stride)

    @property
    def shape(self) -> tuple[int, int, int, int, int]:
        return self.c_in, self.h_in, self.w_in, self.c_out, self.stride


@dataclass(frozen=True)
class Space:
    """A search space at one resolution and width: what every net of it shares, and what each layer may take.

    stem_channels, stem_kernel, stem_stride: of the convolution that reads the image.
    stages: groups of layers of one output width.
    candidates: the blocks that a layer may take unless its stage says otherwise.
    head_channels: of the 1x1 convolution before the pool.
    other_heads: further head widths that published nets of the space use; their operators are part of the space,
        random nets do not draw them.

    >>> from lutbench.space.fbnet import fbnet
    >>> space = fbnet(resolution=224, width=1.0)
    >>> space.label, len(space.layers), len(space.layers[3].candidates)
    ('224x1.0', 22, 9)
    >>> space.stem.name
    'stem_k3_3x224x224_16_s2'
    """

    name: str
    resolution: int
    width: float
    stem_channels: int
    stem_kernel: int
    stem_stride: int
    stages: tuple[Stage, ...]
    candidates: tuple[Candidate, ...]
    head_channels: int
    other_heads: tuple[int, ...] = ()
    classes: int = 1000
    input_channels: int = 3

    def __post_init__(self) -> None:
        if not self.stages:
            raise SpaceError(f"space {self.name} has no stage")
        self.tail(self.head_channels)  # built here, like the stem and the layers: what cannot exist raises
        _ = self.stem
        for layer in self.layers:
            for candidate in layer.candidates:
                layer.operator(candidate)  # a candidate's groups may not fit the channels

    @property
    def label(self) -> str:
        """resolution and width as nets are named: 224x1.0."""
        return f"{self.resolution}x{format_width(self.width)}"

    @property
    def stem(self) -> Operator:
        return Operator(
            "stem",
            self.input_channels,
            self.resolution,
            self.resolution,
            self.stem_channels,
            self.stem_kernel,
            self.stem_stride,
        )

    @cached_property
    def layers(self) -> tuple[Layer, ...]:
        """The layers to be searched, in order."""
        return tuple(self._layers())

    def _layers(self) -> Iterator[Layer]:
        stem = self.stem
        channels, height, width = stem.c_out, stem.h_out, stem.w_out
        index = 0
        for number, stage in enumerate(self.stages):
            for repeat in range(stage.layers):
                stride = stage.stride if repeat == 0 else 1
                candidates = stage.candidates or self.candidates
                yield Layer(index, number, channels, height, width, stage.channels, stride, candidates)
                channels, height, width = stage.channels, -(-height // stride), -(-width // stride)
                index += 1

    def tail(self, head_channels: int) -> tuple[Operator, Operator, Operator]:
        """Head convolution, pool and classifier for this head width."""
        last = self.layers[-1]
        height, width = -(-last.h_in // last.stride), -(-last.w_in // last.stride)
        return (
            Operator("conv", last.c_out, height, width, head_channels, 1, 1),
            Operator("pool", head_channels, height, width, head_channels),
            Operator("fc", head_channels, 1, 1, self.classes),
        )

    @cached_property
    def searchable_operators(self) -> tuple[Operator, ...]:
        """The distinct operators of layers x candidates, identities included, sorted by name."""
        found = {layer.operator(candidate) for layer in self.layers for candidate in layer.candidates}
        return tuple(sorted(found, key=lambda operator: operator.name))

    @property
    def fixed_operators(self) -> tuple[Operator, ...]:
        heads = (self.head_channels, *self.other_heads)
        found = {self.stem, *(operator for head in heads for operator in self.tail(head))}
        return tuple(sorted(found, key=lambda operator: operator.name))

    @cached_property
    def operators(self) -> tuple[Operator, ...]:
        """Every row that a LUT of this space has: searchable and fixed ones and the runtime's overhead."""
        found = {*self.searchable_operators, *self.fixed_operators, OVERHEAD}
        return tuple(sorted(found, key=lambda operator: operator.name))

    def scaled(self, resolution: int, width: float) -> Space:
        """This space (of width 1) at another input resolution and with every channel count times width."""
        if not 8 <= resolution <= 4096:
            raise SpaceError(f"resolution {resolution} is not between 8 and 4096")
        if not 0.01 <= width <= 10:
            raise SpaceError(f"width {width:g} is not between 0.01 and 10")
        if self.width != 1:
            raise SpaceError(f"space {self.name} is scaled already (width {self.width:g})")
        return replace(
            self,
            resolution=resolution,
            width=width,
            stem_channels=scaled_channels(self.stem_channels, width),
            stages=tuple(replace(s, channels=scaled_channels(s.channels, width)) for s in self.stages),
            head_channels=scaled_channels(self.head_channels, width),
            other_heads=tuple(scaled_channels(head, width) for head in self.other_heads),
        )


def distinct_operators(spaces: Iterable[Space]) -> tuple[Operator, ...]:
    """Every row that a LUT of these spaces has, each once, sorted by name."""
    return tuple(sorted({op for space in spaces for op in space.operators}, key=lambda operator: operator.name))
