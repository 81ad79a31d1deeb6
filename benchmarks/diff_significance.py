"""How often `diff` calls rows different that are not, and finds those that are: LUTs of an unchanged machine.

    lutbench profile -o one.csv; lutbench profile -o two.csv
    python benchmarks/diff_significance.py one.csv two.csv

Every pair of the LUTs is compared as measured, and again with rows of the second made 5 % slower: that is planted, and
the canaries know nothing of it. Once it is every row, as a slower machine would do it, and ten times a tenth of the
rows, as a change of the runtime would. What the canaries say of the machine, and what most rows do, is part of what
`diff` takes into account: how many rows are within 1.5 % of what is usual for what they touch is printed beside how
many are within 1.5 % of all rows' median ratio.
"""

from __future__ import annotations

import argparse
from collections.abc import Collection
from dataclasses import replace
from itertools import combinations
from pathlib import Path

import numpy as np

from lutbench.lut.compare import Changes
from lutbench.lut.diff import diff
from lutbench.lut.file import read_lut
from lutbench.lut.row import Row
from lutbench.lut.table import Lut

PLANTED = 1.05
CLOSE = 0.015  # of a ratio's logarithm
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


def share_close(rows: Changes) -> tuple[float, float]:
    """Of the rows, the share that is close to the median ratio, and to what is usual for them (NaN: not known)."""
    usual = [abs(float(np.log(row.ratio)) - row.usual.log_ratio) <= CLOSE for row in rows if row.usual]
    near = np.abs(rows.log_ratio - np.median(rows.log_ratio)) <= CLOSE
    return float(near.mean()), float(np.mean(usual)) if usual else float("nan")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("luts", nargs="+", type=Path)
    luts = [read_lut(path) for path in parser.parse_args().luts]
    print(
        "| pair | canaries | called different | 95 % of rows within, after the clock | within 1.5 % of their median |"
        " of what is usual | planted 5 % in all rows: found | in every tenth: found |"
    )
    print("|---|---|---|---|---|---|---|---|")
    figures = []
    for a, b in combinations(luts, 2):
        plain = diff(a, b)
        called = float(np.mean(plain.operators.significant))
        near, close = share_close(plain.operators)
        figures.append((called, near, close, share_found(a, b, 1), share_found(a, b, STEP)))
        within = float(np.quantile(np.abs(plain.operators.ratio / (plain.clock_ratio or 1.0) - 1), 0.95))
        names = " / ".join(str(lut.path.stem if lut.path else "?") for lut in (a, b))
        canaries = ", ".join(f"{name} {ratio:.3f}" for name, ratio in plain.canary_ratios.items())
        shares = " | ".join(f"{share:.1%}" for share in figures[-1][1:])
        print(f"| {names} | {canaries} | {called:.1%} | {within:.2%} | {shares} |")
    called, near, close, in_all, in_few = np.nanmean(figures, axis=0)
    print(
        f"\nof all pairs: {called:.1%} called different; {near:.1%} of rows within 1.5 % of their median, {close:.1%}"
        f" of what is usual; {in_all:.1%} and {in_few:.1%} of planted changes found"
    )


if __name__ == "__main__":
    main()
