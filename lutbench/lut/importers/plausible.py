"""Whether latencies can be in the unit that their format says: by the rate of multiply-accumulates they imply."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from statistics import median

from lutbench.errors import LutError
from lutbench.lut.importers.entry import Entry
from lutbench.units import TO_US, us_from_s

# Multiply-accumulates per second, median over the larger operators, batch 1: a single-board computer's single core
# reaches some 10^9, phones 10^10, accelerators 10^11. A microcontroller, or a unit that is off by a thousand, does not.
SLOWEST_PER_S = 1e8
FASTEST_PER_S = 1e12
_SMALLEST_MACS = 1_000_000  # below, a latency is mostly the runtime's own


def check_plausible(entries: Sequence[Entry], unit: str, path: Path) -> None:
    """LutError, with the units that would fit, where the latencies cannot be in this one.

    Says nothing where no operator is large enough to tell.
    """
    per_unit = [
        entry.operator.macs / entry.latency
        for entry in entries
        if entry.operator.kind in ("stem", "ir", "conv") and entry.operator.macs >= _SMALLEST_MACS
    ]
    if not per_unit:
        return
    rates = {name: median(per_unit) / to_us(1.0) * us_from_s(1.0) for name, to_us in TO_US.items()}
    if SLOWEST_PER_S <= rates[unit] <= FASTEST_PER_S:
        return
    fitting = [name for name, rate in rates.items() if SLOWEST_PER_S <= rate <= FASTEST_PER_S]
    raise LutError(
        f"in {unit} its operators would do {rates[unit]:.1e} multiply-accumulates a second (median), not between"
        f" {SLOWEST_PER_S:.0e} and {FASTEST_PER_S:.0e}",
        path=path,
        remedy=f"say what its latencies are in: --unit {' or '.join(fitting) if fitting else '|'.join(TO_US)}",
    )
