"""The HTML page about one LUT or two: one file that opens without a network."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path

from lutbench.errors import UsageError
from lutbench.files import write_atomically
from lutbench.lut.table import Lut
from lutbench.report.additivity import find_additivity
from lutbench.report.charts.style import COLOURS
from lutbench.report.head import page_head, title
from lutbench.report.html import Html, tag
from lutbench.report.sections import (
    additivity_section,
    maps_section,
    nets_section,
    operators_section,
    quality_section,
    tables_section,
)
from lutbench.report.side import Side, sides_of

# nothing but what the page holds itself: a page that asked for more would show nothing of it
_POLICY = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; img-src data:"
_MOST_LUTS = 2


def write_report(luts: Sequence[Lut], path: Path) -> None:
    """Writes the page about one LUT, or about two and how they differ; the same LUTs give the same bytes.

    UsageError for another number of LUTs, LutError where a LUT's file of verified nets is damaged, OutputError where
    the page cannot be written.
    """
    write_atomically(path, page(luts).encode("utf-8"))


def page(luts: Sequence[Lut]) -> Html:
    """The page's text."""
    if not 1 <= len(luts) <= _MOST_LUTS:
        raise UsageError(f"a report is about one LUT or two, not {len(luts)}")
    sides = sides_of(luts)
    evidence = [find_additivity(side) for side in sides]
    sections = [
        ("map", "Layers and candidates", _MAP_LEAD if any(side.spaces for side in sides) else "", maps_section(sides)),
        *([("operators", "Operators side by side", "", operators_section(sides))] if len(sides) > 1 else []),
        ("nets", "Published nets", _NETS_LEAD, nets_section(sides)),
        ("additivity", "Do sums of operators predict whole nets?", "", additivity_section(sides, evidence)),
        ("quality", "Quality", "", quality_section(sides)),
        ("table", "All operators", _TABLE_LEAD, tables_section(sides)),
    ]
    body = [
        _bar([(name, heading) for name, heading, _, _ in sections]),
        tag("main", [page_head(sides, evidence), *(_section(*section) for section in sections)]),
        tag("div", "", id="tip", role="tooltip", hidden=True),
        tag("script", Html(_resource("page.js"))),
    ]
    return Html("<!doctype html>\n" + tag("html", [_head(sides), tag("body", body)], lang="en") + "\n")


_MAP_LEAD = (
    "One row per layer, one column per candidate. Hover over a cell, or walk with the arrow keys, for its interval."
)
_NETS_LEAD = "What the table predicts for the nets of the FBNet paper."
_TABLE_LEAD = "A click on a header sorts; a second one turns the order round."


def _head(sides: Sequence[Side]) -> Html:
    return tag(
        "head",
        [
            tag("meta", charset="utf-8"),
            tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
            tag("meta", http_equiv="Content-Security-Policy", content=_POLICY),
            tag("meta", name="color-scheme", content="light dark"),
            tag("link", rel="icon", href="data:,"),
            tag("title", f"{title(sides)} – lutbench report"),
            tag("style", Html(_variables() + _resource("page.css"))),
        ],
    )


def _variables() -> str:
    """The themes' colours as CSS variables: the light theme, and the dark one where asked for or preferred."""
    light, dark = ("".join(f"--{name}:{pair[number]};" for name, pair in COLOURS.items()) for number in range(2))
    return (
        f":root{{{light}color-scheme:light}}\n"
        f"@media screen{{:root[data-theme=dark]{{{dark}color-scheme:dark}}\n"
        f"@media (prefers-color-scheme:dark){{:root:not([data-theme=light]){{{dark}color-scheme:dark}}}}}}\n"
    )


def _bar(sections: Sequence[tuple[str, str]]) -> Html:
    links = [tag("a", _SHORT.get(name, heading), href=f"#{name}") for name, heading in sections]
    toggle = tag(
        "button", "Dark", type="button", id="theme", data_js=True, aria_label="Switch between light and dark theme"
    )
    return tag("nav", [tag("div", [tag("span", links, class_="links"), toggle])], aria_label="Sections")


_SHORT = {
    "map": "Map",
    "operators": "Side by side",
    "nets": "Nets",
    "additivity": "Additivity",
    "quality": "Quality",
    "table": "All operators",
}


def _section(name: str, heading: str, lead: str, content: Html) -> Html:
    paragraph = tag("p", lead, class_="lead") if lead else ""
    return tag("section", [tag("h2", heading, id=f"{name}-heading"), paragraph, content], id=name,
               aria_labelledby=f"{name}-heading")  # fmt: skip


def _resource(name: str) -> str:
    return (files("lutbench.report") / name).read_text(encoding="utf-8")
