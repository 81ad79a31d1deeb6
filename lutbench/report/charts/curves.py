"""How a training or a search went, epoch by epoch: a panel for each quantity, a line for each of its records."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

from lutbench.report.charts.style import colour, light_grid, new_figure, styled

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_LINES = ("a", "b", "k7", "k5")  # colours
# a panel's axis -> by what its figures are multiplied, and the records' keys that it draws, each with its name
Panels: TypeAlias = Mapping[str, tuple[float, Mapping[str, str]]]
TRAINING: Panels = {
    "cross entropy": (1.0, {"loss": "training", "test_loss": "test"}),
    "accuracy (%)": (100.0, {"accuracy": "training", "test_accuracy": "test"}),
}
SEARCH: Panels = {
    "cross entropy of weights": (1.0, {"w_loss": "weights"}),
    "accuracy (%)": (100.0, {"w_accuracy": "weights", "theta_accuracy": "theta"}),
    "certainty of theta (%)": (100.0, {"certainty": "mean of each layer's most probable candidate"}),
}


@styled
def draw_curves(history: Sequence[Mapping[str, Any]], panels: Panels) -> Figure:
    """Draws a panel for each quantity. A key that no record has is left out.

    history: at least one record, as metrics.jsonl holds them.
    """
    figure = new_figure(3.3 * len(panels), 2.9)
    for axes, (label, (factor, keys)) in zip(
        figure.subplots(1, len(panels), squeeze=False)[0], panels.items(), strict=True
    ):
        _lines(axes, history, factor, keys)
        axes.set_ylabel(label)
        axes.set_xlabel("epoch")
        light_grid(axes)
    return figure


def _lines(axes: Axes, history: Sequence[Mapping[str, Any]], factor: float, keys: Mapping[str, str]) -> None:
    for name, (key, label) in zip(_LINES, keys.items(), strict=False):
        points = [(record["epoch"], factor * record[key]) for record in history if key in record]
        if points:
            marker = "o" if len(points) == 1 else None  # a line of one point would not be seen
            axes.plot(*zip(*points, strict=True), color=colour(name), lw=1.4, marker=marker, ms=4, label=label)
    if len(keys) > 1:
        axes.legend(loc="best", fontsize=8)
