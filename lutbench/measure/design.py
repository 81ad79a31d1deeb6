"""Which nets to time, so that what operators cost inside nets is told from them best.

Each net is a line of an equation in few unknowns: a scale, a constant per operator, a few terms. Nets drawn at random
are alike, each of a little of everything, and what they say of a net of one kind of block is an extrapolation. The more
their lines differ, the narrower is what follows for any net (a D-optimal design): nets are taken one by one, each time
that of which the others tell least.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from lutbench.measure.in_net import Setting
from lutbench.measure.net_fit import term_columns
from lutbench.space.net import Net

Array = npt.NDArray[np.float64]

_PRIOR = 0.01  # what is known before any net, in nets of a usual one's line
_SETTING = Setting(block_channels=16)  # terms of other settings are no reason to draw other nets
# A usual processor, to weigh lines by: they are of a net's latency, which nobody has measured yet.
_MACS_PER_US, _ELEMENTS_PER_US, _OPERATOR_US = 1e5, 3e3, 5.0


def lines(nets: Sequence[Net]) -> Array:
    """What each net says, (nets, unknowns), of a usual net's size; SpaceError where multiply-accumulates are not known.

    Work, which makes up a net's latency, operators, and all terms that are fitted, with blocks of channels or without.
    """
    found = np.array([_line(net) for net in nets])
    usual = np.abs(found).mean(axis=0)
    scaled: Array = np.divide(found, usual, out=np.zeros_like(found), where=usual > 0)
    return scaled


def _line(net: Net) -> list[float]:
    operators = [operator for operator in net.operators if operator.is_measured]
    names = [operator.name for operator in operators]
    rough_us = [op.macs / _MACS_PER_US + op.touched / _ELEMENTS_PER_US for op in operators]
    whole_us = math.fsum(rough_us) + len(operators) * _OPERATOR_US
    terms = term_columns(names, rough_us, _SETTING, {})  # those of runtimes without blocks are among them
    return [value / whole_us for value in (whole_us, len(operators), *terms)]


def most_telling(found: Array, taken: Sequence[int], count: int) -> list[int]:
    """The lines, by number, that tell most beside those that are taken; the first of equals.

    found: of `lines`, (nets, unknowns).
    """
    known = _PRIOR * np.eye(found.shape[1]) + found[list(taken)].T @ found[list(taken)]
    chosen: list[int] = []
    for _ in range(count):
        open_ = np.einsum("ij,jk,ik->i", found, np.linalg.inv(known), found)  # how little is known of each net
        open_[[*taken, *chosen]] = -math.inf
        chosen.append(int(open_.argmax()))
        known += np.outer(found[chosen[-1]], found[chosen[-1]])
    return chosen
