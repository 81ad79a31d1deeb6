"""Which nets to time, so that what operators cost inside nets is told from them best.

Each net is a line of an equation in the unknowns of a fit (`net_fit`): a scale, a constant per operator, terms, what
operators of large tensors deviate by, and what small nets save and large ones pay. Nets drawn at random are alike, each
of a little of everything, and what they say of a net of one kind of block is an extrapolation. So nets are taken one by
one, each time that of whose latency the others tell least (a D-optimal design, under the fit's priors).
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from lutbench.measure.deviations import freedom
from lutbench.measure.in_net import Setting, weights_of
from lutbench.measure.net_fit import term_columns
from lutbench.space.net import Net
from lutbench.space.operator import Operator

Array = npt.NDArray[np.float64]

_SETTING = Setting(block_channels=16)  # terms of other settings are no reason to draw other nets
_DTYPE = "fp32"  # nor is a smaller type, in which operators deviate less
# A usual processor, to weigh lines by: they are of a net's latency, which nobody has measured yet.
_MACS_PER_US, _ELEMENTS_PER_US, _OPERATOR_US = 1e5, 3e3, 5.0
# What is known before any net is timed, standard deviations: of the scale, of the share of a latency that the count of
# operators and each term make up, of what the largest operators deviate by, and of what large nets pay and small save.
_SCALE, _TERM, _DEVIATION, _SPILL, _WARMTH = 0.1, 0.1, 0.05, 0.02, 0.3
_NOISE = 0.01  # of a net's latency
_SPILL_QUANTILES, _WARM_SIZES = (0.5, 0.7), (0.3, 0.8)  # sizes that stand for those that a fit chooses from


def lines(nets: Sequence[Net]) -> Array:
    """What each net says, (nets, unknowns); SpaceError where multiply-accumulates are not known.

    How far its latency may be moved by each unknown before any net is timed, in standard deviations of its noise.
    """
    operators = [[operator for operator in net.operators if operator.is_measured] for net in nets]
    rough_us = [[_rough_us(operator) for operator in own] for own in operators]
    whole_us = np.array([math.fsum(own) for own in rough_us])
    names = [[operator.name for operator in own] for own in operators]
    terms = [
        [len(own), *term_columns(own, us, _SETTING, {})]  # those of runtimes without blocks are among them
        for own, us in zip(names, rough_us, strict=True)
    ]
    weights = np.array([weights_of(own) for own in names])
    spills = np.maximum(0, weights[:, None] - np.quantile(weights, _SPILL_QUANTILES))
    small = np.exp(-whole_us[:, None] / (np.median(whole_us) * np.array(_WARM_SIZES)))
    parts = (
        np.full((len(nets), 1), _SCALE),
        _TERM * _of_usual_size(np.array(terms) / whole_us[:, None]),
        _DEVIATION * _deviating(names, rough_us) / whole_us[:, None],
        _SPILL * _of_usual_size(spills / whole_us[:, None]),
        _WARMTH * small,
    )
    found: Array = np.column_stack(parts) / _NOISE
    return found


def _rough_us(operator: Operator) -> float:
    return operator.macs / _MACS_PER_US + operator.touched / _ELEMENTS_PER_US + _OPERATOR_US


def _of_usual_size(columns: Array) -> Array:
    """Each column in multiples of what nets have of it on average; zeros where none has any."""
    usual = np.abs(columns).mean(axis=0)
    found: Array = np.divide(columns, usual, out=np.zeros_like(columns), where=usual > 0)
    return found


def _deviating(names: Sequence[Sequence[str]], rough_us: Sequence[Sequence[float]]) -> Array:
    """What each operator takes in each net, (nets, operators), microseconds, as far as it may deviate."""
    places = {name: number for number, name in enumerate(dict.fromkeys(name for own in names for name in own))}
    found = np.zeros((len(names), len(places)))
    for line, own, own_us in zip(found, names, rough_us, strict=True):
        for name, us in zip(own, own_us, strict=True):
            line[places[name]] += us * freedom(name, _DTYPE, 1)
    return found


def most_telling(found: Array, taken: Sequence[int], count: int) -> list[int]:
    """The lines, by number, that tell most beside those that are taken; the first of equals.

    found: of `lines`, (nets, unknowns).
    """
    unknown = found @ found.T  # covariances of the nets' latencies, in variances of their noise
    for number in taken:
        unknown = _once_told(unknown, number)
    chosen: list[int] = []
    for _ in range(count):
        open_ = np.diag(unknown).copy()
        open_[[*taken, *chosen]] = -math.inf
        chosen.append(int(open_.argmax()))
        unknown = _once_told(unknown, chosen[-1])
    return chosen


def _once_told(unknown: Array, number: int) -> Array:
    """What is left unknown of all nets once one of them is timed."""
    found: Array = unknown - np.outer(unknown[:, number], unknown[number]) / (1 + unknown[number, number])
    return found
