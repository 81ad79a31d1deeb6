"""How wide the rows' 95 % intervals are."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from lutbench.report.charts.style import colour, light_grid, new_figure, styled
from lutbench.report.side import Side
from lutbench.report.text import INTERVAL_NAMES

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_BINS = 28
_NARROWEST = 1e-4  # a row with identical rounds stands here


@styled
def draw_intervals(side: Side) -> Figure:
    """A histogram of half-widths in per cent, the target marked. The side has at least one interval."""
    figure = new_figure(4.6, 2.4)
    axes = figure.subplots()
    widths = [100 * max(_NARROWEST, width) for width in side.half_widths]
    reached = [*widths, 100 * side.target] if side.target else widths
    low, high = min(reached) * 0.8, max(reached) * 1.25
    step = math.log(high / low) / _BINS
    edges = [low * math.exp(step * number) for number in range(_BINS + 1)]
    axes.hist(widths, bins=edges, color=colour(side.letter), edgecolor=colour("surface"), linewidth=0.6)
    axes.set(xscale="log", xlim=(low, high), ylabel="rows")
    name = INTERVAL_NAMES[side.lut.metadata.provenance]
    axes.set_xlabel(f"half-width of the {name} (% of the latency)")
    if side.target:
        _mark(axes, 100 * side.target, is_left=side.target * 100 > math.sqrt(low * high))
    _plain_ticks(axes)
    light_grid(axes, "y")
    return figure


def _mark(axes: Axes, target: float, is_left: bool) -> None:
    """The target, with its text on the side where there is more room."""
    axes.axvline(target, color=colour("bad"), lw=1.2, ls=(0, (4, 2)))
    axes.annotate(
        f"target ±{target:g} %",
        (target, 1),
        xycoords=("data", "axes fraction"),
        xytext=(-5 if is_left else 5, -2),
        textcoords="offset points",
        ha="right" if is_left else "left",
        va="top",
        fontsize=8.5,
        color=colour("bad"),
    )


def _plain_ticks(axes: Axes) -> None:
    """0.2, 0.5, 1, 2 and so on instead of powers of ten; whole rows."""
    from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter

    axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.yaxis.set_major_locator(MaxNLocator(integer=True, nbins=4))
