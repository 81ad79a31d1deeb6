"""What an operator costs inside a net, from what it takes when it is timed alone.

A row carries the overhead of a call, which a net pays once; one that is the slope of chains carries none. Inside a net
an operator finds its code, weights and inputs colder than among its own repetitions, and a runtime may change the
layout of an operator's input and output where it stands alone, and not between two operators of a net. Both go with
what the operator moves; of weights those count most that a cache holds among repetitions, for what no cache holds is
fetched anew alone as well. What it computes takes as long in a net as alone, so that a scale, which is of all its time,
has to be corrected by its multiply-accumulates. The scale also differs with the size of the feature map, one way on one
runtime and another on the next (docs/notes/protocol.md: curves), and is a polynomial of it:

    share of a net = operator_us + scale * work + sum over terms of us per million * amount
                     + work * (side * z + side_2 * z^2 + side_3 * z^3)
                     + work * (colder * how cold the operator gets + its deviation)
    work = row - overhead,  z = log10(side of the operator's input) - 1.1

What a net takes or saves for which operators are neighbours is no operator's share: terms of their pairs are added
(`neighbours`), such as `kept`, of the elements between two that compute in blocks of channels. Nor is what a small net
saves as a whole (`warmth`), or a large one pays (`spill`). How cold an operator gets behind others is measured
(`lutbench.measure.colder`), and nets say how many times that they pay. Operators of large tensors may deviate each by a
fraction of their own (`deviations`).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from types import MappingProxyType

from lutbench.errors import SpaceError
from lutbench.measure.neighbours import (
    ALIKE,
    BOUNDARIES,
    EVICTED,
    KEPT,
    NEIGHBOUR_TERMS,
    REGROUPED,
    SLOWED,
    SLOWED_WEIGHTS,
    SPARED,
    Pairs,
    pairs_of,
)
from lutbench.measure.spill import Spill
from lutbench.measure.tensors import moved
from lutbench.measure.warmth import Warmth
from lutbench.measure.wide_kernels import packed_weights
from lutbench.space.operator import Operator, parse_operator

_MILLION = 1e6
_HELD = 500_000  # weights: of fp32 what a second-level cache of 2 MiB holds


def _hot_weights(operator: Operator) -> float:
    """Weights of an operator that is small enough to find them in a cache when it is timed alone, as no net does."""
    return operator.params * math.exp(-operator.params / _HELD)


WEIGHTS, HOT_WEIGHTS, PACKED_WEIGHTS = "weights", "hot_weights", "packed_weights"
GROUPED, RESIDUAL = "grouped", "residual"
# what an operator moves or computes, by the name a LUT has for it -> elements, or multiply-accumulates, of one image
TERMS: Mapping[str, Callable[[Operator], float]] = MappingProxyType(
    {
        WEIGHTS: lambda op: op.params,
        "inputs_outputs": moved,
        # of grouped convolutions: ONNX Runtime computes most of them in another layout than the convolutions around
        GROUPED: lambda op: moved(op) if op.groups > 1 else 0,
        # of additions: alone they are a pass of their own, inside a net a part of the convolution before
        RESIDUAL: lambda op: math.prod(op.output_shape) if op.groups == 1 and op.has_residual else 0,
        "macs": lambda op: op.macs,
        HOT_WEIGHTS: _hot_weights,
        PACKED_WEIGHTS: packed_weights,
    }
)
SIDES = "side", "side_2", "side_3"  # terms that are fractions of an operator's own time, for each power of z
COLDER = "colder"  # a term: how many times what operators take more behind others a net pays
_USUAL_SIDE = 1.1  # a map of 12.6 x 12.6, its side's logarithm to the base of 10


@dataclass(frozen=True)
class Setting:
    """What operators were timed with, as far as nets are asked for other terms by it.

    block_channels: the channels of a block; 0 where the runtime has none.
    runtime: its package.
    batch: images in an invocation.
    """

    block_channels: int = 0
    threads: int = 1
    dtype: str = "int8"
    runtime: str = ""
    batch: int = 1


# what rows of chains are fitted by: each copy in a chain has weights of its own, so that a cache holds none
OF_CHAINS = Setting()


def fitted_terms(setting: Setting) -> tuple[str, ...]:
    """The terms that nets are asked for.

    In fp32 hot weights take the place of all weights, and on ExecuTorch stand beside them; in int8, where caches hold
    four times as many, it makes no difference. There ExecuTorch's are those that XNNPACK packs. Where it is known which
    elements a net is spared, grouped and residual blocks, which stand for some of them, tell nothing more.
    """
    neighbours = _neighbour_terms(setting)
    left_out = {WEIGHTS, HOT_WEIGHTS, PACKED_WEIGHTS} - _weights_terms(setting)
    if SPARED in neighbours:
        left_out |= {GROUPED, RESIDUAL}
    return (*neighbours, *(term for term in TERMS if term not in left_out), *SIDES, COLDER)


def _weights_terms(setting: Setting) -> set[str]:
    is_executorch = setting.runtime == "executorch"
    if setting.dtype == "fp32":
        return {WEIGHTS, HOT_WEIGHTS} if is_executorch else {HOT_WEIGHTS}
    return {PACKED_WEIGHTS if is_executorch else WEIGHTS}


def _neighbour_terms(setting: Setting) -> tuple[str, ...]:
    """Those that nets were found to ask for (docs/notes/protocol.md: neighbours).

    Boundaries cost something where several threads share the work at them. What large tensors evict is asked for where
    elements have four bytes.
    """
    evicted = (EVICTED,) if setting.dtype == "fp32" else ()
    if setting.block_channels:
        if setting.dtype != "fp32":  # which no runtime has: tuning nets are drawn by it (`design`)
            return (KEPT,)
        boundaries = (BOUNDARIES,) if setting.threads > 1 else ()
        return (SPARED, REGROUPED, *boundaries, *evicted)
    alike = (ALIKE,) if setting.runtime == "torch" or setting.dtype == "fp32" else ()
    slowed = (SLOWED_WEIGHTS if setting.dtype == "fp32" else SLOWED,) if setting.runtime == "executorch" else ()
    return (*alike, *slowed, *evicted)


@lru_cache(maxsize=1 << 16)
def amounts(operator: str) -> tuple[float, ...]:
    """Millions of each of TERMS; none of an operator whose shape is not known."""
    try:
        found = parse_operator(operator)
        return tuple(amount(found) / _MILLION for amount in TERMS.values())
    except SpaceError:
        return (0.0,) * len(TERMS)


def weights_of(operators: Iterable[str]) -> float:
    """A net's weights, millions; those of operators whose shape is not known are not among them."""
    number = [*TERMS].index(WEIGHTS)
    return math.fsum(amounts(name)[number] for name in operators)


