"""The text table of public FBNet searches: 22 rows (layers) of 9 columns (candidates), microseconds.

The first line names the columns as the FBNet model zoo does (`ir_k3_e1 ir_k3_s2 ... skip`); without it the columns are
in the order of FBNet's table 2, which is that of lutbench.space.fbnet.CANDIDATES. Equal layers share one operator.
"""

from __future__ import annotations

from pathlib import Path

from lutbench.errors import LutError
from lutbench.lut.importers.entry import Collector, Reading, decode, known, printable
from lutbench.space.candidate import Candidate
from lutbench.space.fbnet import CANDIDATES, FBNET, fbnet

_SHUFFLED = "_s2"  # the model zoo's word for expansion 1 with two groups


def _zoo_name(candidate: Candidate) -> str:
    return "skip" if candidate.is_skip else f"ir_{candidate.name.replace('_e1_g2', _SHUFFLED)}"


_COLUMNS = {**{candidate.name: candidate for candidate in CANDIDATES}, **{_zoo_name(c): c for c in CANDIDATES}}


def read(data: bytes, path: Path, select: str) -> Reading:
    """A latency for each layer and candidate; select must be empty: the file is of one device."""
    del select
    lines = [(number, line.replace(",", " ").split()) for number, line in enumerate(decode(data, path).split("\n"), 1)]
    lines = [(number, words) for number, words in lines if words]
    layers = fbnet(FBNET.resolution, 1.0).layers
    columns = CANDIDATES
    if lines and not _is_number(lines[0][1][0]):
        columns = _columns(*lines.pop(0), path)
    if len(lines) != len(layers):
        raise LutError(f"has {len(lines)} rows of latencies where FBNet has {len(layers)} layers", path=path)
    found = Collector()
    for (line, words), layer in zip(lines, layers, strict=True):
        if len(words) != len(columns):
            raise LutError(f"{len(words)} latencies where there are {len(columns)} candidates", path=path, line=line)
        for candidate, word in zip(columns, words, strict=True):
            operator = known(lambda layer=layer, candidate=candidate: layer.operator(candidate))  # type: ignore[misc]
            found.add(f"layer {layer.index + 1} {candidate}", operator, word)
    return Reading(tuple(found.entries), tuple(found.left_out))


def _columns(line: int, words: list[str], path: Path) -> tuple[Candidate, ...]:
    for word in words:
        if word not in _COLUMNS:
            names = ", ".join(_zoo_name(candidate) for candidate in CANDIDATES)
            raise LutError(
                f"column {printable(word)!r} is none of FBNet's candidates",
                path=path,
                line=line,
                remedy=f"known: {names}",
            )
    columns = tuple(_COLUMNS[word] for word in words)
    if len(set(columns)) != len(CANDIDATES) or len(columns) != len(CANDIDATES):
        raise LutError(f"the columns are not FBNet's {len(CANDIDATES)} candidates, each once", path=path, line=line)
    return columns


def _is_number(word: str) -> bool:
    try:
        float(word)
    except ValueError:
        return False
    return True
