"""Space: a macro-architecture (fixed layers and stages of layers to be searched) and its candidates."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

from lutbench.errors import SpaceError
from lutbench.space.blocks.kind import Value
from lutbench.space.blocks.table import KINDS
from lutbench.space.candidate import Candidate, parse_candidate
from lutbench.space.definition import Counts
from lutbench.space.operator import OVERHEAD, Operator, block_operator, fields_of
from lutbench.space.scale import format_width, scaled_channels


@dataclass(frozen=True)
class Stage:
    """layers blocks with the same output channels; the first has the stride. No candidates: the space's own.

    usual: options (activation, squeeze) of the blocks whose names leave them open.
    is_fixed: whether its one candidate is no choice: nets are written without it.
    options: channels to choose from, ascending, for all layers of the stage alike; none where there is no choice.
    """

    channels: int
    layers: int
    stride: int
    candidates: tuple[Candidate, ...] = ()
    usual: tuple[tuple[str, Value], ...] = ()
    is_fixed: bool = False
    options: tuple[int, ...] = ()

    @property
    def widths(self) -> tuple[int, ...]:
        """The channels that it may have, ascending."""
        return self.options or (self.channels,)


@dataclass(frozen=True)
class HeadLayer:
    """A layer behind the last stage: pool, fc or a block; channels 0: as many as it gets, and of fc the classes."""

    block: str
    channels: int = 0


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
    usual: tuple[tuple[str, Value], ...] = ()
    is_fixed: bool = False
    counts: Counts = field(default_factory=dict, compare=False, repr=False)

    def operator(self, candidate: Candidate) -> Operator:
        found = block_operator(candidate, *self.shape, self.usual)
        counted = self.counts.get(found.name) if found.is_own_code else None
        return replace(found, counted=counted[:2]) if counted else found

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
    head: layers behind the last stage, where they are not that convolution, a pool and a classifier; None: those.
    stem_activation: behind the stem's convolution.
    aspect: the input's width for a height of 1; resolution is its height.
    counts: of operators of a user's own code or files, by name.
    resolutions: to choose from, ascending; none where there is no choice.

    Where channels or resolutions are chosen, `resolution` and the stages' channels are one choice of them: the largest
    in a space to search, a net's own in the space of a net (`at`). What there is to measure is of all choices.

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
    head: tuple[HeadLayer, ...] | None = None
    stem_activation: str = "relu"
    aspect: float = 1.0
    counts: Counts = field(default_factory=dict, compare=False, repr=False)
    resolutions: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        if not self.stages:
            raise SpaceError(f"space {self.name} has no stage")
        self.tail(self.head_channels)  # built here, like the stem and the layers: what cannot exist raises
        _ = self.stem
        if not self._is_widest:
            return  # a part of a space that was checked when it was made
        for layer in dict.fromkeys(layer for rows in self.grid(self.resolution) for row in rows for layer in row):
            for candidate in layer.candidates:
                try:
                    layer.operator(candidate)  # a candidate's groups may not fit the channels
                except SpaceError as error:
                    raise SpaceError(f"candidate {candidate}: {error.problem}", remedy=error.remedy) from error

    @property
    def has_choices(self) -> bool:
        """Whether nets choose channels or a resolution, and not candidates alone."""
        return bool(self.resolutions) or any(stage.options for stage in self.stages)

    @property
    def _is_widest(self) -> bool:
        sizes = self.resolutions or (self.resolution,)
        return self.resolution == sizes[-1] and all(stage.channels == stage.widths[-1] for stage in self.stages)

    def at(self, resolution: int, channels: Sequence[int]) -> Space:
        """This space with a resolution and the channels of each stage chosen, fixed ones among them.

        SpaceError for what is none of its options.
        """
        if resolution not in (self.resolutions or (self.resolution,)):
            known = ", ".join(map(str, self.resolutions or (self.resolution,)))
            raise SpaceError(f"space {self.name} has no resolution {resolution}", remedy=f"it has {known}")
        if len(channels) != len(self.stages):
            raise SpaceError(f"{len(channels)} channel counts for {len(self.stages)} stages of space {self.name}")
        for number, (stage, count) in enumerate(zip(self.stages, channels, strict=True), start=1):
            if count not in stage.widths:
                known = ", ".join(map(str, stage.widths))
                raise SpaceError(
                    f"stage {number} of space {self.name} has no {count} channels", remedy=f"it has {known}"
                )
        stages = tuple(replace(s, channels=c) for s, c in zip(self.stages, channels, strict=True))
        return replace(self, resolution=resolution, stages=stages)

    @property
    def widest(self) -> Space:
        """The space to search that a net's own space is a choice of."""
        return self.at((self.resolutions or (self.resolution,))[-1], [stage.widths[-1] for stage in self.stages])

    def grid(self, resolution: int) -> tuple[tuple[tuple[Layer, ...], ...], ...]:
        """Each layer with every choice of channels at one of the resolutions: [layer][input option][output option].

        Within a stage input and output are one choice, and the layer has one input option.
        """
        found: list[tuple[tuple[Layer, ...], ...]] = []
        given: tuple[int, ...] = (self.stem_channels,)
        for layer in self._layers(resolution):
            widths = self.stages[layer.stage].widths
            if found and layer.stage == found[-1][0][0].stage:
                found.append((tuple(replace(layer, c_in=c, c_out=c) for c in widths),))
            else:
                found.append(tuple(tuple(replace(layer, c_in=i, c_out=o) for o in widths) for i in given))
            given = widths
        return tuple(found)

    def tails(self, resolution: int, head_channels: int) -> tuple[tuple[Operator, ...], ...]:
        """What follows the last stage, for each of that stage's options, at one of the resolutions."""
        *before, last = self.stages
        made = (replace(self, resolution=resolution, stages=(*before, replace(last, channels=c))) for c in last.widths)
        return tuple(space.tail(head_channels) for space in made)

    @property
    def label(self) -> str:
        """resolution and width as nets are named: 224x1.0."""
        return f"{self.resolution}x{format_width(self.width)}"

    @property
    def stem(self) -> Operator:
        return self.stem_at(self.resolution)

    def stem_at(self, resolution: int) -> Operator:
        usual: tuple[tuple[str, Value], ...] = (("activation", self.stem_activation),)
        return Operator(
            "stem",
            self.input_channels,
            resolution,
            round(resolution * self.aspect),
            self.stem_channels,
            self.stem_kernel,
            self.stem_stride,
            options=usual if self.stem_activation != "relu" else (),
        )

    @property
    def searched(self) -> tuple[Layer, ...]:
        """The layers that a net is a choice for."""
        return tuple(layer for layer in self.layers if not layer.is_fixed)

    @cached_property
    def layers(self) -> tuple[Layer, ...]:
        """The layers between stem and head in order, those of fixed stages among them."""
        return tuple(self._layers(self.resolution))

    def _layers(self, resolution: int) -> Iterator[Layer]:
        stem = self.stem_at(resolution)
        channels, height, width = stem.c_out, stem.h_out, stem.w_out
        index = 0
        for number, stage in enumerate(self.stages):
            for repeat in range(stage.layers):
                stride = stage.stride if repeat == 0 else 1
                candidates = stage.candidates or self.candidates
                place = channels, height, width, stage.channels, stride
                yield Layer(index, number, *place, candidates, stage.usual, stage.is_fixed, self.counts)
                channels, height, width = stage.channels, -(-height // stride), -(-width // stride)
                index += 1

    def tail(self, head_channels: int) -> tuple[Operator, ...]:
        """What follows the last stage: head convolution, pool and classifier for this head width, or the own head."""
        last = self.layers[-1]
        height, width = -(-last.h_in // last.stride), -(-last.w_in // last.stride)
        if self.head is not None:
            if head_channels != self.head_channels:
                raise SpaceError(f"space {self.name} has one head, of {self.head_channels} channels")
            return tuple(self._own_tail(last.c_out, height, width))
        return (
            Operator("conv", last.c_out, height, width, head_channels, 1, 1),
            Operator("pool", head_channels, height, width, head_channels),
            Operator("fc", head_channels, 1, 1, self.classes),
        )

    def _own_tail(self, channels: int, height: int, width: int) -> Iterator[Operator]:
        for layer in self.head or ():
            operator = head_operator(layer, channels, height, width, self.classes)
            yield operator
            channels, height, width = operator.c_out, operator.h_out, operator.w_out

    @cached_property
    def searchable_operators(self) -> tuple[Operator, ...]:
        """The distinct operators of layers x candidates, identities included, sorted by name.

        Of every choice of channels and resolution, where there are such.
        """
        every = {
            (layer.shape, layer.usual, layer.candidates): layer
            for resolution in self.resolutions or (self.resolution,)
            for rows in self.grid(resolution)
            for row in rows
            for layer in row
        }
        found = {layer.operator(candidate) for layer in every.values() for candidate in layer.candidates}
        return tuple(sorted(found, key=lambda operator: operator.name))

    @property
    def fixed_operators(self) -> tuple[Operator, ...]:
        heads = (self.head_channels, *self.other_heads)
        found: set[Operator] = set()
        for resolution in self.resolutions or (self.resolution,):
            found.add(self.stem_at(resolution))
            found |= {op for head in heads for tail in self.tails(resolution, head) for op in tail}
        return tuple(sorted(found, key=lambda operator: operator.name))

    @cached_property
    def operators(self) -> tuple[Operator, ...]:
        """Every row that a LUT of this space has: searchable and fixed ones and the runtime's overhead."""
        found = {*self.searchable_operators, *self.fixed_operators, OVERHEAD}
        return tuple(sorted(found, key=lambda operator: operator.name))

    def scaled(self, resolution: int, width: float) -> Space:
        """This space (of width 1) at another input resolution and with every channel count times width.

        At the largest of its resolutions it keeps the choice of them; at another it has that one alone.
        """
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
            resolutions=self.resolutions if self.resolutions[-1:] == (resolution,) else (),
            stages=tuple(_scaled_stage(stage, width) for stage in self.stages),
            head_channels=scaled_channels(self.head_channels, width),
            other_heads=tuple(scaled_channels(head, width) for head in self.other_heads),
            head=self.head and tuple(_scaled_layer(layer, width) for layer in self.head),
        )


def _scaled_stage(stage: Stage, width: float) -> Stage:
    options = dict.fromkeys(scaled_channels(option, width) for option in stage.options)  # small widths may coincide
    kept = tuple(options) if len(options) > 1 else ()
    return replace(stage, channels=scaled_channels(stage.channels, width), options=kept)


def _scaled_layer(layer: HeadLayer, width: float) -> HeadLayer:
    return replace(layer, channels=scaled_channels(layer.channels, width)) if layer.channels else layer


def head_operator(layer: HeadLayer, channels: int, height: int, width: int, classes: int) -> Operator:
    """The operator of a head's layer behind a map of this shape; SpaceError for what cannot stand there."""
    first, *rest = layer.block.split("_")
    if first in ("pool", "fc"):
        kind = KINDS[first]
        options: Any = fields_of(kind, kind.read(rest, layer.block))
        if first == "pool":
            return Operator("pool", channels, height, width, channels, **options)
        if (height, width) != (1, 1):
            raise SpaceError(f"{layer.block} needs a pool before it")
        return Operator("fc", channels, 1, 1, layer.channels or classes, **options)
    return block_operator(parse_candidate(layer.block), channels, height, width, layer.channels or channels, 1)


def distinct_operators(spaces: Iterable[Space]) -> tuple[Operator, ...]:
    """Every row that a LUT of these spaces has, each once, sorted by name."""
    return tuple(sorted({op for space in spaces for op in space.operators}, key=lambda operator: operator.name))
