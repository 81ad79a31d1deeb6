"""What most rows of two LUTs of one machine do, where nothing has changed but the machine's state.

Other programs slow what goes through the caches that they share with an operator, and so the more the more an operator
touches: what it reads and writes, and its weights. Between two runs the logarithm of a row's ratio B / A therefore
follows a line over the logarithm of what its operator touches (docs/notes/protocol.md: what a neighbour slows). The
line is found from the rows themselves, by a fit that few changed ones do not move. It is kept to what the canaries
allow: a change of all rows that these do not tell of is not the machine's.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from lutbench.lut.canaries import SMALL, Range, beyond_clock, is_other_clock, machine_range
from lutbench.measure.statistics import SPREAD_PER_MAD

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats: TypeAlias = NDArray[np.float64]

FEWEST_ROWS = 20  # of which most can be told from few
_FAR_STATE = 0.75  # of a canary's time beyond the clock's: there some rows move by tens of per cent, off any line
_FOLLOWED = 2.0  # times the logarithm of the small canary's ratio is as far as most rows go with another clock
_LEVEL_OFF = 0.005  # by which the level may be off what the canaries allow: the small one's time is known no better
# Of the line, for each factor of e in what is touched: at most this times the logarithm of a canary's ratio over the
# clock's, of which .06 to .08 was seen; and what two runs differ by of which no canary tells.
_SLOPE_OF_CANARY, _SLOPE_OFF = 0.15, 0.005
_OUTSIDE = 2.0  # standard deviations of the rows about the line: the intervals of both rows are asked as well
_LEAST_REACH = 0.01  # of a ratio's logarithm: what rows agree by no better run would show
_MOST_REACH = 0.03  # likewise, where no canary moved: rows that scatter further have changed
_OUTLIER = 4.685  # standard deviations from the line, from which on a row has no say in it (Tukey's biweight)
_LEAST_SPREAD = 1e-9  # of rows that are on a line exactly
_PASSES = 30  # after which the line and the rows' weights agree


@dataclass(frozen=True)
class Usual:
    """What rows like one do: the logarithm of their ratio B / A, and how far from it one is that is not as they are."""

    log_ratio: float
    reach: float

    @property
    def ratio(self) -> float:
        """The usual B / A."""
        return math.exp(self.log_ratio)


@dataclass(frozen=True)
class Usuals:
    """What is usual for each of many rows: logarithms of ratios, and how far from these one is that is not as usual."""

    log_ratio: Floats
    reach: float

    def __getitem__(self, index: int) -> Usual:
        return Usual(float(self.log_ratio[index]), self.reach)


@dataclass(frozen=True)
class Line:
    """The logarithms of ratios over the logarithm of what operators touch.

    level: up to what the small canary touches, for so much stays in the core's own caches.
    slope: beyond it, for each factor of e.
    smallest: what the small canary touches, elements.
    reach: how far from the line a row is that does not go with the others.
    """

    level: float
    slope: float
    smallest: float
    reach: float

    def log_ratios(self, touched: Floats) -> Floats:
        """What is usual for operators that touch so many elements each."""
        return self.level + self.slope * _times(touched, self.smallest)


def usual_line(log_ratio: Floats, touched: Floats, smallest: float, canaries: Mapping[str, float]) -> Line | None:
    """The line of these rows; None of too few, and where the machine was in a state too far from the other one.

    log_ratio: of each row.
    touched: elements that each row's operator touches.
    smallest: those that the small canary does.
    canaries: their ratios (`canaries.canary_ratios`).
    """
    import numpy as np

    is_told = np.isfinite(log_ratio)
    if np.count_nonzero(is_told) < FEWEST_ROWS or beyond_clock(canaries, _FAR_STATE):
        return None
    told, times = log_ratio[is_told], _times(touched[is_told], smallest)
    slope = _within(_robust_slope(times, told), *_slopes(canaries))
    level = float(np.median(told - slope * times))
    spread = SPREAD_PER_MAD * float(np.median(np.abs(told - slope * times - level)))
    lowest, highest = (math.log(ratio) for ratio in machine_range(canaries))
    reach = _within(_OUTSIDE * spread, _LEAST_REACH, _MOST_REACH + highest - lowest)
    return Line(_within(level, *_levels(canaries)), slope, smallest, reach)


def follow_clock(canaries: Mapping[str, float], log_ratio: float) -> bool:
    """Whether the clock was another one and rows moved by this with it: the same way, by no more than twice as much.

    Rows of an unchanged machine were seen to move by 17 % where its small canary moved by 14 %, and by 7 where it did
    by 4.5 %.
    """
    return is_other_clock(canaries) and 0 <= log_ratio / math.log(canaries[SMALL]) <= _FOLLOWED


def _times(touched: Floats, smallest: float) -> Floats:
    """The logarithm of how much more than the small canary operators touch; 0 of those that touch less."""
    import numpy as np

    found: Floats = np.log(np.maximum(touched, smallest) / smallest)
    return found


def _levels(canaries: Mapping[str, float]) -> Range:
    """Between which the canaries allow a level."""
    clock = math.log(canaries.get(SMALL, 1.0))
    followed = _FOLLOWED * clock if is_other_clock(canaries) else clock
    allowed = (followed, *(math.log(ratio) for ratio in machine_range(canaries)))
    return min(allowed) - _LEVEL_OFF, max(allowed) + _LEVEL_OFF


def _slopes(canaries: Mapping[str, float]) -> Range:
    """Between which the canaries allow a slope."""
    clock = canaries.get(SMALL, 1.0)
    allowed = [_SLOPE_OF_CANARY * math.log(ratio / clock) for ratio in canaries.values()]
    return min(0.0, *allowed) - _SLOPE_OFF, max(0.0, *allowed) + _SLOPE_OFF


def _within(value: float, lowest: float, highest: float) -> float:
    return min(max(value, lowest), highest)


def _robust_slope(places: Floats, values: Floats) -> float:
    """By Tukey's biweight: a value counts the less the further it is from the line."""
    import numpy as np

    columns = np.column_stack([np.ones_like(places), places])
    slope = _resistant_slope(places, values)
    rest = values - slope * places
    rest -= np.median(rest)
    for _ in range(_PASSES):
        spread = max(_LEAST_SPREAD, SPREAD_PER_MAD * float(np.median(np.abs(rest))))
        weights = np.maximum(0.0, 1 - (rest / (_OUTLIER * spread)) ** 2)  # roots: the biweight is its square
        level, slope = np.linalg.lstsq(columns * weights[:, None], values * weights, rcond=None)[0]
        rest = values - level - slope * places
    return float(slope)


def _resistant_slope(places: Floats, values: Floats) -> float:
    """That of the medians of the lower and the upper third, which changed values do not move; 0 of one place."""
    import numpy as np

    order = np.argsort(places, kind="stable")
    lower, upper = order[: len(order) // 3], order[-(len(order) // 3) :]
    apart = float(np.median(places[upper]) - np.median(places[lower]))
    return float(np.median(values[upper]) - np.median(values[lower])) / apart if apart else 0.0
