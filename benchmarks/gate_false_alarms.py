"""How often `lutbench diff --fail-over` stops a change that changed nothing: LUTs of one unchanged machine, compared.

    python benchmarks/gate_false_alarms.py [--luts 12] [--folder DIR] [--pause 0]

A small LUT (FBNet's space at 96 pixels and width 0.35, as in the docs' example of a gate) is measured again and again.
Each is then the "before" of every later one, as a gate compares an accepted LUT with a new one. A false alarm is a
comparison that `--fail-over R` fails. Exit status 0; the rates are shown, not judged.
"""

from __future__ import annotations

import argparse
import itertools
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from _machine import machine

from lutbench.lut.diff import Diff, diff, worst_over
from lutbench.lut.file import read_lut

LIMITS = (1.01, 1.02, 1.05, 1.10, 1.20, 1.50)
PROFILE = ("profile", "--resolution", "96", "--width", "0.35", "--max-rounds", "40")


def measure(folder: Path, count: int, pause_s: float) -> list[Path]:
    """The LUTs, one after the other; those that the folder holds already are not measured again."""
    paths = [folder / f"{number:02d}.csv" for number in range(count)]
    for path in paths:
        if path.exists():
            continue
        command = [sys.executable, "-m", "lutbench", *PROFILE, "-o", str(path)]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        time.sleep(pause_s)
    return paths


def share(found: list[Diff], limit: float, each_operator: bool) -> float:
    """Of the comparisons that a gate with this limit fails."""
    return sum(bool(worst_over(one, limit, each_operator)) for one in found) / len(found)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--luts", type=int, default=12, help="how many to measure")
    parser.add_argument("--folder", type=Path, help="keep the LUTs here, and go on with those that are there")
    parser.add_argument("--pause", type=float, default=0.0, metavar="S", help="seconds between two of them")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = arguments.folder or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        luts = [read_lut(path) for path in measure(folder, arguments.luts, arguments.pause)]
    pairs = [diff(a, b) for a, b in itertools.combinations(luts, 2)]
    neighbours = [diff(a, b) for a, b in itertools.pairwise(luts)]
    disturbed = [100 * float(lut.metadata.quality["disturbed_share"]) for lut in luts]
    print(f"{machine()}")
    print(
        f"{len(luts)} LUTs of {len(luts[0].rows)} rows, {luts[0].metadata.measured_at} to"
        f" {luts[-1].metadata.measured_at}; {min(disturbed):.0f} to {max(disturbed):.0f} % of their samples disturbed"
    )
    print(f"{len(pairs)} comparisons, {len(neighbours)} of them of a LUT with the next one; share that fails:\n")
    print("| --fail-over | mean and nets | of neighbours | --each-operator | of neighbours |\n|---|---|---|---|---|")
    for limit in LIMITS:
        shares = [share(found, limit, each) for each in (False, True) for found in (pairs, neighbours)]
        print(f"| {limit:.2f} | {' | '.join(f'{100 * one:.0f} %' for one in shares)} |")
    means = sorted(abs(one.geomean_ratio - 1) for one in pairs)
    print(f"\nthe mean of all operators differs by {100 * means[len(means) // 2]:.1f} % (median) and", end=" ")
    print(f"{100 * means[-1]:.1f} % (largest)")


if __name__ == "__main__":
    main()
