"""The spaces a user asks for by name or file, at every resolution and width."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Sequence
from pathlib import Path

from lutbench.errors import SpaceFileError, UsageError
from lutbench.space.fbnet import FBNET, fbnet
from lutbench.space.file import parse_space, read_space
from lutbench.space.macro import Space

SPACES: dict[str, tuple[int, Callable[[int, float], Space]]] = {"fbnet": (FBNET.resolution, fbnet)}


def find_spaces(
    name: str, resolutions: Sequence[int], widths: Sequence[float], definition: str = ""
) -> tuple[tuple[Space, ...], str]:
    """The spaces at each resolution and width, and the TOML text that defines them ("" for one that comes along).

    name: a known space or a TOML file. definition: the text itself, where a LUT has kept it.
    resolutions: none means the space's own.
    """
    if not definition and name in SPACES:
        own, build = SPACES[name]
        return tuple(build(r, w) for r in resolutions or (own,) for w in widths), ""
    if definition:
        base = parse_space(definition, Path(name))
    elif name.endswith(".toml") or Path(name).exists():
        path = Path(name)
        base, definition = read_space(path), path.read_text(encoding="utf-8")
        if base.name in SPACES:
            raise SpaceFileError(f"the name {base.name!r} belongs to a space that comes along", path=path)
    else:
        near = difflib.get_close_matches(name, SPACES, n=1, cutoff=0.4)
        hint = f"did you mean {near[0]}? " if near else ""
        raise UsageError(f"no space is called {name!r}", remedy=f"{hint}known: {', '.join(SPACES)}, or a .toml file")
    return tuple(base.scaled(r, w) for r in resolutions or (base.resolution,) for w in widths), definition
