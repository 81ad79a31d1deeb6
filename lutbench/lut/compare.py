"""Two LUTs operator by operator: which are in both, the ratio B / A, and whether the intervals tell them apart.

What `lutbench diff` prints and what the report draws both come from here.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias, overload

from lutbench.lut.row import OK
from lutbench.lut.table import Lut
from lutbench.measure.statistics import SPREAD_PER_MAD

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Places: TypeAlias = NDArray[np.int64]

Range: TypeAlias = tuple[float, float]  # of ratios, the lowest and the highest

_SHORTEST_US, _LONGEST_US = 1e-6, 1e12  # beyond them a canary's time is junk
_FIGURES = ("latency_us", "ci_low_us", "ci_high_us")
SMALL = "small"
CANARIES = (SMALL, "large", "nets")  # as `jobs.tuning.Canaries` names them
_UNMOVED: Range = (1.0, 1.0)
_SAME_STATE = 0.03  # of a canary's time, a fraction: two quiet runs differ by as much
_FAR_STATE = 0.25  # likewise: beyond it some rows move by tens of per cent, and to stand out says nothing
_FOLLOWED = 2.0  # times the logarithm of the small canary's ratio is as far as most rows go with another clock
_FEWEST_ROWS = 20  # of which most can be told from few
_OUTSIDE = 2.5  # standard deviations: of rows that nothing but noise moves, one of eighty is so far from their median
_LEAST_REACH = 0.01  # of a ratio's logarithm: what rows agree by no better run would show


@dataclass(frozen=True)
class Usual:
    """What most rows do: the logarithm of their ratio B / A, and how far from it a row is that is not as they are."""

    log_ratio: float
    reach: float

    @property
    def range(self) -> Range:
        """Between no change and what most rows do."""
        ratio = exponential(self.log_ratio)
        return min(1.0, ratio), max(1.0, ratio)

    @property
    def ends(self) -> Range:
        """Between which a row is as most are."""
        return exponential(self.log_ratio - self.reach), exponential(self.log_ratio + self.reach)

    def is_left_by(self, log_ratio: Any) -> Any:
        """Whether a row is not as most are."""
        return abs(log_ratio - self.log_ratio) > self.reach


def differ(figures_us: Any, machine: Range, usual: Usual | None = None) -> Any:
    """Whether the 95 % interval of the difference does not hold 0, of Change's figures as numbers or as arrays.

    It is that of two measurements that know nothing of each other: the root of both halves' squares. What the machine's
    state explains is no difference: B has to be slower over the highest of the ratios that it can have, or faster over
    the lowest. Never where a bound is NaN.

    usual: what most rows do. One that does not differs, too, where it does as measured and over the ratio of most.
    """
    import numpy as np

    found = _is_beyond(figures_us, machine)
    if usual is not None:
        with np.errstate(all="ignore"):  # a file may hold 1e300
            log_ratio = np.log(figures_us[3]) - np.log(figures_us[0])
        found = found | (usual.is_left_by(log_ratio) & _is_beyond(figures_us, usual.range))
    return found


def _is_beyond(figures_us: Any, machine: Range) -> Any:
    """Whether B is slower by more than the highest of the ratios, or faster by more than the lowest."""
    import numpy as np

    a_us, a_low_us, a_high_us, *b_figures_us = figures_us
    lowest, highest = machine
    with np.errstate(all="ignore"):  # a file may hold 1e300
        b_us, b_low_us, _ = (us / highest for us in b_figures_us)
        slower = b_us - a_us > np.hypot(a_high_us - a_us, b_us - b_low_us)
        b_us, _, b_high_us = (us / lowest for us in b_figures_us)
        faster = a_us - b_us > np.hypot(a_us - a_low_us, b_high_us - b_us)
    return slower | faster


@dataclass(frozen=True)
class Change:
    """An operator or a net under both LUTs: latencies and their 95 % intervals, microseconds.

    machine: the ratios that the machine's state alone can make (`machine_range`).
    usual: of an operator's where the machine was in another state, as `differ` takes it.
    """

    name: str
    a_us: float
    a_ci_low_us: float
    a_ci_high_us: float
    b_us: float
    b_ci_low_us: float
    b_ci_high_us: float
    machine: Range = _UNMOVED
    usual: Usual | None = None

    @property
    def ratio(self) -> float:
        """b_us / a_us: above 1, B is slower."""
        return self.b_us / self.a_us

    @property
    def significant(self) -> bool:
        """Whether they differ by more than two such measurements of one thing in that state of the machine."""
        a_us = self.a_us, self.a_ci_low_us, self.a_ci_high_us
        return bool(differ((*a_us, self.b_us, self.b_ci_low_us, self.b_ci_high_us), self.machine, self.usual))


class Changes(Sequence[Change]):
    """Operators by ratio, largest first.

    figures_us: shape (6, operators), in the order of Change's fields.
    canaries: of `canary_ratios`; they tell what the machine's state can have done to rows.
    follow_clock: whether most followed another clock, maybe further than the small canary (`follow_clock`).
    """

    def __init__(self, names: Sequence[str], figures_us: NDArray[np.float64], canaries: Mapping[str, float]) -> None:
        import numpy as np

        with np.errstate(all="ignore"):  # a file may hold 1e300
            ratio = figures_us[3] / figures_us[0]
            log_ratio = np.log(figures_us[3]) - np.log(figures_us[0])
        order = np.argsort(-ratio, kind="stable")  # of equal ones the names are sorted already
        self.order = order
        self._names = names
        self.figures_us = figures_us[:, order]
        self.ratio = ratio[order]
        self.log_ratio = log_ratio[order]
        usual = usual_of(log_ratio) if canaries else None
        followed = usual if usual and follow_clock(canaries, usual) else None
        self.follow_clock = followed is not None
        self._machine = machine_range(canaries, followed)
        self._usual = usual if shows_among_rows(canaries) else None
        self.significant = differ(self.figures_us, self._machine, self._usual)

    def __len__(self) -> int:
        return len(self.order)

    @overload
    def __getitem__(self, index: int) -> Change: ...
    @overload
    def __getitem__(self, index: slice) -> tuple[Change, ...]: ...
    def __getitem__(self, index: int | slice) -> Change | tuple[Change, ...]:
        if isinstance(index, slice):
            return tuple(self[number] for number in range(len(self))[index])
        return self._change(self._names[self.order[index]], self.figures_us[:, index].tolist())

    def __iter__(self) -> Iterator[Change]:
        names = (self._names[place] for place in self.order.tolist())
        return (self._change(name, us) for name, us in zip(names, self.figures_us.T.tolist(), strict=True))

    def _change(self, name: str, us: Sequence[float]) -> Change:
        a_us, a_low_us, a_high_us, b_us, b_low_us, b_high_us = us
        return Change(name, a_us, a_low_us, a_high_us, b_us, b_low_us, b_high_us, self._machine, self._usual)


@dataclass(frozen=True)
class Common:
    """The operators that both LUTs have, in a's order.

    in_a, in_b: where they stand.
    ok: whether neither row failed.
    timed: whether they have a latency above 0 in both, as all but identities do.
    """

    in_a: Places
    in_b: Places
    ok: NDArray[np.bool_]
    timed: NDArray[np.bool_]


def common(a: Lut, b: Lut) -> Common:
    import numpy as np

    places_b = {name: place for place, name in enumerate(b.columns["operator"])}
    in_b = np.array([places_b.get(name, -1) for name in a.columns["operator"]], dtype=np.int64)
    in_a = np.flatnonzero(in_b >= 0)
    in_b = in_b[in_a]
    ok = _is_ok(a)[in_a] & _is_ok(b)[in_b]
    latency = (_column(a, "latency_us")[in_a] > 0) & (_column(b, "latency_us")[in_b] > 0)
    return Common(in_a, in_b, ok, ok & latency)


def changes(a: Lut, b: Lut, shared: Common) -> Changes:
    """What changes from a to b beyond the machine's state, for the operators that are timed in both."""
    import numpy as np

    places = (a, shared.in_a[shared.timed]), (b, shared.in_b[shared.timed])
    figures_us = [_column(lut, name)[where] for lut, where in places for name in _FIGURES]
    names = a.columns["operator"]
    timed = [names[place] for place in places[0][1].tolist()]
    return Changes(timed, np.array(figures_us), canary_ratios(a, b))


