"""A user's space as a LUT keeps it: the text of its file, and what the blocks of their own code and files counted."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from lutbench.reading.kinds import SPACE
from lutbench.reading.toml_text import parse_toml

_HEADER = "[counts]"


class Counted(NamedTuple):
    """What a block of somebody's own counts.

    macs, params: multiply-accumulates of one image, and parameters.
    made_of: how it was told, a colon, and a digest that another block's differs from; none in older LUTs.
    """

    macs: int
    params: int
    made_of: str = ""

    def is_other(self, found: Counted) -> bool:
        """Whether the two are surely not of one block; digests that were told in other ways do not compare."""
        if (self.macs, self.params) != (found.macs, found.params):
            return True
        (how, _, digest), (found_how, _, found_digest) = (one.made_of.rpartition(":") for one in (self, found))
        return how == found_how and digest != found_digest


Counts = Mapping[str, Counted]  # by an operator's name


def read_counted(raw: Any) -> Counted | None:
    """What a list of a definition's table says; None where it cannot."""
    if not isinstance(raw, list) or not 2 <= len(raw) <= 3:
        return None
    macs, params, *rest = raw
    whole = all(isinstance(figure, int) and not isinstance(figure, bool) and figure >= 0 for figure in (macs, params))
    if not whole or not all(isinstance(text, str) for text in rest):
        return None
    return Counted(macs, params, *rest)


def with_counts(definition: str, counts: Counts) -> str:
    """The definition with these counts in the place of its own."""
    lines = [
        f"{json.dumps(name)} = {json.dumps([one for one in counted if one != ''])}"
        for name, counted in sorted(counts.items())
    ]
    return "\n".join([_text(definition), "", _HEADER, *lines, ""])


def counts_of(definition: str) -> dict[str, Counted]:
    """The counts that a definition keeps."""
    tail = definition[len(_text(definition)) :]
    raw = parse_toml(tail, Path("definition"), SPACE).get("counts", {})
    return {name: counted for name, figures in raw.items() if (counted := read_counted(figures))}


def others(counts: Counts, found: Counts) -> list[str]:
    """The operators of both that are not of one block."""
    return sorted(name for name in counts.keys() & found.keys() if counts[name].is_other(found[name]))


def joined(definitions: list[str]) -> str:
    """The first definition with the counts of all."""
    counts = {name: one for text in reversed(definitions) for name, one in counts_of(text).items()}
    return with_counts(definitions[0], counts) if counts else definitions[0]


def _text(definition: str) -> str:
    """What the user wrote."""
    return definition.split(f"\n{_HEADER}\n")[0].rstrip("\n")
