"""The formats that can be imported, by name."""

from __future__ import annotations

import difflib
from collections.abc import Callable
from dataclasses import dataclass

from lutbench.errors import UsageError
from lutbench.lut.importers import fbnet_text, hw_nas_bench, nni, ofa
from lutbench.lut.importers.entry import Reading
from lutbench.lut.importers.plausible import UnitIs


@dataclass(frozen=True)
class Importer:
    """A format that is read.

    read: (bytes, path, select) -> Reading.
    unit: of its latencies.
    selects: what `--select` chooses, or "".
    unit_is: "stated" by the format's publisher, "usual" where others may write another, "open" where nobody says.
    of_space: read takes a space as well, for the rows do not say what they are.
    """

    read: Callable[..., Reading]
    unit: str
    selects: str = ""
    unit_is: UnitIs = "stated"
    of_space: bool = False


IMPORTERS: dict[str, Importer] = {
    "ofa": Importer(ofa.read, "ms"),
    "hw-nas-bench": Importer(hw_nas_bench.read, "ms", selects="the device"),
    "nni": Importer(nni.read, "us", selects="the op_dtype", unit_is="usual"),
    "fbnet-text": Importer(fbnet_text.read, "us", unit_is="open", of_space=True),
}


def find_importer(name: str) -> Importer:
    """The importer of a format; UsageError where there is none."""
    if name not in IMPORTERS:
        near = difflib.get_close_matches(name, IMPORTERS, n=1, cutoff=0.4)
        hint = f"did you mean {near[0]}? " if near else ""
        raise UsageError(f"no format is called {name!r}", remedy=f"{hint}there is {', '.join(IMPORTERS)}")
    return IMPORTERS[name]