def usual_of(log_ratio: NDArray[np.float64]) -> Usual | None:
    """What most rows do, by the median of their ratios and its median absolute deviation; None of too few rows."""
    import numpy as np

    logs = log_ratio[np.isfinite(log_ratio)]
    if len(logs) < _FEWEST_ROWS:
        return None
    middle = float(np.median(logs))
    spread = SPREAD_PER_MAD * float(np.median(np.abs(logs - middle)))
    return Usual(middle, max(_LEAST_REACH, _OUTSIDE * spread))


def geometric_mean(log_ratios: Iterable[float]) -> float:
    """The geometric mean of ratios, by their logarithms; NaN where there is none."""
    logs = list(log_ratios)
    return exponential(math.fsum(logs) / len(logs)) if logs else math.nan


def exponential(log_ratio: float) -> float:
    """e to that power; infinity where no number is large enough."""
    return math.exp(log_ratio) if log_ratio < 700 else math.inf


def _column(lut: Lut, name: str) -> NDArray[np.float64]:
    import numpy as np

    return np.array(lut.columns[name], dtype=np.float64)


def _is_ok(lut: Lut) -> NDArray[np.bool_]:
    import numpy as np

    return np.array([status == OK for status in lut.columns["status"]], dtype=np.bool_)


def canary_ratios(a: Lut, b: Lut) -> dict[str, float]:
    """B's time over A's of each canary that both runs timed, by its name; {} where they are not of the same device."""
    one, other = a.metadata, b.metadata
    same = (
        one.provenance == other.provenance == "measured"
        and one.device == other.device
        and one.runtime == other.runtime
        and one.environment.get("cpu") == other.environment.get("cpu")
    )
    found = {}
    for name in CANARIES if same else ():
        place = int(name != SMALL)  # the large one and that of nets are the same operator
        operators = [lut.metadata.context.canaries[place : place + 1] for lut in (a, b)]
        times_us = _canaries_us(a, b, name)
        if operators[0] == operators[1] and min(times_us) > 0:
            found[name] = times_us[1] / times_us[0]
    return found


