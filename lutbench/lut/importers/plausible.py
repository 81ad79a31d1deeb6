"""Whether latencies can be in the unit that their format says: by the rate of multiply-accumulates they imply."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import Literal

from lutbench.errors import LutError, UsageError
from lutbench.lut.importers.entry import Entry
from lutbench.units import TO_US, us_from_s

# Multiply-accumulates per second, median over the larger operators, batch 1: a single-board computer's single core
# reaches some 10^9, phones 10^10, accelerators 10^11. A microcontroller, or a unit that is off by a thousand, does not.
UnitIs = Literal["stated", "usual", "open"]
SLOWEST_PER_S = 1e8
FASTEST_PER_S = 1e12
_SMALLEST_MACS = 1_000_000  # below, a latency is mostly the runtime's own


def check_plausible(
    entries: Sequence[Entry], unit: str, path: Path, unit_is: UnitIs = "stated", batch: int = 1
) -> None:
    """LutError, with the units that would fit, where the latencies cannot be in this one.

    unit_is: UsageError where another unit would fit as well, unless it is stated; and where no operator is large
        enough to tell, if it is open.
    batch: of images that a latency is of.
    """
    per_unit = [
        batch * entry.operator.macs / entry.latency
        for entry in entries
        if entry.latency and entry.operator.of_kind.form == "block" and entry.operator.macs >= _SMALLEST_MACS
    ]
    if not per_unit:
        if unit_is != "open":
            return
        raise UsageError(
            "the file does not say what its latencies are in", path=path, remedy=f"--unit {'|'.join(TO_US)}"
        )
    rates = {name: median(per_unit) / to_us(1.0) * us_from_s(1.0) for name, to_us in TO_US.items()}
    fitting = [name for name, rate in rates.items() if SLOWEST_PER_S <= rate <= FASTEST_PER_S]
    if unit in fitting and (unit_is == "stated" or len(fitting) == 1):
        return
    if unit in fitting:
        readings = " or ".join(f"{name} ({rates[name]:.0e} multiply-accumulates a second)" for name in fitting)
        raise UsageError(
            f"the file does not say whether its latencies are in {readings}",
            path=path,
            remedy=f"--unit {' or '.join(fitting)}",
        )
    raise LutError(
        f"in {unit} its operators would do {rates[unit]:.1e} multiply-accumulates a second (median), not between"
        f" {SLOWEST_PER_S:.0e} and {FASTEST_PER_S:.0e}",
        path=path,
        remedy=f"say what its latencies are in: --unit {' or '.join(fitting) if fitting else '|'.join(TO_US)}",
    )
