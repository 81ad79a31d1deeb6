"""The formats that can be imported, by name."""

from __future__ import annotations

import difflib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from lutbench.errors import UsageError
from lutbench.lut.importers import fbnet_text, hw_nas_bench, nni, ofa
from lutbench.lut.importers.entry import Reading


@dataclass(frozen=True)
class Importer:
    """read: (bytes, path, select) -> Reading; unit: of its latencies; selects: what `--select` chooses, or ""."""

    read: Callable[[bytes, Path, str], Reading]
    unit: str
    selects: str = ""


IMPORTERS: dict[str, Importer] = {
    "ofa": Importer(ofa.read, "ms"),
    "hw-nas-bench": Importer(hw_nas_bench.read, "ms", selects="the device"),
    "nni": Importer(nni.read, "us", selects="the op_dtype"),
    "fbnet-text": Importer(fbnet_text.read, "us"),
}


def find_importer(name: str) -> Importer:
    """The importer of a format; UsageError where there is none."""
    if name not in IMPORTERS:
        near = difflib.get_close_matches(name, IMPORTERS, n=1, cutoff=0.4)
        hint = f"did you mean {near[0]}? " if near else ""
        raise UsageError(f"no format is called {name!r}", remedy=f"{hint}there is {', '.join(IMPORTERS)}")
    return IMPORTERS[name]
