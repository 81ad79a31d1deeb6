"""Two LUTs operator by operator (FBNet's Figure 5): a scatter with the diagonal, and ratios by candidate."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from lutbench.report.charts.style import colour, light_grid, new_figure, set_tips, styled
from lutbench.report.compare import Pair, candidate_of, typical_ratio
from lutbench.report.side import Side
from lutbench.report.text import times
from lutbench.space.operator import Operator

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_SERIES = {"k3": ("o", "3×3"), "k5": ("s", "5×5"), "k7": ("D", "other kernels"), "k1": ("^", "fixed layers, 1×1")}
_STEPS_UP_TO = 3.0  # the span of ratios up to which ticks are even steps
_MANTISSAS_UP_TO = 30.0  # and up to which they are 1, 1.5, 2, 3, 5, 7; beyond it powers of two


@styled
def draw_scatter(pairs: Sequence[Pair], sides: Sequence[Side]) -> Figure:
    """A against B on logarithmic axes; points with a ratio only, at least one. Rings are not significant."""
    figure = new_figure(4.6, 4.5)
    axes = figure.subplots()
    for name, (marker, label) in _SERIES.items():
        chosen = [pair for pair in pairs if _series_of(pair.parts) == name]
        for is_significant in (True, False):
            _points(
                axes, [pair for pair in chosen if bool(pair.is_significant) == is_significant], name, is_significant
            )
        if chosen:
            axes.scatter([], [], s=26, marker=marker, color=colour(name), label=label)
    values = [row.latency_us for p in pairs for row in (p.a, p.b) if row]
    low, high = min(values) * 0.8, max(values) * 1.25
    axes.plot([low, high], [low, high], color=colour("muted"), lw=0.9, zorder=1)
    axes.set(xscale="log", yscale="log", xlim=(low, high), ylim=(low, high))
    axes.set_xlabel(f"{sides[0].name} (µs)")
    axes.set_ylabel(f"{sides[1].name} (µs)")
    axes.set_title("Each operator on both; rings: not significant")
    _log_ticks(axes)
    light_grid(axes)
    axes.legend(loc="upper left", fontsize=8.5, handletextpad=0.2)
    return figure


def _points(axes: Axes, pairs: Sequence[Pair], series: str, is_filled: bool) -> None:
    if not pairs:
        return
    points = axes.scatter(
        [pair.a.latency_us for pair in pairs if pair.a],
        [pair.b.latency_us for pair in pairs if pair.b],
        s=26,
        marker=_SERIES[series][0],
        facecolors=colour(series) if is_filled else "none",
        edgecolors="none" if is_filled else colour(series),
        linewidths=1.1,
        alpha=0.85,
        zorder=3,
    )
    set_tips(points, [_tip(pair) for pair in pairs])


def _tip(pair: Pair) -> str:
    return f"{pair.operator}: B / A {times(pair.ratio)}, {pair.verdict}"


@styled
def draw_ratios(pairs: Sequence[Pair]) -> Figure:
    """B over A by candidate, one point per operator; points with a ratio only, at least one."""
    groups: dict[str, list[Pair]] = {}
    for pair in sorted(pairs, key=lambda p: _order(p.parts)):
        groups.setdefault(candidate_of(pair.parts), []).append(pair)
    figure = new_figure(4.6, max(2.4, 1.1 + 0.34 * len(groups)))
    axes = figure.subplots()
    for place, group in enumerate(groups.values()):
        _strip(axes, place, group)
    typical = typical_ratio(pairs)
    axes.axvline(1, color=colour("muted"), lw=0.9, zorder=1)
    axes.axvline(typical, color=colour("b"), lw=1, ls=(0, (4, 2)), zorder=1)
    low, high = min(0.95, *(p.ratio for p in pairs)), max(1.05, *(p.ratio for p in pairs))
    margin = (high / low) ** 0.05
    low, high = low / margin, high * margin
    axes.set(xscale="log", xlim=(low, high), ylim=(len(groups) - 0.4, -0.6))
    axes.set_yticks(range(len(groups)), list(groups))
    axes.set_xlabel("B / A   (bar: median, dashed: typical of all)")
    axes.set_title("Ratio by candidate")
    ticks = ratio_ticks(low, high)
    axes.set_xticks(ticks, [f"{tick:.3g}" for tick in ticks])
    axes.set_xticks([], minor=True)
    light_grid(axes, "x")
    return figure


def _strip(axes: Axes, place: int, group: Sequence[Pair]) -> None:
    """The group's points, spread a little by their rank so that they do not hide each other."""
    ordered = sorted(group, key=lambda pair: pair.ratio)
    placed = [(pair, place + (rank % 3 - 1) * 0.16) for rank, pair in enumerate(ordered)]
    tint = colour(_series_of(ordered[0].parts))
    for is_filled in (True, False):
        chosen = [(pair, y) for pair, y in placed if bool(pair.is_significant) == is_filled]
        if not chosen:
            continue
        points = axes.scatter(
            [pair.ratio for pair, _ in chosen],
            [y for _, y in chosen],
            s=20,
            facecolors=tint if is_filled else "none",
            edgecolors="none" if is_filled else tint,
            linewidths=1.0,
            alpha=0.85,
            zorder=3,
        )
        set_tips(points, [_tip(pair) for pair, _ in chosen])
    middle = ordered[len(ordered) // 2].ratio
    axes.plot([middle, middle], [place - 0.32, place + 0.32], color=colour("ink"), lw=1.6, zorder=4)


def _series_of(operator: Operator) -> str:
    """A name of _SERIES, which is a colour's too."""
    if operator.candidate is None:
        return "k1"
    name = f"k{operator.kernel}"
    return name if name in ("k3", "k5") else "k7"


def _order(operator: Operator) -> tuple[bool, int, float, int, str]:
    return operator.candidate is None, operator.kernel, operator.expansion, operator.groups, candidate_of(operator)


def _log_ticks(axes: Axes) -> None:
    """Powers of ten as plain numbers."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_locator(LogLocator(subs=(1,)))
        axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        axis.set_minor_formatter(NullFormatter())


def ratio_ticks(low: float, high: float) -> list[float]:
    """Chooses at most about ten ratios between low < 1 and high > 1; 1 is one of them."""
    span = high / low
    if span >= _MANTISSAS_UP_TO:
        step = 2 ** math.ceil(math.log2(span) / 8)
        first, last = math.ceil(math.log(low, step)), math.floor(math.log(high, step))
        return [float(step) ** power for power in range(first, last + 1)]
    if span >= _STEPS_UP_TO:
        found = [mantissa * decade for decade in (0.01, 0.1, 1, 10) for mantissa in (1, 1.5, 2, 3, 5, 7)]
        return [round(ratio, 3) for ratio in found if low <= ratio <= high]
    step = next(step for step in (0.02, 0.05, 0.1, 0.2, 0.5) if (high - low) / step <= 8)
    first, last = math.ceil((low - 1) / step), math.floor((high - 1) / step)
    return [round(1 + step * number, 2) for number in range(first, last + 1)]
