"""The text table of public FBNet searches: a row per layer, a column per candidate of a space.

The first line names the columns as the FBNet model zoo does (`ir_k3_e1 ir_k3_s2 ... skip`) or as lutbench does; without
it they are in the order of the space's candidates, for FBNet that of its table 2. Words are parted by blanks, commas,
tabs or semicolons. The file says neither its unit nor the size of the image. Equal layers share one operator.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from lutbench.errors import LutError, SpaceError
from lutbench.lut.importers.entry import Collector, Reading, decode, known, printable
from lutbench.space.candidate import Candidate, parse_candidate
from lutbench.space.fbnet import FBNET, fbnet
from lutbench.space.macro import Space

_SHUFFLED = "_s2"  # the model zoo's word for expansion 1 with two groups
_DECIMAL_COMMA = re.compile(r"[+-]?\d*,\d+(?:[eE][+-]?\d+)?", re.ASCII)
_NO_LATENCY = ("-", "nan", "none", "null")  # where a layer has no such candidate

_Words = list[str]


def read(data: bytes, path: Path, select: str, space: Space | None = None) -> Reading:
    """A latency for each layer of the space and each of its candidates; select must be empty: it is one device's."""
    del select
    space = space or fbnet(FBNET.resolution, 1.0)
    text = decode(data, path)
    lines = [(number, line) for number, line in enumerate(text.split("\n"), 1) if line.strip(' ,;\t"[]')]
    lines = [(number, line) for number, line in lines if not line.lstrip().startswith("#")]
    candidates = _candidates(space)
    columns: Sequence[Candidate | None] = candidates
    found = Collector()
    named = bool(lines) and re.search(r"[A-Za-z]{2}", _plain(lines[0][1])) is not None
    if named:
        columns = _columns(*lines.pop(0), space, path, found)
    rows = _without_index([(number, _words(line, len(columns))) for number, line in lines], len(columns))
    if len(rows) != len(space.layers):
        raise LutError(
            f"has {len(rows)} rows of latencies where {_title(space)} has {len(space.layers)} layers",
            path=path,
            remedy="is it of another space? --space FILE says of which",
        )
    for (line, words), layer in zip(rows, space.layers, strict=True):
        if len(words) != len(columns):
            raise LutError(
                f"{len(words)} latencies where there are {len(columns)} candidates",
                path=path,
                line=line,
                remedy="is it of another space? --space FILE says of which",
            )
        for candidate, word in zip(columns, words, strict=True):
            if candidate is None:
                continue
            key = f"layer {layer.index + 1} {candidate}"
            if candidate in layer.candidates:
                operator = known(lambda layer=layer, candidate=candidate: layer.operator(candidate))  # type: ignore[misc]
                found.add(key, operator, word)
            elif word.lower() not in _NO_LATENCY:
                found.leave_out(key, f"the layer has no candidate {candidate}")
    return Reading(tuple(found.entries), tuple(found.left_out), names_columns=named)


def _candidates(space: Space) -> tuple[Candidate, ...]:
    """The space's own, then those that a stage has beside them."""
    return tuple(dict.fromkeys([*space.candidates, *(c for layer in space.layers for c in layer.candidates)]))


def _plain(line: str) -> str:
    return re.sub(r"['\"\[\]()]", " ", line)


def _words(line: str, expected: int) -> _Words:
    """A line's words. Commas part them, or are decimal commas: whichever gives as many words as there are columns."""
    text = _plain(line)
    if ";" in text or "\t" in text:
        cells = re.split(r"[;\t]", text)
        while cells and not cells[-1].strip():
            cells.pop()
        words = [cell.strip() for cell in cells]
        return [word.replace(",", ".") if _DECIMAL_COMMA.fullmatch(word) else word for word in words]
    parted, blanks = text.replace(",", " ").split(), text.split()
    has_commas = all(_DECIMAL_COMMA.fullmatch(word) or word.isdecimal() for word in blanks)
    if has_commas and len(parted) != expected and len(blanks) in (expected, expected + 1):
        return [word.replace(",", ".") for word in blanks]
    return parted


def _without_index(rows: list[tuple[int, _Words]], columns: int) -> list[tuple[int, _Words]]:
    """The rows without a first column that only counts them, as data frames are written."""
    first = [words[0] for _, words in rows if len(words) == columns + 1]
    counts = [[str(start + n) for n in range(len(rows))] for start in (0, 1)]
    return [(line, words[1:]) for line, words in rows] if first in counts else rows


def _title(space: Space) -> str:
    return "FBNet" if space.name == FBNET.name else space.name


def zoo_name(candidate: Candidate) -> str:
    """What the FBNet model zoo calls a candidate."""
    return "skip" if candidate.is_skip else f"ir_{candidate.name.replace('_e1_g2', _SHUFFLED)}"


def _columns(line: int, text: str, space: Space, path: Path, left: Collector) -> tuple[Candidate | None, ...]:
    """What each column is of; None for one that is no candidate of the space, which is left out by its name."""
    candidates = _candidates(space)
    known_names = {**{candidate.name: candidate for candidate in candidates}, **{zoo_name(c): c for c in candidates}}
    words = re.sub(r"[,;]", " ", _plain(text)).split()
    found = [known_names.get(word) or _parsed(word, candidates) for word in words]
    unknown = [word for word, candidate in zip(words, found, strict=True) if candidate is None]
    known_ones = [candidate for candidate in found if candidate is not None]
    names = ", ".join(map(zoo_name, candidates))
    if not known_ones:
        raise LutError(
            f"column {printable(unknown[0])!r} is none of {_title(space)}'s candidates",
            path=path,
            line=line,
            remedy=f"known: {names}; --space FILE says another space",
        )
    if len(set(known_ones)) != len(known_ones) or (not unknown and len(known_ones) != len(candidates)):
        raise LutError(
            f"the columns are not {_title(space)}'s {len(candidates)} candidates, each once", path=path, line=line
        )
    for word in unknown:
        left.leave_out(f"column {word}", f"it is none of {_title(space)}'s candidates ({names})")
    return tuple(found)


def _parsed(word: str, candidates: Sequence[Candidate]) -> Candidate | None:
    try:
        found = parse_candidate(word)
    except SpaceError:
        return None
    return found if found in candidates else None
