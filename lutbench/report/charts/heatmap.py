"""Maps of layers x candidates as a chart, for files; the page has its own as a table."""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING

from lutbench.report.charts.style import colour, new_figure, styled
from lutbench.report.colours import ColourRange, ink_on
from lutbench.report.maps import Cell, LayerMap, candidate_label

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_CELL_IN = (0.62, 0.26)
_EDGES_IN = (1.9, 1.1)


@styled
def draw_heatmap(drawn: LayerMap, colours: ColourRange, title: str) -> Figure:
    """A row per layer, a column per candidate; cells are named cell-LAYER-CANDIDATE in SVG."""
    columns, rows = len(drawn.candidates), len(drawn.rows)
    figure = new_figure(_EDGES_IN[0] + _CELL_IN[0] * columns, _EDGES_IN[1] + _CELL_IN[1] * rows)
    axes = figure.subplots()
    axes.set(xlim=(0, columns), ylim=(rows, 0))
    for cells in drawn.rows:
        for column, cell in enumerate(cells):
            _draw_cell(axes, cell, column, colours)
    axes.set_xticks(
        [column + 0.5 for column in range(columns)],
        [candidate_label(c).replace(" ", "\n", 1) for c in drawn.candidates],
    )
    labels = [
        f"{layer.c_in}×{layer.h_in}×{layer.w_in} → {layer.c_out}   {layer.index + 1}" for layer in drawn.space.layers
    ]
    axes.set_yticks([row + 0.5 for row in range(rows)], labels)
    axes.xaxis.tick_top()
    axes.tick_params(length=0, labelsize=8.5)
    axes.spines[:].set_visible(False)
    stages = [len(list(group)) for _, group in groupby(drawn.space.layers, key=lambda layer: layer.stage)]
    for edge in (sum(stages[:count]) for count in range(1, len(stages))):
        axes.axhline(edge, color=colour("surface"), lw=3.5)
    figure.suptitle(title, fontsize=10.5, x=0.01, ha="left")
    return figure


def _draw_cell(axes: Axes, cell: Cell, column: int, colours: ColourRange) -> None:
    from matplotlib.patches import Rectangle

    is_coloured = cell.state == "ok"
    fill = colours.colour(cell.value) if is_coloured else colour("band")
    patch = Rectangle((column + 0.02, cell.layer + 0.04), 0.96, 0.92, facecolor=fill, linewidth=0)
    patch.set_gid(f"cell-{cell.layer}-{column}")
    if cell.state in ("unsure", "failed", "missing"):
        patch.set(hatch="////" if cell.state != "missing" else "..", edgecolor=colour("line"))
    axes.add_patch(patch)
    ink = ink_on(fill) if is_coloured else colour("bad" if cell.state == "failed" else "muted")
    text = {"identity": "0", "failed": "failed"}.get(cell.state, cell.text)
    axes.text(column + 0.5, cell.layer + 0.52, text, ha="center", va="center", fontsize=8.5, color=ink)
