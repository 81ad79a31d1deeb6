"""How often `diff` calls rows different that are not, and finds those that are: LUTs of an unchanged machine.

    lutbench profile -o one.csv; lutbench profile -o two.csv
    python benchmarks/diff_significance.py one.csv two.csv

Every pair of the LUTs is compared as measured, and once more with every row of the second 5 % slower: that is planted,
and the canaries know nothing of it. What the canaries say of the machine is part of what `diff` takes into account.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from itertools import combinations
from pathlib import Path

import numpy as np

from lutbench.lut.diff import diff
from lutbench.lut.file import read_lut
from lutbench.lut.row import Row
from lutbench.lut.table import Lut

PLANTED = 1.05


def planted(lut: Lut) -> Lut:
    """The LUT with every row slower."""

    def slower(row: Row) -> Row:
        if not (row.is_ok and row.latency_us):
            return row
        names = ("latency_us", "ci_low_us", "ci_high_us", "p10_us", "p90_us", "min_us")
        return replace(row, **{name: getattr(row, name) * PLANTED for name in names})

    return replace(lut, rows=tuple(slower(row) for row in lut.rows))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("luts", nargs="+", type=Path)
    luts = [read_lut(path) for path in parser.parse_args().luts]
    print("| pair | canaries | called different | 95 % of rows within, after the clock | planted 5 %: found |")
    print("|---|---|---|---|---|")
    called, found = [], []
    for a, b in combinations(luts, 2):
        plain, changed = diff(a, b), diff(a, planted(b))
        clock = plain.clock_ratio or 1.0
        called.append(float(np.mean(plain.operators.significant)))
        found.append(float(np.mean(changed.operators.significant & (changed.operators.ratio > 1))))
        within = float(np.quantile(np.abs(plain.operators.ratio / clock - 1), 0.95))
        names = " / ".join(str(lut.path.stem if lut.path else "?") for lut in (a, b))
        canaries = ", ".join(f"{name} {ratio:.3f}" for name, ratio in plain.canary_ratios.items())
        print(f"| {names} | {canaries} | {called[-1]:.1%} | {within:.2%} | {found[-1]:.1%} |")
    print(f"\nof all pairs: {np.mean(called):.1%} called different, {np.mean(found):.1%} of planted changes found")


if __name__ == "__main__":
    main()
