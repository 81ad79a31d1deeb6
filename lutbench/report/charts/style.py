"""How charts look, and how they become SVG on a page or files.

A chart is drawn in the colours of the light theme. On a page each colour becomes the CSS variable of its name, so that
the chart follows the page's theme; in a file it stays as it is.
"""

from __future__ import annotations

import functools
import io
import re
import warnings
from collections.abc import Callable, Sequence
from html import unescape
from pathlib import Path
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

from lutbench.errors import UsageError
from lutbench.files import write_atomically
from lutbench.report.html import Html, attribute, join, plain

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.collections import PathCollection
    from matplotlib.figure import Figure

# name -> (light theme, dark theme); every pair reads on its theme's surface, and series differ in lightness too
COLOURS = {
    "surface": ("#ffffff", "#161a20"),
    "ink": ("#1b2027", "#e6e9ed"),
    "muted": ("#5a636e", "#a0a9b5"),
    "line": ("#d9dde2", "#343b45"),
    "band": ("#f4f5f7", "#1d222a"),
    "a": ("#1f5fa8", "#6db0f2"),
    "b": ("#ad500d", "#f0a35e"),
    "k1": ("#6f7782", "#98a1ad"),
    "k3": ("#4c8fc9", "#5d9fd8"),
    "k5": ("#e09a3a", "#e6a54b"),
    "k7": ("#8a5fa8", "#b08ccb"),
    "bad": ("#b3261e", "#ff8a80"),
    "warn": ("#b07d00", "#d6a531"),
    "warn-soft": ("#fff6dc", "#332a12"),
    "slower": ("#9a4a06", "#f2a868"),
    "faster": ("#553d92", "#bba8ee"),
}
FONT = "DejaVu Sans"  # comes with matplotlib: the same picture everywhere
PNG_DPI = 160
FORMATS = (".png", ".svg")
_TIP = "tip:"  # matplotlib gives a point a link; it becomes the point's tooltip
_TIPPED = re.compile(rf"""<a xlink:href=(["']){_TIP}(.*?)\1[^>]*>(.*?)</a>""", re.DOTALL)

_RC: dict[str, Any] = {
    "svg.fonttype": "none",
    "text.parse_math": False,  # a device may have a $ in its name
    "font.family": "sans-serif",
    "font.sans-serif": [FONT],
    "font.size": 9,
    "axes.titlesize": 9.5,
    "axes.titlelocation": "left",
    "axes.titlepad": 8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.linewidth": 0.8,
    "axes.axisbelow": True,
    "grid.linewidth": 0.7,
    "hatch.linewidth": 0.8,
    "legend.frameon": False,
    "path.simplify": False,
}

_P = ParamSpec("_P")
_R = TypeVar("_R")


def colour(name: str) -> str:
    """The colour as charts are drawn: that of the light theme."""
    return COLOURS[name][0]


def _themed_rc() -> Any:
    ink, muted, line, surface = colour("ink"), colour("muted"), colour("line"), colour("surface")
    return _RC | {
        "text.color": ink,
        "axes.labelcolor": muted,
        "axes.titlecolor": ink,
        "axes.edgecolor": line,
        "axes.facecolor": surface,
        "figure.facecolor": surface,
        "xtick.color": line,
        "ytick.color": line,
        "xtick.labelcolor": muted,
        "ytick.labelcolor": muted,
        "grid.color": line,
    }


def styled(draw: Callable[_P, _R]) -> Callable[_P, _R]:
    """Makes a drawing function use this style, and leaves matplotlib's settings as they were."""

    @functools.wraps(draw)
    def drawn(*arguments: _P.args, **keywords: _P.kwargs) -> _R:
        import matplotlib as mpl

        with mpl.rc_context(_themed_rc()), warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="Glyph .* missing from font")
            return draw(*arguments, **keywords)

    return drawn


def new_figure(width_in: float, height_in: float) -> Figure:
    """A figure without pyplot, which would keep it alive."""
    from matplotlib.figure import Figure

    return Figure(figsize=(width_in, height_in), layout="constrained")


def light_grid(axes: Axes, axis: str = "both") -> None:
    axes.grid(visible=True, axis=axis)  # type: ignore[arg-type]
    axes.tick_params(length=0)


def set_tips(points: PathCollection, texts: Sequence[str]) -> None:
    """A text for each point of a scatter: a tooltip on a page and in an SVG file."""
    points.set_urls([_TIP + text for text in texts])


def save(figure: Figure, path: Path) -> None:
    """Writes the chart as PNG or SVG, by the suffix; the same chart gives the same bytes."""
    kind = check_format(path)
    data = _render(figure, kind, path.stem)
    if kind == "svg":
        text = _TIPPED.sub(lambda m: f"<g><title>{join(unescape(m[2]))}</title>{m[3]}</g>", plain(data.decode("utf-8")))
        data = text.encode("utf-8")
    write_atomically(path, data)


def check_format(path: Path) -> str:
    """png or svg; UsageError for another suffix."""
    if path.suffix.lower() not in FORMATS:
        raise UsageError(
            f"{path.suffix or 'no suffix'} is not a format of pictures",
            path=path,
            remedy=f"end the name in {' or '.join(FORMATS)}",
        )
    return path.suffix.lower().removeprefix(".")


@styled
def _render(figure: Figure, kind: str, salt: str) -> bytes:
    import matplotlib as mpl

    data = io.BytesIO()
    nothing = {"svg": ("Date", "Creator", "Format", "Type"), "png": ("Software",)}[kind]
    with mpl.rc_context({"svg.hashsalt": salt}):
        figure.savefig(data, format=kind, dpi=PNG_DPI, metadata=dict.fromkeys(nothing))
    return data.getvalue()


def inline_svg(figure: Figure, name: str, description: str, natural: bool = False) -> Html:
    """The chart as an <svg> element of a page, in the page's colours and font.

    name: unique on the page; every id begins with it.
    description: what a screen reader says.
    natural: where there is no room for it, it scrolls instead of becoming smaller.
    """
    text = plain(_render(figure, "svg", name).decode("utf-8"))
    text = text[text.index("<svg") :]
    text = re.sub(r"<!--.*?-->|<(metadata|style)\b.*?</\1>", "", text, flags=re.DOTALL)
    text = _TIPPED.sub(lambda m: f'<g data-tip="{attribute(unescape(m[2]))}">{m[3]}</g>', text)
    text = re.sub(r'(\sid="|href="#|url\(#)', rf"\1{name}-", text.replace("xlink:href=", "href="))
    text = text.replace(f"'{FONT}'", "var(--font)")
    for key, (light, _) in COLOURS.items():
        text = text.replace(light, f"var(--{key})")
    width_pt, height_pt = (float(inches) * 72 for inches in figure.get_size_inches())
    size = f"min-width:{width_pt:.0f}px" if natural else f"max-width:{width_pt / 0.75 * 1.15:.0f}px"
    head = (
        f'<svg class="chart{" natural" if natural else ""}" viewBox="0 0 {width_pt:g} {height_pt:g}" style="{size}"'
        f' role="img" aria-label="{attribute(description)}">'
    )
    return Html(head + re.sub(r"\n\s*", "\n", text[text.index(">") + 1 :]).strip())
