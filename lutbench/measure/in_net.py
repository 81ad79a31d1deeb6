"""What an operator costs inside a net, from what it takes when it is timed alone.

A row carries the overhead of a call, which a net pays once; one that is the slope of chains carries none. Inside a net
an operator finds its code, weights and inputs colder than among its own repetitions, and a runtime may change the
layout of an operator's input and output where it stands alone, and not between two operators of a net. Both go with
what the operator moves:

    share of a net = operator_us + scale * (row - overhead) + sum over terms of us per million elements * elements
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache
from types import MappingProxyType

from lutbench.errors import SpaceError
from lutbench.space.operator import Operator, parse_operator

_MILLION = 1e6


def _moved(operator: Operator) -> int:
    """Elements of input and output."""
    return math.prod(operator.input_shape) + math.prod(operator.output_shape)


# what an operator moves, by the name a LUT has for it -> elements of one image
TERMS: Mapping[str, Callable[[Operator], int]] = MappingProxyType(
    {
        "weights": lambda op: op.params,
        "inputs_outputs": _moved,
        # of grouped convolutions: ONNX Runtime computes most of them in another layout than the convolutions around
        "grouped": lambda op: _moved(op) if op.groups > 1 else 0,
    }
)


@lru_cache(maxsize=1 << 16)
def amounts(operator: str) -> tuple[float, ...]:
    """Million elements of each of TERMS; none of an operator whose shape is not known."""
    try:
        found = parse_operator(operator)
        return tuple(amount(found) / _MILLION for amount in TERMS.values())
    except SpaceError:
        return (0.0,) * len(TERMS)


@dataclass(frozen=True)
class InNet:
    """scale, operator_us, and microseconds per million elements of some of TERMS.

    with_call: rows carry the overhead of a call.
    """

    scale: float = 1.0
    operator_us: float = 0.0
    terms: Mapping[str, float] = field(default_factory=dict)
    with_call: bool = True

    def share_us(self, operator: str, row_us: float, overhead_us: float) -> float:
        """What the operator adds to a net's latency, microseconds."""
        more_us = 0.0
        if self.terms:
            more_us = math.fsum(
                self.terms.get(name, 0.0) * amount for name, amount in zip(TERMS, amounts(operator), strict=True)
            )
        return self.operator_us + self.scale * (row_us - (overhead_us if self.with_call else 0.0)) + more_us

    def times(self, ratio: float) -> InNet:
        """The fit where every operator takes so many times as long."""
        terms = {name: us * ratio for name, us in self.terms.items()}
        return replace(self, scale=self.scale * ratio, operator_us=self.operator_us * ratio, terms=terms)

    def net_us(self, rows: Iterable[tuple[str, float]], overhead_us: float) -> float:
        """A net's latency from its operators' names and rows, microseconds."""
        return overhead_us + math.fsum(self.share_us(name, row_us, overhead_us) for name, row_us in rows)
