"""Predicted against measured whole nets, with the diagonal, and the error below it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from lutbench.report.charts.style import colour, light_grid, new_figure, set_tips, styled
from lutbench.report.text import short, signed_percent
from lutbench.units import ms_from_us

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from lutbench.report.additivity import Additivity, NetPoint

_FEW = 12  # points up to which each is named
_LEAST_ERROR_PERCENT = 2.0  # the error's axis reaches at least this far


@styled
def draw_additivity(found: Additivity, series: str) -> Figure:
    """Draws predictions against measured nets.

    found: at least one point.
    series: a colour's name, "a" or "b".
    """
    figure = new_figure(4.6, 4.8)
    above, below = figure.subplots(2, 1, sharex=True, height_ratios=[3, 1.25])
    points = found.points
    size = 34 if len(points) <= _FEW else 20 if len(points) <= 60 else 12
    measured = [ms_from_us(point.measured_us) for point in points]
    style = {"s": size, "color": colour(series), "alpha": 0.75, "linewidths": 0, "clip_on": False, "zorder": 3}
    tips = [f"{point.net}: {signed_percent(point.error, 2)}" for point in points]
    set_tips(above.scatter(measured, [ms_from_us(point.predicted_us) for point in points], **style), tips)
    set_tips(below.scatter(measured, [100 * point.error for point in points], **style), tips)
    _diagonal(above, points)
    above.set_ylabel("predicted (ms)")
    below.axhline(0, color=colour("muted"), lw=0.9, zorder=1)
    reach = 1.15 * max(_LEAST_ERROR_PERCENT, *(abs(100 * point.error) for point in points))
    below.set_ylim(-reach, reach)
    below.set_ylabel("error (%)")
    below.set_xlabel(f"{found.measured_name} (ms)")
    for axes in (above, below):
        light_grid(axes)
    figure.align_ylabels()
    if len(points) <= _FEW and found.is_named:
        _name(above, points)
    return figure


def _diagonal(axes: Axes, points: Sequence[NetPoint]) -> None:
    values = [ms_from_us(value) for point in points for value in (point.predicted_us, point.measured_us)]
    margin = 0.06 * (max(values) - min(values)) or 0.1 * max(values)
    low, high = max(0.0, min(values) - margin), max(values) + margin
    axes.plot([low, high], [low, high], color=colour("muted"), lw=0.9, zorder=1)
    axes.set_xlim(low, high)
    axes.set_ylim(low, high)


def _name(axes: Axes, points: Sequence[NetPoint]) -> None:
    """Names beside the points, to the left of those in the right half."""
    low, high = axes.get_xlim()
    for point in points:
        x, y = ms_from_us(point.measured_us), ms_from_us(point.predicted_us)
        right = x > (low + high) / 2
        axes.annotate(
            short(point.net),
            (x, y),
            xytext=(-6 if right else 6, 6 if right else -6),
            textcoords="offset points",
            ha="right" if right else "left",
            va="center",
            fontsize=8,
            color=colour("ink"),
        )
