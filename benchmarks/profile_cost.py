"""What `lutbench profile` costs on this machine, and how far two LUTs agree.

    python benchmarks/profile_cost.py [--folder DIR]

Profiles the FBNet space at 224 (int8) four times: from an empty cache, twice from a full one, and once while another
process loads every other core. Prints a Markdown table; every figure is of this one run.
"""

from __future__ import annotations

import argparse
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from _machine import machine

from lutbench.lut.file import read_lut
from lutbench.lut.table import Lut
from lutbench.measure.statistics import quantile

_LOAD = "x = 0\nwhile True:\n    x = (x * 1103515245 + 12345) % 2147483648"


def profile(folder: Path, name: str) -> tuple[Lut, float, float]:
    """The LUT, wall seconds of the whole command, and the largest process's peak memory in MiB."""
    output = folder / f"{name}.csv"
    command = [sys.executable, "-m", "lutbench", "profile", "--device", "host", "-o", str(output)]
    started = time.monotonic()
    subprocess.run(command, check=True, env={**os.environ, "LUTBENCH_CACHE": str(folder / "cache")})
    wall_s = time.monotonic() - started
    return read_lut(output), wall_s, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024


def agreement(a: Lut, b: Lut, clock: float = 1.0) -> list[float]:
    """Sorted |ratio - 1| of the rows of both, a's clock over b's taken out."""
    rows = ((x.latency_us, b.by_operator[x.operator].latency_us) for x in a.rows if x.parts.is_measured)
    return sorted(abs(x / clock / y - 1) for x, y in rows)


def clock_ratio(a: Lut, b: Lut) -> float:
    """How much slower the core ran for a than for b: the small canary's reference in both."""
    return float(a.metadata.quality["canary_us"]["small"]) / float(b.metadata.quality["canary_us"]["small"])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, help="keep LUTs and cache here")
    folder = parser.parse_args().folder or Path(tempfile.mkdtemp(prefix="lutbench-"))
    lines = []
    luts = {}
    for name in ("empty_cache", "full_cache", "again", "loaded"):
        load = subprocess.Popen([sys.executable, "-c", _LOAD]) if name == "loaded" else None
        if load is not None:  # on the cores that the measuring process does not take
            os.sched_setaffinity(load.pid, sorted(os.sched_getaffinity(0))[:-1] or [0])
        try:
            lut, wall_s, peak_mib = profile(folder, name)
        finally:
            if load is not None:
                load.kill()
        luts[name] = lut
        quality = lut.metadata.quality
        runtime_s = float(quality["runtime_s"])
        lines.append(
            f"| {name.replace('_', ' ')} | {wall_s:.1f} s | {runtime_s:.1f} s | {wall_s - 1.5 * runtime_s:+.1f} s"
            f" | {peak_mib:.0f} MiB | {100 * float(quality['within_target']):.1f} %"
            f" | {100 * float(quality['disturbed_share']):.0f} % | {lut.metadata.context.depth}"
            f" | {lut.metadata.context.scale:.3f} |"
        )
    print(f"{machine()}\n")
    print(
        "| run | wall | inside the runtime | wall - 1.5 x runtime | peak memory of a process | rows within ±1 %"
        " | disturbed | depth | scale |"
    )
    print("|---|---|---|---|---|---|---|---|---|")
    print("\n".join(lines))
    print(
        "\n| pair | median difference | 95 % of rows within | largest"
        " | clock, by the canary | 95 % with that taken out |"
    )
    print("|---|---|---|---|---|---|")
    for a, b in (("full_cache", "again"), ("again", "loaded")):
        found, clock = agreement(luts[a], luts[b]), clock_ratio(luts[a], luts[b])
        corrected = agreement(luts[a], luts[b], clock)
        print(
            f"| {a.replace('_', ' ')} / {b} | {100 * quantile(found, 0.5):.2f} %"
            f" | {100 * quantile(found, 0.95):.2f} % | {100 * found[-1]:.2f} % | {100 * (clock - 1):+.1f} %"
            f" | {100 * quantile(corrected, 0.95):.2f} % |"
        )
    print(f"\nLUTs in {folder}")


if __name__ == "__main__":
    main()
