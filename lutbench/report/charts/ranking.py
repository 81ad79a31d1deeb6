"""The nets that a search ranked: accuracy against predicted latency, those that it chose marked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from lutbench.report.charts.style import colour, light_grid, new_figure, set_tips, styled
from lutbench.units import ms_from_us

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True)
class Ranked:
    """A net of a search.

    accuracy: a fraction, of images under the supernet's weights.
    """

    name: str
    latency_us: float
    accuracy: float


def front_of(nets: Sequence[Ranked]) -> list[Ranked]:
    """The nets than which none is as fast and more accurate, or as accurate and faster; the fastest first."""
    found: list[Ranked] = []
    for net in sorted(nets, key=lambda one: (one.latency_us, -one.accuracy)):
        if not found or net.accuracy > found[-1].accuracy:
            found.append(net)
    return found


@styled
def draw_ranking(
    device: str, nets: Sequence[Ranked], chosen: Sequence[Ranked], target_us: float | None, has_front: bool = False
) -> Figure:
    """Draws a point for each net, those that were chosen larger.

    nets: those that were not chosen.
    target_us: a line, where the search kept to a latency.
    has_front: a line through the best accuracy within each latency, of all nets.
    """
    figure = new_figure(5.6, 3.9)
    axes = figure.subplots()
    for points, name, size, alpha, label in (
        (nets, "k1", 18, 0.55, f"{len(nets)} others ranked"),
        (chosen, "a", 44, 0.95, "written as files"),
    ):
        if points:
            where = [ms_from_us(net.latency_us) for net in points], [100 * net.accuracy for net in points]
            drawn = axes.scatter(*where, s=size, color=colour(name), alpha=alpha, linewidths=0, label=label, zorder=3)
            set_tips(drawn, [f"{n.name}: {100 * n.accuracy:.1f} %, {ms_from_us(n.latency_us):.3f} ms" for n in points])
    if has_front:
        best = front_of([*nets, *chosen])
        steps = [ms_from_us(net.latency_us) for net in best], [100 * net.accuracy for net in best]
        axes.plot(*steps, color=colour("b"), lw=1.2, drawstyle="steps-post", label="front of all", zorder=2)
    if target_us is not None:
        axes.axvline(ms_from_us(target_us), color=colour("b"), lw=1, ls="--", label="target", zorder=2)
    axes.set_xlabel(f"predicted on {device} (ms)")
    axes.set_ylabel("accuracy under the supernet (%)")
    light_grid(axes)
    axes.legend(loc="best", fontsize=8)
    return figure
