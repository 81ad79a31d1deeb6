"""Two LUTs operator by operator: which are in both, the ratio B / A, and whether the intervals tell them apart.

What `lutbench diff` prints and what the report draws both come from here.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias, overload

from lutbench.errors import SpaceError
from lutbench.lut.canaries import Range, canary_ratios, machine_range
from lutbench.lut.row import OK
from lutbench.lut.table import Lut
from lutbench.lut.usual import Usual, Usuals, follow_clock, usual_line
from lutbench.space.operator import parse_operator

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from lutbench.lut.usual import Floats

    Places: TypeAlias = NDArray[np.int64]

_FIGURES = ("latency_us", "ci_low_us", "ci_high_us")
_UNMOVED: Range = (1.0, 1.0)


def differ(figures_us: Any, machine: Range, usual: Usual | Usuals | None = None) -> Any:
    """Whether the 95 % interval of the difference does not hold 0, of Change's figures as numbers or as arrays.

    It is that of two measurements that know nothing of each other: the root of both halves' squares. What the machine's
    state explains is no difference: B has to be slower over the highest of the ratios that it can have, or faster over
    the lowest. Never where a bound is NaN.

    machine: these ratios, where it is not known what most rows do.
    usual: what rows like it do. Then a row differs that does not as they do, and that differs as measured and over
        their ratio, too.
    """
    import numpy as np

    if usual is None:
        return _is_beyond(figures_us, machine)
    with np.errstate(all="ignore"):  # a file may hold 1e300
        is_left = abs(np.log(figures_us[3]) - np.log(figures_us[0]) - usual.log_ratio) > usual.reach
        ratio = np.exp(usual.log_ratio)
    return is_left & _is_beyond(figures_us, (np.minimum(1.0, ratio), np.maximum(1.0, ratio)))


def _is_beyond(figures_us: Any, ratios: Any) -> Any:
    """Whether B is slower by more than the highest of the ratios, or faster by more than the lowest."""
    import numpy as np

    a_us, a_low_us, a_high_us, *b_figures_us = figures_us
    lowest, highest = ratios
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
    usual: what operators like it do, where that is known (`usual_line`).
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
    small_canary: the small one's operator; "": there is none, and what is usual is not known.
    batch: images in an invocation.
    follow_clock: whether most followed another clock, maybe further than the small canary (`usual.follow_clock`).
    """

    def __init__(
        self,
        names: Sequence[str],
        figures_us: Floats,
        canaries: Mapping[str, float],
        small_canary: str = "",
        batch: int = 1,
    ) -> None:
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
        self.follow_clock = False
        self._machine = machine_range(canaries)
        self._usual: Usuals | None = None
        if small_canary:
            self._find_usual(canaries, small_canary, batch)
        self.significant = differ(self.figures_us, self._machine, self._usual)

    @property
    def usual_range(self) -> Range | None:
        """The lowest and the highest ratio that is usual for these rows; None where it is not known."""
        if self._usual is None:
            return None
        logs = self._usual.log_ratio
        return exponential(float(logs.min())), exponential(float(logs.max()))

    def _find_usual(self, canaries: Mapping[str, float], small_canary: str, batch: int) -> None:
        import numpy as np

        smallest = _touched(small_canary, batch)
        touched = np.array([_touched(self._names[place], batch) for place in self.order.tolist()], np.float64)
        line = usual_line(self.log_ratio, touched, smallest, canaries) if smallest else None
        if line is not None:
            self.follow_clock = follow_clock(canaries, float(np.nanmedian(self.log_ratio)))
            self._usual = Usuals(line.log_ratios(touched), line.reach)

    def __len__(self) -> int:
        return len(self.order)

    @overload
    def __getitem__(self, index: int) -> Change: ...
    @overload
    def __getitem__(self, index: slice) -> tuple[Change, ...]: ...
    def __getitem__(self, index: int | slice) -> Change | tuple[Change, ...]:
        if isinstance(index, slice):
            return tuple(self[number] for number in range(len(self))[index])
        return self._change(index, self.figures_us[:, index].tolist())

    def __iter__(self) -> Iterator[Change]:
        return (self._change(place, us) for place, us in enumerate(self.figures_us.T.tolist()))

    def _change(self, index: int, us: Sequence[float]) -> Change:
        a_us, a_low_us, a_high_us, b_us, b_low_us, b_high_us = us
        name, usual = self._names[self.order[index]], self._usual[index] if self._usual else None
        return Change(name, a_us, a_low_us, a_high_us, b_us, b_low_us, b_high_us, self._machine, usual)


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
    canaries = canary_ratios(a, b)
    small = a.metadata.context.canaries[0] if canaries and a.metadata.context.canaries else ""
    return Changes(timed, np.array(figures_us), canaries, small, a.metadata.batch)


def _touched(operator: str, batch: int) -> int:
    """Elements; 0 where they are not known, as of an operator of an imported table."""
    try:
        return parse_operator(operator).touched_by(batch)
    except SpaceError:
        return 0


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
