"""How long a space takes to measure on a device, from what measuring others there took."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from lutbench.errors import LutError
from lutbench.lut.file import read_lut
from lutbench.lut.table import Lut


@dataclass(frozen=True)
class HowLong:
    """An estimate, and what it rests on: a LUT, and what that one's operators took."""

    seconds: float
    lut: Path
    operators: int
    took_s: float
    measured_with: str


def how_long(operators: int, device: str, usual: Path) -> HowLong | None:
    """What so many operators take on a device, from the last of its LUTs; None where none says what it took.

    usual: the device's own LUT; beside it lie those of other runtimes, dtypes and choices, whose names go on.

    An operator takes about as long whatever it is: a short one is invoked more often in each round. A run that was
    taken up again says how long its last part took, but its journal all that the runtime did.
    """
    found = max(_measured(device, usual), key=lambda pair: pair[0].metadata.measured_at, default=None)
    if found is None:
        return None
    lut, took_s = found
    meta, rows = lut.metadata, sum(row.samples > 0 for row in lut.rows)
    return HowLong(took_s / rows * operators, lut.path or usual, rows, took_s, f"{meta.runtime}, {meta.dtype}")


def _measured(device: str, usual: Path) -> Iterator[tuple[Lut, float]]:
    """The device's measured LUTs, and the seconds that each took."""
    for path in sorted(usual.parent.glob(f"{usual.stem}*{usual.suffix}")):
        try:
            lut = read_lut(path)
        except LutError:  # whoever uses it is told
            continue
        took = [lut.metadata.quality.get(name) for name in ("wall_s", "runtime_s")]
        seconds = max((float(value) for value in took if isinstance(value, (int, float))), default=0.0)
        whose = lut.metadata.device == device and lut.metadata.provenance == "measured"
        if whose and 0 < seconds < float("inf") and any(row.samples for row in lut.rows):
            yield lut, seconds