@lru_cache(maxsize=1 << 16)
def side_powers(operator: str) -> tuple[float, ...]:
    """z, z^2 and z^3 of the operator's input; zeros of an operator whose shape is not known."""
    try:
        pixels = math.prod(parse_operator(operator).input_shape[2:])
    except SpaceError:
        return (0.0,) * len(SIDES)
    z = math.log10(pixels) / 2 - _USUAL_SIDE
    return z, z**2, z**3


@dataclass(frozen=True)
class InNet:
    """What operators cost inside nets: a scale, a constant, and some terms, which are 0 where they are not named.

    terms: of TERMS in microseconds per million, of SIDES fractions, of NEIGHBOUR_TERMS, and COLDER.
    colder: how much more an operator takes behind others, by name, a fraction of its work; it is measured.
    deviations: how much more of its own work an operator takes, by name, a fraction; of large tensors alone.
    with_call: rows carry the overhead of a call.
    block_channels: the channels of a block; 0 where the runtime has none.
    warmth: what a small net saves as a whole.
    spill: what a large net pays for weights that no cache keeps.
    """

    scale: float = 1.0
    operator_us: float = 0.0
    terms: Mapping[str, float] = field(default_factory=dict)
    colder: Mapping[str, float] = field(default_factory=dict)
    deviations: Mapping[str, float] = field(default_factory=dict)
    with_call: bool = True
    block_channels: int = 0
    warmth: Warmth = field(default_factory=Warmth)
    spill: Spill = field(default_factory=Spill)

    def share_us(self, operator: str, row_us: float, overhead_us: float) -> float:
        """What the operator adds to the sum that a net's latency is made of, microseconds."""
        work_us = self._work_us(row_us, overhead_us)
        own_scale = self.scale + self.deviations.get(operator, 0.0)
        own_scale += self.terms.get(COLDER, 0.0) * self.colder.get(operator, 0.0)
        if not self.terms:
            return self.operator_us + own_scale * work_us
        more_us = math.fsum(
            self.terms.get(name, 0.0) * amount for name, amount in zip(TERMS, amounts(operator), strict=True)
        )
        scale = own_scale + math.fsum(
            self.terms.get(name, 0.0) * power for name, power in zip(SIDES, side_powers(operator), strict=True)
        )
        return self.operator_us + scale * work_us + more_us

    def times(self, ratio: float) -> InNet:
        """The fit where every operator takes so many times as long."""
        return replace(
            self,
            scale=self.scale * ratio,
            operator_us=self.operator_us * ratio,
            terms={name: us * ratio for name, us in self.terms.items()},
            deviations={name: more * ratio for name, more in self.deviations.items()},
            warmth=self.warmth.times(ratio),
            spill=self.spill.times(ratio),
        )

    def net_us(self, rows: Iterable[tuple[str, float]], overhead_us: float) -> float:
        """A net's latency from its operators' names and rows, in their order, microseconds."""
        found = list(rows)
        alone_us = math.fsum(self.share_us(name, row_us, overhead_us) for name, row_us in found)
        pairs = pairs_of((name for name, _ in found), self.block_channels) if self.looks_at else Pairs()
        spilled_us = self._spilled_us(found, overhead_us) if self.spill else 0.0
        return overhead_us + self.warmth.net_us(alone_us + self.pairs_us(pairs) + spilled_us)

    def _work_us(self, row_us: float, overhead_us: float) -> float:
        return row_us - (overhead_us if self.with_call else 0.0)

    def _spilled_us(self, rows: Sequence[tuple[str, float]], overhead_us: float) -> float:
        work_us = math.fsum(self._work_us(row_us, overhead_us) for _, row_us in rows)
        return self.spill.us(weights_of(name for name, _ in rows), work_us)

    @property
    def sums(self) -> tuple[tuple[InNet, float], ...]:
        """Fits without spill, and what each adds to every net, microseconds: a net's sum is the larger of theirs."""
        plain = replace(self, spill=Spill())
        if not self.spill:
            return ((plain, 0.0),)
        price = self.terms.get(WEIGHTS, 0.0) + self.spill.us_per_million
        scale = self.scale + self.spill.share_of_work
        of_all = replace(plain, scale=scale, terms={**self.terms, WEIGHTS: price})
        return (plain, 0.0), (of_all, -self.spill.us_per_million * self.spill.beyond)

    def pairs_us(self, pairs: Pairs) -> float:
        """What a net takes beside its operators' shares for its neighbours: less than 0 where it saves."""
        return math.fsum(self.terms.get(name, 0.0) * term.amount(pairs) for name, term in NEIGHBOUR_TERMS.items())

    @property
    def looks_at(self) -> frozenset[str]:
        """What a net's latency depends on of the operator before each, fields of Before; none: it is a sum."""
        asked = {term.looks_at for name, term in NEIGHBOUR_TERMS.items() if self.terms.get(name)}
        return frozenset(asked if self.block_channels else asked - {"is_blocked"})
