"""The spaces a user asks for by name or file, at every resolution and width."""

from __future__ import annotations

import difflib
import re
from collections.abc import Sequence
from functools import cache
from importlib.resources import files
from pathlib import Path

from lutbench.errors import SpaceFileError, UsageError
from lutbench.reading.kinds import SPACE
from lutbench.reading.plain import show
from lutbench.reading.text import read_text
from lutbench.space.fbnet import FBNET, fbnet
from lutbench.space.file import parse_space
from lutbench.space.macro import Space

_FILES = ("fbnet-cifar", "fbnetv2", "proxyless", "ofa-mobilenetv3", "mobilenetv4-conv", "spos-shufflenet")
SPACES = (FBNET.name, *_FILES)  # that come along; all but FBNet's own are files in spaces/


@cache
def known_space(name: str) -> Space:
    """A space that comes along, at its own resolution and width 1."""
    if name == FBNET.name:
        return FBNET
    path = Path(f"{name}.toml")
    return parse_space((files("lutbench.space") / "spaces" / path.name).read_text("utf-8"), path)


def find_spaces(name: str, resolutions: Sequence[int], widths: Sequence[float]) -> tuple[tuple[Space, ...], str]:
    """The spaces at each resolution and width, and the TOML text that defines them ("" for one that comes along).

    name: what a person wrote: a known space or a TOML file.
    resolutions: none means the space's own.
    """
    if name in SPACES or not (name.endswith(".toml") or _exists(name)):
        return kept_spaces(name, resolutions, widths), ""
    path = Path(name)
    definition = read_text(path, SPACE)
    base = parse_space(definition, path)
    if base.name in SPACES:
        raise SpaceFileError(f"the name {base.name!r} belongs to a space that comes along", path=path)
    return _scaled(base, resolutions, widths), definition


def kept_spaces(
    name: str, resolutions: Sequence[int], widths: Sequence[float], definition: str = ""
) -> tuple[Space, ...]:
    """The spaces of a name and definition that a file has kept: the name is never taken for a file's.

    UsageError where it is none that comes along and there is no definition, SpaceFileError where that is not right.
    """
    if definition:
        return _scaled(parse_space(definition, Path("definition")), resolutions, widths)
    if name not in SPACES:
        near = difflib.get_close_matches(name[:64], SPACES, n=1, cutoff=0.4)
        hint = f"did you mean {near[0]}? " if near else ""
        raise UsageError(
            f"no space is called {show(name)}", remedy=f"{hint}known: {', '.join(SPACES)}, or a .toml file"
        )
    if name == FBNET.name:
        return tuple(fbnet(r, w) for r in resolutions or (FBNET.resolution,) for w in widths)
    return _scaled(known_space(name), resolutions, widths)


def space_of_net(name: str, resolution: int, width: float, candidates: str, definition: str = "") -> Space:
    """The space that a file's net is of: one that leaves the resolution open where the candidates begin with theirs."""
    leaves_open = re.match(r"r\d{1,5}\b", candidates) is not None
    (found,) = kept_spaces(name, () if leaves_open else (resolution,), (width,), definition)
    return found


def _scaled(base: Space, resolutions: Sequence[int], widths: Sequence[float]) -> tuple[Space, ...]:
    return tuple(base.scaled(r, w) for r in resolutions or (base.resolution,) for w in widths)


def _exists(name: str) -> bool:
    try:
        return Path(name).exists()
    except (OSError, ValueError):  # a name too long, or with a zero byte, is no path
        return False
