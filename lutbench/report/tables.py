"""Tables of operators that sort by their headers and filter by a text."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from lutbench.lut.row import Row
from lutbench.report.compare import Pair
from lutbench.report.html import Content, Html, tag
from lutbench.report.side import Side
from lutbench.report.text import NONE, interval, signed_percent, times

_TALL = 40  # rows from which a table scrolls in a box of its own, under its headers


@dataclass(frozen=True)
class Column:
    """A column of a table.

    title: may hold a unit. A numeric column sorts by data-value and is set to the right.
    """

    title: str
    is_numeric: bool = True


@dataclass(frozen=True)
class Value:
    """What a cell shows and, for a number, what it sorts by (NaN: none, sorted last).

    note: its tooltip.
    """

    text: Content
    number: float = math.nan
    note: str = ""


def sortable_table(name: str, caption: str, columns: Sequence[Column], rows: Sequence[Sequence[Value]]) -> Html:
    """A table; name is unique on the page. The first column heads its row."""
    head = [
        tag(
            "th",
            tag("button", column.title, type="button"),
            scope="col",
            class_="number" if column.is_numeric else None,
            data_sort="number" if column.is_numeric else "text",
        )
        for column in columns
    ]
    body = [tag("tr", [_cell(*pair, n == 0) for n, pair in enumerate(zip(columns, row, strict=True))]) for row in rows]
    table = tag(
        "table",
        [tag("caption", caption), tag("thead", tag("tr", head)), tag("tbody", body)],
        class_="data",
        id=name,
        data_roving=True,
    )
    is_tall = len(rows) > _TALL
    label = {"tabindex": "0", "role": "region", "aria_label": caption} if is_tall else {}
    return tag("div", table, class_="scroll tall" if is_tall else "scroll", **label)


def _cell(column: Column, value: Value, is_head: bool) -> Html:
    return tag(
        "th" if is_head else "td",
        value.text,
        scope="row" if is_head else None,
        class_="number" if column.is_numeric else None,
        data_value=f"{value.number:.9g}" if column.is_numeric and math.isfinite(value.number) else None,
        title=value.note or None,
    )


def filter_box(name: str) -> Html:
    """A text box that hides the rows of table name which do not hold its words, and says how many are left."""
    box = tag("input", type="search", id=f"{name}-filter", data_filter=name, placeholder="filter, such as k5 14x14",
              autocomplete="off", spellcheck="false")  # fmt: skip
    label = tag("label", ["Filter ", box], for_=f"{name}-filter")
    return tag("p", [label, tag("output", "", for_=f"{name}-filter", data_count=name)], class_="filter", data_js=True)


_TITLES = ("operator", "latency (µs)", "± (%)", "p10 (µs)", "p90 (µs)", "min (µs)", "samples", "rounds", "status")
_SAMPLED = ("p10 (µs)", "p90 (µs)", "min (µs)", "samples", "rounds")  # what only a measurement has


def operators_table(side: Side) -> Html:
    """Every row of the LUT; a column of samples only where it has a figure."""
    name = f"operators-{side.letter}"
    cells = [_row_cells(row, side) for row in side.lut.rows]
    shown = [title for title in _TITLES if title not in _SAMPLED or any(row[title].number > 0 for row in cells)]
    columns = [Column(title, is_numeric=title not in ("operator", "status")) for title in shown]
    rows = [[found[title] for title in shown] for found in cells]
    return Html(filter_box(name) + sortable_table(name, f"All operators of {side.name}", columns, rows))


def _row_cells(row: Row, side: Side) -> dict[str, Value]:
    """A row's cells by the titles of their columns."""
    return {
        "operator": Value(row.operator),
        "latency (µs)": _latency(row, interval(row, side.lut.metadata.provenance)),
        "± (%)": _half_width(row, side.target),
        "p10 (µs)": _figure(row.p10_us),
        "p90 (µs)": _figure(row.p90_us),
        "min (µs)": _figure(row.min_us),
        "samples": Value(str(row.samples), row.samples),
        "rounds": Value(str(row.rounds), row.rounds),
        "status": Value(row.status),
    }


def _figure(value_us: float) -> Value:
    return Value(f"{value_us:.2f}" if math.isfinite(value_us) else NONE, value_us)


def _latency(row: Row | None, note: str) -> Value:
    if row is None or not row.is_ok:
        return Value(NONE, note=note)
    return Value(f"{row.latency_us:.2f}", row.latency_us, note)


def _half_width(row: Row, target: float | None) -> Value:
    width = row.half_width
    if not math.isfinite(width):
        return Value(NONE)
    is_wide = target is not None and width > target
    text = f"{100 * width:.2f}"
    return Value(tag("span", text, class_="wide") if is_wide else text, width, "outside the target" if is_wide else "")


def compared_table(pairs: Sequence[Pair]) -> Html:
    """Every operator of either LUT with both latencies, their ratio and what it means."""
    name = "operators-compared"
    columns = (
        Column("operator", is_numeric=False),
        Column("A (µs)"),
        Column("B (µs)"),
        Column("B / A"),
        Column("difference"),
        Column("verdict", is_numeric=False),
    )
    rows = [
        (
            Value(pair.operator),
            _latency(pair.a, pair.notes[0]),
            _latency(pair.b, pair.notes[1]),
            Value(times(pair.ratio), pair.ratio),
            Value(signed_percent(pair.ratio - 1), pair.ratio - 1),
            Value(tag("span", pair.verdict, class_=_verdict_class(pair))),
        )
        for pair in pairs
    ]
    return Html(filter_box(name) + sortable_table(name, "All operators of A and B", columns, rows))


def _verdict_class(pair: Pair) -> str:
    if pair.is_significant:
        return "slower" if pair.ratio > 1 else "faster"
    return "quiet"
