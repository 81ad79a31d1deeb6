"""What a net takes, or saves, for which operators stand side by side: no sum over single operators can tell.

Layouts are one reason (`layouts`): between two operators that compute in blocks of channels a net leaves out what each
does alone, and a convolution of it adds what an addition of its own does alone. Of others only the effect is known, by
nets that were measured (docs/notes/protocol.md: neighbours): a block behind one of its own kind takes less than behind
another, or more, by the runtime, whatever their kernels and shapes, and grouped blocks beside others take more. Two
reach further than the next operator. A kernel that is computed with wide instructions slows all that follows it in a
net (`wide_kernels`). And the weights of all that follows a layer of large tensors cost more, the larger they are: it
seems that they take the place of weights in a cache.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from types import MappingProxyType

from lutbench.errors import SpaceError
from lutbench.measure.layouts import Ends, Kept, ends_of
from lutbench.measure.tensors import moved, widest_layer
from lutbench.measure.wide_kernels import has_wide_kernel
from lutbench.space.operator import Operator, parse_operator

_MILLION = 1e6
_CLASSES = 2  # of size, in an octave
_PASSES = Ends(passes=True)


@dataclass(frozen=True)
class Before:
    """What an operator finds of the one before it.

    is_blocked: its output is in blocks.
    is_residual: it adds its input.
    is_grouped: it has convolutions in groups.
    block: its kind, without kernel and shape.
    is_slow: a wide kernel came before, at once or earlier.
    widest: million elements that the widest layer until then reads and writes, by classes of size.

    The third and fourth are None where nothing is before, or nothing is known of it.
    """

    is_blocked: bool = False
    is_residual: bool = False
    is_grouped: bool | None = None
    block: Hashable = None
    is_slow: bool = False
    widest: float = 0.0


NOTHING = Before()  # before a net's first operator


@dataclass(frozen=True)
class Pairs:
    """What neighbours of a net have in common, or have not: what they leave in blocks, and numbers of pairs.

    fused: million elements that a net adds in a convolution, and an operator alone does not.
    alike: of one kind of block.
    regrouped: of one that is grouped and one that is not.
    first_residuals: of a residual block behind an operator that is none.
    slowed, slowed_weights: million elements that operators behind a wide kernel read and write, and of their weights.
    evicted: of each operator, million weights times million elements of the widest layer before it.
    """

    kept: Kept = field(default_factory=Kept)
    fused: float = 0.0
    alike: int = 0
    regrouped: int = 0
    first_residuals: int = 0
    slowed: float = 0.0
    slowed_weights: float = 0.0
    evicted: float = 0.0

    @property
    def spared(self) -> float:
        """Million elements that the operators alone read and write, and the net does not.

        What stays in blocks is neither taken out of them nor put into them; what a convolution adds takes no pass of
        its own.
        """
        return 2 * self.kept.elements + self.fused

    def __add__(self, other: Pairs) -> Pairs:
        return Pairs(
            self.kept + other.kept,
            self.fused + other.fused,
            self.alike + other.alike,
            self.regrouped + other.regrouped,
            self.first_residuals + other.first_residuals,
            self.slowed + other.slowed,
            self.slowed_weights + other.slowed_weights,
            self.evicted + other.evicted,
        )


@dataclass(frozen=True)
class NeighbourTerm:
    """A term of a net's latency that is multiplied by what its neighbours have in common.

    amount: what a net has of it.
    looks_at: what it needs to know of the operator before, a field of Before.
    """

    amount: Callable[[Pairs], float]
    looks_at: str


KEPT, SPARED, BOUNDARIES, ALIKE, REGROUPED = "kept", "spared", "boundaries", "alike", "regrouped"
FIRST_RESIDUALS, SLOWED, SLOWED_WEIGHTS, EVICTED = "first_residuals", "slowed", "slowed_weights", "evicted"
# `kept`, `spared` and those behind wide kernels in us per million elements, `evicted` in us per million weights and
# million elements, the others in us for each place between two operators; `kept` and `first_residuals` are of LUTs that
# were fitted before nets were asked for what they are spared
NEIGHBOUR_TERMS: Mapping[str, NeighbourTerm] = MappingProxyType(
    {
        KEPT: NeighbourTerm(lambda pairs: pairs.kept.elements, "is_blocked"),
        SPARED: NeighbourTerm(lambda pairs: pairs.spared, "is_blocked"),
        BOUNDARIES: NeighbourTerm(lambda pairs: pairs.kept.boundaries, "is_blocked"),
        ALIKE: NeighbourTerm(lambda pairs: pairs.alike, "block"),
        REGROUPED: NeighbourTerm(lambda pairs: pairs.regrouped, "is_grouped"),
        FIRST_RESIDUALS: NeighbourTerm(lambda pairs: pairs.first_residuals, "is_residual"),
        SLOWED: NeighbourTerm(lambda pairs: pairs.slowed, "is_slow"),
        SLOWED_WEIGHTS: NeighbourTerm(lambda pairs: pairs.slowed_weights, "is_slow"),
        EVICTED: NeighbourTerm(lambda pairs: pairs.evicted, "widest"),
    }
)


@dataclass(frozen=True)
class Neighbour:
    """An operator as the others find it, and as it finds them.

    is_wide: it has a wide kernel.
    moved, weights: million elements that it reads and writes, and of its weights.
    widest: million elements that its widest layer reads and writes, by classes of size.
    """

    ends: Ends = field(default_factory=Ends)
    is_residual: bool = False
    is_grouped: bool | None = None
    block: Hashable = None
    is_wide: bool = False
    moved: float = 0.0
    weights: float = 0.0
    widest: float = 0.0

    def pairs(self, before: Before) -> Pairs:
        """What it has with the operator before it."""
        if self.ends.passes:
            return Pairs()
        is_slowed = before.is_slow and not self.is_wide
        return Pairs(
            self.ends.kept(before.is_blocked),
            self.ends.fused(before.is_blocked),
            alike=int(self.block is not None and self.block == before.block),
            regrouped=int({self.is_grouped, before.is_grouped} == {True, False}),
            first_residuals=int(self.is_residual and not before.is_residual),
            slowed=self.moved if is_slowed else 0.0,
            slowed_weights=self.weights if is_slowed else 0.0,
            evicted=self.weights * before.widest,
        )

    def after(self, before: Before) -> Before:
        """What the next operator finds."""
        if self.ends.passes:
            return before
        return Before(
            self.ends.after(before.is_blocked),
            self.is_residual,
            self.is_grouped,
            self.block,
            before.is_slow or self.is_wide,
            max(before.widest, self.widest),
        )


def neighbour_of(operator: Operator, block_channels: int) -> Neighbour:
    """The operator as its neighbours find it.

    block_channels: of the layout of the runtime; 0 where it has none.
    """
    if not operator.is_measured:
        return Neighbour(_PASSES)
    block = operator.kind, operator.label, operator.expansion, operator.groups, operator.options
    ends = ends_of(operator, block_channels) if block_channels else Ends()
    is_grouped = None if operator.kind == "foreign" else operator.groups > 1
    return Neighbour(ends, _is_residual(operator), is_grouped, block, *_slows_and_sizes(operator))


def _slows_and_sizes(operator: Operator) -> tuple[bool, float, float, float]:
    """Whether it has a wide kernel, and what it moves, its weights and its widest layer, millions."""
    try:
        is_wide, widest = has_wide_kernel(operator), _size_class(widest_layer(operator) / _MILLION)
        return is_wide, moved(operator) / _MILLION, operator.params / _MILLION, widest
    except SpaceError:  # an operator of an imported table
        return False, 0.0, 0.0, 0.0


def _size_class(elements: float) -> float:
    """Million elements, off by a factor of at most 1.19: a search keeps a state for each size that a net may have."""
    return 2 ** (round(_CLASSES * math.log2(elements)) / _CLASSES) if elements else 0.0


def _is_residual(operator: Operator) -> bool:
    try:
        return operator.has_residual
    except SpaceError:
        return False


@lru_cache(maxsize=1 << 16)
def neighbour_of_name(name: str, block_channels: int) -> Neighbour:
    """The same by an operator's name; of one whose shape is not known nothing is taken for granted."""
    try:
        return neighbour_of(parse_operator(name), block_channels)
    except SpaceError:
        return Neighbour()


def pairs_of(operators: Iterable[str], block_channels: int, before: Before = NOTHING) -> Pairs:
    """What the neighbours among a net's operators, in their order, have in common.

    before: what the first of them finds.
    """
    found = Pairs()
    for name in operators:
        neighbour = neighbour_of_name(name, block_channels)
        found += neighbour.pairs(before)
        before = neighbour.after(before)
    return found
