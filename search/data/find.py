"""The data a person names: what comes along, is drawn or lies at a path; USAGE lists the forms."""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from lutbench.errors import UsageError
from lutbench.events import Event, Report
from lutbench.search.data.options import DataOptions

if TYPE_CHECKING:
    from lutbench.search.data.source import SplitSource


def _digits(rest: str | None, options: DataOptions, _report: Report) -> SplitSource:
    from lutbench.search.data.digits import digits

    if rest is not None:
        raise UsageError(f"digits takes nothing behind it, not {rest!r}", remedy="--data digits")
    return digits(options)


def _shapes(rest: str | None, options: DataOptions, report: Report) -> SplitSource:
    from lutbench.search.data.drawn import parse_size
    from lutbench.search.data.shapes_source import SHAPES, shapes

    return shapes(parse_size(rest, SHAPES, options.resolution), options, report)


def _glyphs(rest: str | None, options: DataOptions, report: Report) -> SplitSource:
    from lutbench.search.data.drawn import parse_size
    from lutbench.search.data.glyphs import GLYPHS, glyphs

    return glyphs(parse_size(rest, GLYPHS, options.resolution), options, report)


def _imagefolder(rest: str | None, options: DataOptions, report: Report) -> SplitSource:
    from lutbench.search.data.folder import imagefolder

    return imagefolder(_path(rest, "imagefolder:PATH"), options, report)


def _arrow(rest: str | None, options: DataOptions, report: Report) -> SplitSource:
    from lutbench.search.data.arrow import arrow

    return arrow(str(_path(rest, "hf:PATH")), options, report)


def _idx(rest: str | None, options: DataOptions, _report: Report) -> SplitSource:
    from lutbench.search.data.idx import idx

    return idx(_path(rest, "idx:FOLDER"), options)


def _fashion(rest: str | None, options: DataOptions, _report: Report) -> SplitSource:
    from lutbench.search.data.idx import fashion

    if rest is not None and not _COUNT.fullmatch(rest):
        raise UsageError(f"{rest!r} is no number of images", remedy="as in fashion-mnist:6000")
    return fashion(None if rest is None else int(rest), options)


KINDS: dict[str, Callable[[str | None, DataOptions, Report], SplitSource]] = {
    "digits": _digits,
    "shapes": _shapes,
    "glyphs": _glyphs,
    "fashion-mnist": _fashion,
    "idx": _idx,
    "imagefolder": _imagefolder,
    "hf": _arrow,
}
USAGE = "digits, shapes[:N@RES], glyphs[:N@RES], fashion-mnist[:N], idx:FOLDER, imagefolder:PATH or hf:PATH"
_COUNT = re.compile(r"\d{1,9}", re.ASCII)


def is_built_in(text: str) -> bool:
    """Whether the data come along, are drawn or lie where the system puts them, rather than at a path."""
    return text.strip().partition(":")[0] in ("digits", "shapes", "glyphs", "fashion-mnist")


def is_toy(text: str) -> bool:
    """Whether the data are there to try a search with, and tell little of photographs."""
    return text.strip().partition(":")[0] in ("digits", "shapes")


def _keep_quiet(_event: Event) -> None:
    pass


def find_data(text: str, options: DataOptions | None = None, report: Report = _keep_quiet) -> SplitSource:
    """The source that a text names; UsageError for none, DataError for one that cannot be used.

    Drawing shapes or checking a folder's images the first time takes a while; report hears how far it is.
    """
    check_kind(text)
    kind, colon, rest = text.strip().partition(":")
    return KINDS[kind](rest if colon else None, options or DataOptions(), report)


def check_kind(text: str) -> None:
    """UsageError for data of no known kind, before anything is loaded that reads them."""
    kind = text.strip().partition(":")[0]
    if kind not in KINDS:
        raise UsageError(f"no data is called {text!r}", remedy=f"{_hint(text, kind)}known: {USAGE}")


def _hint(text: str, kind: str) -> str:
    if _is_folder(text):
        return f"did you mean imagefolder:{text.strip()}? "
    near = difflib.get_close_matches(kind, KINDS, n=1, cutoff=0.4)
    return f"did you mean {near[0]}? " if near else ""


def _is_folder(text: str) -> bool:
    try:
        return bool(text.strip()) and Path(text.strip()).is_dir()
    except (OSError, ValueError):  # a name too long, or with a zero byte, is no path
        return False


def _path(rest: str | None, usage: str) -> Path:
    if not rest or "\0" in rest:
        raise UsageError("no path is given", remedy=f"--data {usage}")
    return Path(os.path.expanduser(rest))  # noqa: PTH111 - Path.expanduser raises for ~nobody
