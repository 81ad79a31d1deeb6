"""How often `diff` calls rows different that are not, and finds those that are: LUTs of an unchanged machine.

    lutbench profile -o one.csv; lutbench profile -o two.csv
    python benchmarks/diff_significance.py one.csv two.csv

Every pair of the LUTs is compared as measured, and again with rows of the second made 5 % slower: that is planted, and
the canaries know nothing of it. Once it is every row, as a slower machine would do it, and ten times a tenth of the
rows, as a change of the runtime would. What the canaries say of the machine is part of what `diff` takes into account.
"""

from __future__ import annotations

import argparse
from collections.abc import Collection
from dataclasses import replace
from itertools import combinations
from pathlib import Path

import numpy as np

from lutbench.lut.diff import diff
from lutbench.lut.file import read_lut
from lutbench.lut.row import Row
from lutbench.lut.table import Lut

PLANTED = 1.05
STEP = 10  # every tenth row, and ten times another tenth


def planted(lut: Lut, operators: Collection[str]) -> Lut:
    """The LUT with the rows of these operators slower."""

    def slower(row: Row) -> Row:
        names = ("latency_us", "ci_low_us", "ci_high_us", "p10_us", "p90_us", "min_us")
        return replace(row, **{name: getattr(row, name) * PLANTED for name in names})

    return replace(lut, rows=tuple(slower(row) if row.operator in operators else row for row in lut.rows))


def share_found(a: Lut, b: Lut, step: int) -> float:
    """Of the rows that are made slower in b, the share that `diff` calls slower."""
    timed = [row.operator for row in b.rows if row.is_ok and row.latency_us]
    found = []
    for first in range(step):
        chosen = set(timed[first::step])
        compared = diff(a, planted(b, chosen)).operators
        found += [row.significant and row.ratio > 1 for row in compared if row.name in chosen]
    return float(np.mean(found))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("luts", nargs="+", type=Path)
    luts = [read_lut(path) for path in parser.parse_args().luts]
    print(
        "| pair | canaries | called different | 95 % of rows within, after the clock | planted 5 % in all rows: found |"
        " in every tenth: found |"
    )
    print("|---|---|---|---|---|---|")
    figures = []
    for a, b in combinations(luts, 2):
        plain = diff(a, b)
        called = float(np.mean(plain.operators.significant))
        figures.append((called, share_found(a, b, 1), share_found(a, b, STEP)))
        within = float(np.quantile(np.abs(plain.operators.ratio / (plain.clock_ratio or 1.0) - 1), 0.95))
        names = " / ".join(str(lut.path.stem if lut.path else "?") for lut in (a, b))
        canaries = ", ".join(f"{name} {ratio:.3f}" for name, ratio in plain.canary_ratios.items())
        _, in_all, in_few = figures[-1]
        print(f"| {names} | {canaries} | {called:.1%} | {within:.2%} | {in_all:.1%} | {in_few:.1%} |")
    called, in_all, in_few = np.mean(figures, axis=0)
    print(f"\nof all pairs: {called:.1%} called different, {in_all:.1%} and {in_few:.1%} of planted changes found")


if __name__ == "__main__":
    main()
