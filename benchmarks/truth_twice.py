"""What of a prediction's error is the LUT's and what is noise: the same nets, measured and predicted in two hours.

    python benchmarks/truth_matrix.py --folder morning ...; python benchmarks/truth_matrix.py --folder evening ...
    python benchmarks/truth_twice.py morning evening

`verify` draws the same nets in both, and each folder has a LUT of its own. What a LUT misjudges in both hours is what
its terms cannot say (`model`); what differs is noise of rows and nets and drift. Each error is the logarithm of
predicted over measured time. Of each group of nets that were timed together their mean is taken out first, which is the
machine's state. Prints one Markdown table of the cells that both folders have, standard deviations in per cent:

- `correlation` of both hours' errors;
- `model`: the square root of their covariance, 0 where that is negative;
- `noise`: what the errors of an hour have beside it;
- `nets` and `LUTs`: how far two measurements of a net, and two predictions of it, are apart;
- `3 %`: nets within 3 %, in each hour, and where the errors of both hours are averaged: half of the noise's variance.
"""

from __future__ import annotations

import argparse
import math
from dataclasses import dataclass
from pathlib import Path
from statistics import correlation, covariance, fmean, pstdev, variance

from lutbench.lut.verify_file import read_results
from lutbench.measure.journal_lines import identity_of

HEAD = ("cell", "nets", "correlation", "model", "noise", "nets apart", "LUTs apart", "3 %", "both averaged")
FEWEST_NETS = 10
LIMIT = math.log(1.03)


@dataclass(frozen=True)
class Judged:
    """A net in one hour: logarithms of its two times in us, and the group it was timed in."""

    predicted: float
    measured: float
    group: str


def judged_nets(cell: Path) -> dict[str, Judged]:
    """By net; empty where the folder has not exactly one verify that came to its end."""
    tables = sorted(cell.glob("lut.journal/verify-*.csv"))
    if len(tables) != 1:
        return {}
    groups = {}
    for journal in sorted(cell.glob("lut.journal/verify-*.jsonl")):
        groups.update(dict.fromkeys(identity_of(journal).get("nets", ()), journal.name))
    return {
        one.net: Judged(math.log(one.predicted_us), math.log(one.measured_us), groups.get(one.net, ""))
        for one in read_results(tables[0])
    }


def without_group_means(values: list[float], groups: list[str]) -> list[float]:
    means = {
        group: fmean(value for value, of in zip(values, groups, strict=True) if of == group) for group in set(groups)
    }
    return [value - means[group] for value, group in zip(values, groups, strict=True)]


def compared(first: dict[str, Judged], second: dict[str, Judged]) -> list[str]:
    """The table's figures for nets that both hours have."""
    names = [name for name in first if name in second]
    groups = [f"{first[name].group} {second[name].group}" for name in names]

    def centred(values: list[float]) -> list[float]:
        return without_group_means(values, groups)

    hours = [centred([hour[name].predicted - hour[name].measured for name in names]) for hour in (first, second)]
    shared = max(covariance(*hours), 0.0)
    noise = math.sqrt(max(fmean(variance(errors) for errors in hours) - shared, 0.0))
    nets = pstdev(centred([first[name].measured - second[name].measured for name in names]))
    luts = pstdev(centred([first[name].predicted - second[name].predicted for name in names]))
    within = [share_within(errors) for errors in (*hours, [fmean(pair) for pair in zip(*hours, strict=True)])]
    return [
        str(len(names)),
        f"{correlation(*hours):.2f}",
        *(f"{100 * value:.2f} %" for value in (math.sqrt(shared), noise, nets, luts)),
        f"{100 * within[0]:.1f}, {100 * within[1]:.1f} %",
        f"{100 * within[2]:.1f} %",
    ]


def share_within(errors: list[float]) -> float:
    return fmean(abs(error) < LIMIT for error in errors)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("first", type=Path, help="the folder of one truth_matrix.py")
    parser.add_argument("second", type=Path, help="that of another, of the same nets")
    chosen = parser.parse_args()
    print(f"| {' | '.join(HEAD)} |")
    print("|---" * len(HEAD) + "|")
    for cell in sorted(folder.name for folder in chosen.first.iterdir() if (chosen.second / folder.name).is_dir()):
        nets = [judged_nets(folder / cell) for folder in (chosen.first, chosen.second)]
        if len(nets[0].keys() & nets[1].keys()) >= FEWEST_NETS:
            print(f"| {cell.replace('_', ' ')} | {' | '.join(compared(*nets))} |")


if __name__ == "__main__":
    main()
