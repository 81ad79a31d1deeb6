"""How good a LUT's numbers are: what the measuring said of itself."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lutbench.report.charts.intervals import draw_intervals
from lutbench.report.charts.style import inline_svg
from lutbench.report.html import Html, tag
from lutbench.report.side import Side
from lutbench.report.text import (
    NONE,
    has_interval,
    latency,
    number,
    percent,
    plural,
    signed_percent,
    table,
    value,
)
from lutbench.units import format_seconds

_AFTER = "_after"
_UNITS = {"khz": "kHz", "mhz": "MHz", "c": "°C", "bytes": "bytes", "mib": "MiB", "1min": "1 min"}
_WIDEST_SHOWN = 12


def quality_of(side: Side) -> Html:
    """Intervals, failed rows, the machine's behaviour and the environment of one LUT."""
    meta = side.lut.metadata
    return tag(
        "div",
        [
            tag("h3", side.name) if side.is_pair else "",
            tag("div", [_intervals(side), _rows_outside(side), _failed(side)]),
            tag("div", [_facts(side), _origin(meta.origin), _canaries(meta.quality), _environment(side)]),
        ],
        class_="column",
    )


def _intervals(side: Side) -> Html:
    if not side.half_widths:
        return tag("p", "No row has an interval: there is nothing to say about how uncertain they are.", class_="quiet")
    widths = sorted(side.half_widths)
    middle, widest = widths[len(widths) // 2], widths[-1]
    description = (
        f"Histogram of the half-widths of {len(widths)} intervals: median {percent(middle, 2)}, widest"
        f" {percent(widest)}."
    )
    return tag("figure", inline_svg(draw_intervals(side), f"intervals-{side.letter}", description))


def _facts(side: Side) -> Html:
    quality = side.lut.metadata.quality
    found: dict[str, str] = {}
    if side.half_widths:
        widths = sorted(side.half_widths)
        found["median half-width"] = percent(widths[len(widths) // 2], 2)
    if side.within_target is not None:
        found["rows within target"] = f"{percent(side.within_target)} of {len(side.measured_rows)}"
    for key, name in (("rounds", "rounds"), ("disturbed_share", "samples disturbed, not counted")):
        figure = number(quality, key)
        if figure is not None:
            found[name] = percent(figure) if key == "disturbed_share" else f"{figure:.0f}"
    runtime_s, wall_s = number(quality, "runtime_s"), number(quality, "wall_s")
    if wall_s is not None:
        inside = f", {format_seconds(runtime_s)} of it inside the runtime" if runtime_s is not None else ""
        found["time taken"] = format_seconds(wall_s) + inside
    found["prediction of a net"] = _prediction(side)
    return tag(
        "dl", [part for name, text in found.items() for part in (tag("dt", name), tag("dd", text))], class_="facts"
    )


def _prediction(side: Side) -> str:
    """The sum that gives a net's latency."""
    context = side.lut.metadata.context
    if side.lut.metadata.provenance == "imported":
        return "plain sum of the rows: the source has no empty graph"
    if side.lut.metadata.provenance == "estimated" and (context.scale, context.operator_us) == (1.0, 0.0):
        return "overhead + sum of (row − overhead)"
    row = "row" if context.chains else "(row − overhead)"
    fitted = f"({context.operator_us:.2f} µs + {context.scale:.3f} × {row})"
    if context.chains:
        return f"overhead + sum of {fitted}; rows are slopes of chains of copies"
    before = f"{context.depth} others before each" if context.depth else "one by one"
    return f"overhead + sum of {fitted}; operators timed {before}"


def _rows_outside(side: Side) -> Html:
    """Rows wider than the target, the widest first."""
    target = side.target
    if target is None:
        return Html("")
    rows = [row for row in side.measured_rows if has_interval(row) and row.half_width > target]
    if not rows:
        return Html("")
    rows.sort(key=lambda row: -row.half_width)
    items = [tag("li", [tag("code", row.operator), f" ±{percent(row.half_width)}"]) for row in rows[:_WIDEST_SHOWN]]
    more = len(rows) - _WIDEST_SHOWN
    rest = [tag("li", f"and {more} more, in the table of operators")] if more > 0 else []
    head = f"{plural(len(rows), 'row')} outside the target of ±{100 * target:g} %"
    return tag("details", [tag("summary", head), tag("ul", [*items, *rest])])


def _failed(side: Side) -> Html:
    rows = [row for row in side.lut.rows if not row.is_ok]
    if not rows:
        return Html("")
    items = [tag("li", [tag("code", row.operator), f" {row.status}"]) for row in rows]
    return tag(
        "details", [tag("summary", f"{plural(len(rows), 'row')} failed"), tag("ul", items)], open=True, class_="bad"
    )


def _origin(origin: Mapping[str, Any]) -> Html:
    """Where the rows of an estimated or imported LUT come from; its nets are drawn, and are left out here."""
    shown = {_words(key): text for key, found in origin.items() if key != "nets" and (text := value(found))}
    if not shown:
        return Html("")
    rows = [tag("tr", [tag("th", name, scope="row"), tag("td", text)]) for name, text in shown.items()]
    columns = {"": False, "as stated in the LUT": False}
    return tag("details", [tag("summary", "Where the rows come from"), _table("", columns, rows)])


def _canaries(quality: Mapping[str, Any]) -> Html:
    """What watched the device while it was measured: its latency when quiet, and how far it drifted."""
    latencies, drifts = table(quality, "canary_us"), table(quality, "canary_drift")
    if not latencies:
        return Html("")
    rows = []
    for name in latencies:
        quiet_us, drift = number(latencies, name), number(drifts, name)
        cells = [
            latency(quiet_us) if quiet_us is not None else NONE,
            signed_percent(drift) if drift is not None else NONE,
        ]
        rows.append(tag("tr", [tag("th", name, scope="row"), *(tag("td", cell, class_="number") for cell in cells)]))
    columns = {"canary": False, "when quiet": True, "drift": True}
    return _table("Canaries: what watched the device during the run", columns, rows)


def _environment(side: Side) -> Html:
    """The device's state before the run, and after it where that differs."""
    environment = side.lut.metadata.environment
    if not environment:
        is_measured = side.lut.metadata.provenance == "measured"
        text = "The LUT says nothing about the environment it was measured in."
        return tag("p", text, class_="quiet") if is_measured else Html("")
    rows = [
        tag("tr", [tag("th", _words(key), scope="row"), tag("td", value(found)), tag("td", _after(environment, key))])
        for key, found in environment.items()
        if not (key.endswith(_AFTER) and key.removesuffix(_AFTER) in environment)
    ]
    return _table("Environment", dict.fromkeys(("", "before", "after, if changed"), False), rows)


def _after(environment: Mapping[str, Any], key: str) -> str:
    changed = environment.get(key + _AFTER)
    return "" if changed is None else value(changed)


def _words(key: str) -> str:
    """max_frequency_khz as: max frequency (kHz)."""
    stem, _, unit = key.rpartition("_")
    words = f"{stem} ({_UNITS[unit]})" if stem and unit in _UNITS else key
    return words.replace("_", " ")


def _table(caption: str, columns: Mapping[str, bool], rows: list[Html]) -> Html:
    """columns: name -> whether it holds numbers; "" for a column without a head."""
    heads = [
        tag("th", name, scope="col", class_="number" if is_numeric else None) if name else tag("td")
        for name, is_numeric in columns.items()
    ]
    parts = [tag("caption", caption) if caption else "", tag("thead", tag("tr", heads)), tag("tbody", rows)]
    return tag("div", tag("table", parts, class_="plain"), class_="scroll")
