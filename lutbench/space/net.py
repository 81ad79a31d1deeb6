"""Net: a choice of one candidate per layer of a space."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import groupby

from lutbench.errors import SpaceError, UsageError
from lutbench.space.candidate import Candidate, parse_candidate
from lutbench.space.macro import Layer, Space
from lutbench.space.operator import Operator
from lutbench.space.scale import format_width


@dataclass(frozen=True)
class Net:
    """A network of a space: a choice of one candidate for each layer.

    name: as it is called in tables; free to choose.
    choice: the candidates, in the layers' order.
    head_channels: of the 1x1 convolution before the pool.

    >>> from lutbench.space.fbnet import fbnet
    >>> from lutbench.space.net import parse_net
    >>> net = parse_net(",".join(["k3_e1"] * 22), fbnet(resolution=224, width=1.0), name="slim")
    >>> net.name, len(net.operators), f"{net.macs / 1e6:.0f} million multiply-accumulates"
    ('slim', 26, '110 million multiply-accumulates')
    """

    name: str
    space: Space
    choice: tuple[Candidate, ...]
    head_channels: int

    def __post_init__(self) -> None:
        layers = self.space.layers
        if len(self.choice) != len(layers):
            raise SpaceError(
                f"net {self.name}: {len(self.choice)} candidates, but space {self.space.name} has"
                f" {len(self.space.searched)} layers"
            )
        for layer, candidate in zip(layers, self.choice, strict=True):
            if candidate not in layer.candidates:
                known = ", ".join(c.name for c in layer.candidates)
                raise SpaceError(
                    f"net {self.name}: layer {layer.index + 1} of space {self.space.name} has no candidate {candidate}",
                    remedy=f"it has {known}",
                )

    @cached_property
    def operators(self) -> tuple[Operator, ...]:
        """Every operator that runs, in order; identities do nothing and are left out."""
        body = (layer.operator(c) for layer, c in zip(self.space.layers, self.choice, strict=True))
        ops = (self.space.stem, *body, *self.space.tail(self.head_channels))
        return tuple(operator for operator in ops if operator.is_measured)

    @property
    def candidates_text(self) -> str:
        """The choice as text that parse_net reads: candidates joined by commas, stages by |, without fixed blocks.

        Where the space leaves them open, it begins with the resolution, r160, and a stage with its channels, c24.
        """
        space = self.space
        pairs = zip(space.layers, self.choice, strict=True)
        parts = [f"r{space.resolution}"] if space.resolutions else []
        for number, group in groupby(pairs, key=lambda pair: pair[0].stage):
            stage = space.stages[number]
            words = [f"c{stage.channels}"] if stage.options else []
            words += [candidate.name for layer, candidate in group if not layer.is_fixed]
            parts += [",".join(words)] if words else []
        return "|".join(parts)

    @cached_property
    def key(self) -> str:
        """What decides the net's artifact: space, variant, head and candidates."""
        return f"{self.space.name}@{self.space.label}:{self.head_channels}:{self.candidates_text}"

    @property
    def input_shape(self) -> tuple[int, ...]:
        """(N, C, H, W), N = 1."""
        return self.space.stem.input_shape

    @property
    def macs(self) -> int:
        """Multiply-accumulates of the convolutions and the classifier, one image."""
        return sum(operator.macs for operator in self.operators)

    @property
    def params(self) -> int:
        """Weights and the classifier's bias, batch norms folded."""
        return sum(operator.params for operator in self.operators)


def parse_net(text: str, space: Space, name: str = "", head_channels: int | None = None) -> Net:
    """The net that a string of candidates names; they are separated by commas, blanks or |.

    Candidates may be numbers, counted from 0 among those of their layer. Fixed blocks may be left out. Of a space that
    leaves them open, r160 names the resolution and c24 the channels of each stage; what is not named is the largest.
    """
    words = [word for word in re.split(r"[\s,|\[\]]+", text) if word]
    if space.has_choices:
        space, words = _chosen(space, words, name or text)
    layers = space.searched if len(words) == len(space.searched) else space.layers
    if words and all(word.isdecimal() for word in words):
        if len(words) != len(layers):
            raise SpaceError(
                f"net {name or text}: {len(words)} numbers, but space {space.name} has {len(space.searched)} layers to"
                " choose"
            )
        named = [_numbered(layer, word, name or text) for layer, word in zip(layers, words, strict=True)]
    else:
        named = [parse_candidate(word) for word in words]
    if len(named) == len(space.searched):
        given = iter(named)
        named = [layer.candidates[0] if layer.is_fixed else next(given) for layer in space.layers]
    return Net(name or text, space, tuple(named), head_channels or space.head_channels)


def _chosen(space: Space, words: Sequence[str], name: str) -> tuple[Space, list[str]]:
    """The space at the resolution and channels that some of the words name, and the other words."""
    sizes = [int(word[1:]) for word in words if re.fullmatch(r"r\d{1,5}", word)]
    named = [int(word[1:]) for word in words if re.fullmatch(r"c\d{1,5}", word)]
    left = [word for word in words if not re.fullmatch(r"[cr]\d{1,5}", word)]
    open_stages = sum(bool(stage.options) for stage in space.stages)
    if len(sizes) > 1 or len(named) not in (0, open_stages):
        raise SpaceError(
            f"net {name}: {len(sizes)} resolutions and channels of {len(named)} stages",
            remedy=f"name one (r224) and the channels (c24) of all {open_stages} stages that leave them open",
        )
    given = iter(named)
    channels = [next(given) if stage.options and named else stage.channels for stage in space.stages]
    return space.at(sizes[0] if sizes else space.resolution, channels), left


def _numbered(layer: Layer, word: str, name: str) -> Candidate:
    if int(word) >= len(layer.candidates):
        raise SpaceError(
            f"net {name}: layer {layer.index + 1} has no candidate {word}",
            remedy=f"they are counted from 0 to {len(layer.candidates) - 1}",
        )
    return layer.candidates[int(word)]


def net_of_key(key: str, spaces: Sequence[Space]) -> Net:
    """The net that a key names; UsageError where it is none, or its space is not among these."""
    label, _, rest = key.partition(":")
    head, _, candidates = rest.partition(":")
    for space in spaces:
        sizes = {*space.resolutions, space.resolution}
        if label in [f"{space.name}@{size}x{format_width(space.width)}" for size in sizes]:
            if not re.fullmatch(r"[1-9]\d{0,5}", head):
                raise UsageError(f"net {key}: {head or 'nothing'} is no number of the head's channels")
            return parse_net(candidates, space, key, int(head))
    known = ", ".join(f"{space.name}@{space.label}" for space in spaces)
    raise UsageError(f"net {key} is of the space {label}, which is not known here", remedy=f"known: {known or 'none'}")
