"""What an operator takes more where others run between its invocations: how cold it gets, measured.

An operator that is timed one by one finds its weights, its tensors and its code where its last invocation left them. In
a net others have run since. The first rounds of a profile time each operator both ways, for the depth of its context
has to be chosen; what it takes more behind others says of each operator how much it loses, in part: a few others
displace less than a net does. Nets are asked how many times that they pay (`in_net`: colder).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from statistics import fmean, median

from lutbench.measure.measurements import Measurements

ALONE = 0  # how many others run between two invocations


def colder(data: Measurements, operators: Iterable[str], depths: Sequence[int]) -> dict[str, float]:
    """Says how much more each operator takes behind others, a fraction of what it takes alone: the mean over depths.

    Both of a pair are of one round, in which the machine is in one state. Operators that lack a depth are left out.
    """
    found = {}
    for name in operators:
        alone_us = data.every_round_medians_us(name, ALONE)
        ratios = [_ratio(alone_us, data.every_round_medians_us(name, depth)) for depth in depths if depth != ALONE]
        if ratios and None not in ratios:
            found[name] = fmean(ratio for ratio in ratios if ratio) - 1
    return found


def _ratio(alone_us: dict[int, float], behind_us: dict[int, float]) -> float | None:
    """Behind others over alone, the median of rounds that have both."""
    both = [behind_us[number] / us for number, us in alone_us.items() if number in behind_us and us > 0]
    return median(both) if both else None
