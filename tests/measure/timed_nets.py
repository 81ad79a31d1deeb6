"""Random nets as if they had been timed, and how far a fit is off at them."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from statistics import fmean

from lutbench.measure.in_net import InNet
from lutbench.measure.net_fit import NetMeasurement
from lutbench.space.macro import Space
from lutbench.space.sampling import random_nets

OVERHEAD_US = 2.0


def timed(
    space: Space, truth: InNet, rows: Mapping[str, float], count: int, seed: int, *, purpose: str, noise: float = 0.002
) -> list[NetMeasurement]:
    """Random nets with what they take, and noise, a fraction."""
    rng, found = random.Random(seed), []
    for net in random_nets(space, count, seed, purpose, varied=True):
        names = tuple(op.name for op in net.operators)
        us = truth.net_us([(name, rows[name]) for name in names], OVERHEAD_US) * (1 + rng.gauss(0, noise))
        found.append(NetMeasurement(net.key, names, us))
    return found


def mean_error(found: InNet, rows: Mapping[str, float], nets: Sequence[NetMeasurement]) -> float:
    predicted = (found.net_us([(name, rows[name]) for name in net.operators], OVERHEAD_US) for net in nets)
    return fmean(abs(us / net.latency_us - 1) for us, net in zip(predicted, nets, strict=True))