def machine_range(canaries: Mapping[str, float], followed: Usual | None = None) -> Range:
    """The ratios between which the machine's state alone can move a row; 1, where nothing moved, is among them.

    canaries: of `canary_ratios`. The small one's is that of the clock; the others count where `beyond_clock` has them,
        and both ways: a row is made of the quiet rounds, and those of the more disturbed run may be the faster ones.
    followed: what most rows do, where that is the clock's (`follow_clock`): only rows that stand out are beyond it.
    """
    moved = beyond_clock(canaries).values()
    ratios = (
        1.0,
        canaries.get(SMALL, 1.0),
        *moved,
        *(1 / ratio for ratio in moved),
        *(followed.ends if followed else ()),
    )
    return min(ratios), max(ratios)


def follow_clock(canaries: Mapping[str, float], usual: Usual) -> bool:
    """Whether the clock was another one and most rows moved with it: the same way, by no more than twice as much.

    Rows of an unchanged machine were seen to move by 17 % where its small canary moved by 14 %, and by 7 where it did
    by 4.5 %.
    """
    return _is_other_clock(canaries) and 0 <= usual.log_ratio / math.log(canaries[SMALL]) <= _FOLLOWED


def _is_other_clock(canaries: Mapping[str, float]) -> bool:
    return abs(canaries.get(SMALL, 1.0) - 1) > _SAME_STATE


def beyond_clock(canaries: Mapping[str, float]) -> dict[str, float]:
    """The canaries that moved by more than the clock and two quiet runs do.

    These fetch through shared caches, and feel other programs as no small operator does.
    """
    clock = canaries.get(SMALL, 1.0)
    return {name: canaries[name] for name in canaries if abs(canaries[name] / clock - 1) > _SAME_STATE}


def shows_among_rows(canaries: Mapping[str, float]) -> bool:
    """Whether the machine was in another state or had another clock, not so far off that rows move as each fetches."""
    clock = canaries.get(SMALL, 1.0)
    moved = max((abs(ratio / clock - 1) for ratio in beyond_clock(canaries).values()), default=0.0)
    return moved <= _FAR_STATE and (moved > 0 or _is_other_clock(canaries))


def canaries_text(canaries: Mapping[str, float]) -> str:
    """The ratios as notes and warnings say them."""
    return ", ".join(f"{name} {ratio:.3f}x" for name, ratio in canaries.items())


def _canaries_us(a: Lut, b: Lut, name: str) -> list[float]:
    """What the canary took in each run; the small one in usual rounds, where both LUTs say it, as the rows are of."""
    usual_us = [_sane_us(lut.metadata.quality.get("clock_us")) for lut in (a, b)]
    if name == SMALL and min(usual_us) > 0:
        return usual_us
    tables = [lut.metadata.quality.get("canary_us") for lut in (a, b)]
    return [_sane_us(table.get(name)) if isinstance(table, Mapping) else 0.0 for table in tables]


def _sane_us(value: Any) -> float:
    """0 where the LUT keeps no sane one."""
    return float(value) if isinstance(value, (int, float)) and _SHORTEST_US < value < _LONGEST_US else 0.0
