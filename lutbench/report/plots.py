"""The report's charts as files: one per chart, PNG or SVG."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from lutbench.lut.table import Lut
from lutbench.report.additivity import find_additivity
from lutbench.report.charts.additivity import draw_additivity
from lutbench.report.charts.heatmap import draw_heatmap
from lutbench.report.charts.intervals import draw_intervals
from lutbench.report.charts.nets import draw_nets
from lutbench.report.charts.operators import draw_ratios, draw_scatter
from lutbench.report.charts.style import check_format, save
from lutbench.report.colours import ratio_colours
from lutbench.report.compare import compare_rows
from lutbench.report.maps import latency_maps, ratio_map, spread
from lutbench.report.sections import net_labels
from lutbench.report.side import Side, all_spaces, drawn_nets, sides_of
from lutbench.space.macro import Space

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def write_plots(luts: Sequence[Lut], path: Path) -> tuple[Path, ...]:
    """Writes every chart of the LUTs, one or two, and returns the files.

    path: its suffix decides the format, its stem begins every name: host.png gives host-heatmap.png, host-nets.png,
    host-additivity.png and so on. UsageError for another suffix.
    """
    check_format(path)
    written = []
    for name, figure in _figures(sides_of(luts)):
        target = path.with_name(f"{path.stem}-{name}{path.suffix}")
        save(figure, target)
        written.append(target)
    return tuple(written)


def _figures(sides: Sequence[Side]) -> Iterator[tuple[str, Figure]]:
    """Each chart with its name; what there is nothing to draw of is left out."""
    spaces = all_spaces(sides)
    for space in spaces:
        yield from _heatmaps(sides, space, f"-{space.label}" if len(spaces) > 1 else "")
    if len(sides) > 1:
        pairs = [pair for pair in compare_rows(sides[0].lut, sides[1].lut) if math.isfinite(pair.ratio)]
        if pairs:
            yield "operators", draw_scatter(pairs, sides)
            yield "ratios", draw_ratios(pairs)
    nets, _ = drawn_nets(sides)
    if nets:
        yield "nets", draw_nets(nets, net_labels(sides, nets))
    for side in sides:
        letter = f"-{side.letter}" if side.is_pair else ""
        found = find_additivity(side)
        if found.points:
            yield f"additivity{letter}", draw_additivity(found, side.letter)
        if side.half_widths:
            yield f"intervals{letter}", draw_intervals(side)


def _heatmaps(sides: Sequence[Side], space: Space, suffix: str) -> Iterator[tuple[str, Figure]]:
    found = latency_maps(sides, space)
    for side, drawn in found.maps:
        letter = f"-{side.letter}" if side.is_pair else ""
        kind = "" if side.lut.metadata.provenance == "measured" else f" ({side.lut.metadata.provenance})"
        title = f"{side.name}{kind}: latency in {found.unit}, {space.name} at {space.label}"
        yield f"heatmap{letter}{suffix}", draw_heatmap(drawn, found.colours, title)
    if len(found.maps) > 1:
        ratios = ratio_map(sides, space)
        title = f"{sides[1].name} / {sides[0].name}, {space.name} at {space.label}"
        yield f"ratio{suffix}", draw_heatmap(ratios, ratio_colours(*spread([ratios])), title)
