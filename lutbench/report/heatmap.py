"""Maps of layers x candidates as HTML tables: they follow the theme, fit a phone, and every cell has its tooltip."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby

from lutbench.report.colours import ColourRange, colour_at, ink_on
from lutbench.report.html import Html, tag
from lutbench.report.maps import Cell, LatencyMaps, LayerMap, candidate_label
from lutbench.report.text import times
from lutbench.space.macro import Layer

_GRADIENT_STEPS = 12


def heatmap(drawn: LayerMap, colours: ColourRange, name: str, caption: str) -> Html:
    """The map as a table; name is unique on the page and begins the ids of its cells (NAME-cell-LAYER-CANDIDATE)."""
    head = tag(
        "tr",
        [
            tag("th", "layer", scope="col", class_="corner"),
            *(_column(c.name, candidate_label(c)) for c in drawn.candidates),
        ],
    )
    stages = [list(group) for _, group in groupby(drawn.space.layers, key=lambda layer: layer.stage)]
    bodies = [
        tag("tbody", [_row(layer, drawn.rows[layer.index], colours, name) for layer in stage], class_="stage")
        for stage in stages
    ]
    table = tag(
        "table",
        [tag("caption", caption), tag("thead", head), *bodies],
        class_="heatmap",
        id=name,
        data_roving=True,
    )
    return tag("div", table, class_="scroll")


def _column(name: str, label: str) -> Html:
    parts = label.split(" ", 1)
    return tag("th", [tag("span", part) for part in parts], scope="col", data_candidate=name)


def _row(layer: Layer, cells: Sequence[Cell], colours: ColourRange, name: str) -> Html:
    stride = f" /{layer.stride}" if layer.stride > 1 else ""
    shape = f"{layer.c_in}×{layer.h_in}×{layer.w_in} → {layer.c_out}{stride}"
    head = tag(
        "th",
        [tag("b", str(layer.index + 1)), tag("small", shape)],
        scope="row",
        title=f"Layer {layer.index + 1}, stage {layer.stage + 1}\ninput {layer.c_in}×{layer.h_in}×{layer.w_in},"
        f" {layer.c_out} channels out, stride {layer.stride}",
    )
    return tag("tr", [head, *(_cell(cell, colours, f"{name}-cell-{cell.layer}-{n}") for n, cell in enumerate(cells))])


def _cell(cell: Cell, colours: ColourRange, name: str) -> Html:
    style = None
    if cell.state in ("ok", "unsure"):
        background = colours.colour(cell.value)
        style = f"--c:{background};--i:{ink_on(background)}"
    return tag(
        "td",
        cell.text,
        id=name,
        class_=f"cell {cell.state}",
        style=style,
        data_layer=cell.layer,
        data_candidate=cell.candidate,
        data_value=f"{cell.value:.6g}" if style else None,
        title=cell.note,
    )


def latency_legend(found: LatencyMaps) -> Html:
    labels = [found.in_unit(tick) for tick in found.colours.ticks]
    return _legend(
        found.colours,
        [labels[0], labels[1], f"{labels[2]} {found.unit}"],
        [("identity", "0", "skip, 0 by definition"), ("failed", "✕", "failed"), ("missing", "", "not in the LUT")],
    )


def ratio_legend(colours: ColourRange) -> Html:
    labels = [f"B faster {times(colours.low)}×", "1×", f"{times(colours.high)}× B slower"]
    keys = [
        ("unsure", "1.0", "not significant, or intervals are unknown"),
        ("identity", "0", "skip, 0 in both"),
    ]
    return _legend(colours, labels, keys, "diverging")


def _legend(
    colours: ColourRange, labels: Sequence[str], keys: Sequence[tuple[str, str, str]], class_: str = ""
) -> Html:
    stops = ",".join(colour_at(colours.colour_map, step / _GRADIENT_STEPS) for step in range(_GRADIENT_STEPS + 1))
    bar = tag("span", class_="bar", style=f"background:linear-gradient(90deg,{stops})")
    ticks = tag("span", [tag("span", label) for label in labels], class_="ticks")
    swatches = [
        tag("span", [tag("span", text, class_=f"cell {state}", aria_hidden="true"), meaning], class_="key")
        for state, text, meaning in keys
    ]
    return tag("div", [tag("span", [bar, ticks], class_=f"scale {class_}".strip()), *swatches], class_="legend")
