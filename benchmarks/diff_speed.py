"""How long `lutbench diff A B` takes on two LUTs of 100,000 rows each, the whole process: median of 7 runs.

python benchmarks/diff_speed.py [ROWS]
"""

from __future__ import annotations

import itertools
import random
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

from _machine import machine

from lutbench.lut.file import write_lut
from lutbench.lut.metadata import Metadata, SpaceSection
from lutbench.lut.row import Row
from lutbench.lut.table import Lut
from lutbench.space.operator import OVERHEAD, Operator

ROWS = 100_000
RUNS = 7
SIZES = (7, 14, 28, 56, 112)
CHANNELS = range(8, 8 * 64, 8)


def operators(count: int) -> list[Operator]:
    """The empty graph and inverted residual blocks of many shapes, small channel counts first; sorted by name."""
    shapes = sorted(itertools.product(CHANNELS, CHANNELS), key=lambda pair: (max(pair), pair))
    blocks = itertools.product(shapes, SIZES, (1, 2), (3, 5), (1, 3, 6), (1, 2))
    found = [Operator("ir", c, s, s, o, k, stride, e, g) for (c, o), s, stride, k, e, g in blocks]
    return sorted([OVERHEAD, *found[: count - 1]], key=lambda operator: operator.name)


def write(path: Path, found: list[Operator], seed: int) -> None:
    """A LUT whose latencies follow the multiply-accumulates, 2 % up or down."""
    rng = random.Random(seed)
    rows = []
    for operator in found:
        us = round((2 + operator.macs / 30_000) * rng.uniform(0.98, 1.02), 3)
        low_us, high_us = round(us * 0.99, 3), round(us * 1.01, 3)
        rows.append(Row(operator.name, us, low_us, high_us, low_us, high_us, low_us, 60, 20))
    metadata = Metadata("host", "onnxruntime 1", "int8", 1, SpaceSection("many", (224,), (1.0,)))
    write_lut(Lut(metadata, tuple(rows)), path)


def seconds(arguments: list[str]) -> tuple[float, float, float]:
    """Fastest and median wall seconds of `lutbench ARGUMENTS`, and the median of its processor seconds.

    The latter say what a machine would need that nobody else works on.
    """
    wall_s, cpu_s = [], []
    for _ in range(RUNS):
        started, before = time.monotonic(), resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run([sys.executable, "-m", "lutbench", *arguments], check=True, stdout=subprocess.DEVNULL)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        wall_s.append(time.monotonic() - started)
        cpu_s.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    return min(wall_s), median(wall_s), median(cpu_s)


def main() -> None:
    count = int(sys.argv[1]) if len(sys.argv) > 1 else ROWS
    print(machine(), end="\n\n")
    print("| command | rows of each LUT | fastest | median | processor time |\n|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        a, b = Path(folder) / "a.csv", Path(folder) / "b.csv"
        found = operators(count)
        write(a, found, 1)
        write(b, found, 2)
        csv_path = str(Path(folder) / "rows.csv")
        for options in ([], ["--csv", csv_path], ["--json"]):
            times_s = seconds(["diff", str(a), str(b), *options])
            name = " ".join(["diff a.csv b.csv", *options]).replace(csv_path, "FILE")
            print(f"| `{name}` | {len(found):,} | " + " | ".join(f"{value:.2f} s" for value in times_s) + " |")


if __name__ == "__main__":
    main()
