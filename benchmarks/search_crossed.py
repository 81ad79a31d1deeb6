"""The paper's Table 5 with this search: nets found for two devices with no option, each timed by both LUTs.

    python benchmarks/search_crossed.py [--luts luts/s8.csv luts/iphonex.csv] [--seeds 3] [--targets-ms 15 15]
        [--folder DIR]

Runs `lutbench search --lut LUT --seed S` for each LUT and seed. Each search's best net is compared, on its device, with
the other search's best net, and at equal accuracy: with that of the other's nets whose cross entropy under the supernet
is closest (in mixed mode both searches of a seed train the same one). All nets that are compared are trained from
scratch on the data they were searched with. With targets, `--target-ms` is given too. What is done is kept in the
folder: started again, it goes on. Prints Markdown.
"""

from __future__ import annotations

import argparse
import json
import math
import subprocess
import sys
import time
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from statistics import geometric_mean
from typing import Any

from _machine import machine

LUTBENCH = [sys.executable, "-m", "lutbench"]


@dataclass(frozen=True)
class Searched:
    """One search. nets: `lutbench search --json`, best first; wall_s: None where it was resumed."""

    nets: list[dict[str, Any]]
    wall_s: float | None

    def like(self, other: dict[str, Any]) -> dict[str, Any]:
        """The net whose cross entropy is closest to another's."""
        return min(self.nets, key=lambda net: abs(math.log(net["cross_entropy"] / other["cross_entropy"])))


def lutbench(*arguments: str) -> dict[str, Any]:
    done = subprocess.run([*LUTBENCH, *arguments, "--json"], stdout=subprocess.PIPE, text=True, check=True)
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def searched(lut: Path, seed: int, target_ms: float | None, folder: Path) -> Searched:
    own = folder / f"{lut.stem}_{seed}"
    done = own / "searched.json"
    if not done.exists():
        started = time.monotonic()
        resume = (own / "checkpoint.pt").exists()
        target = () if target_ms is None else ("--target-ms", f"{target_ms:g}")
        found = lutbench("search", "--lut", str(lut), "--seed", str(seed), "-o", str(own), *target)
        wall_s = None if resume else time.monotonic() - started
        done.write_text(json.dumps({"nets": found["nets"], "wall_s": wall_s}))
    return Searched(**json.loads(done.read_text()))


def from_scratch(net: dict[str, Any]) -> float:
    """Accuracy on the test images."""
    path = Path(net["path"])
    trained = path.with_name(f"{path.stem}_trained")
    done = trained / "accuracy.json"
    if not done.exists():
        done.write_text(json.dumps(lutbench("train", str(path), "-o", str(trained))["accuracy"]))
    return float(json.loads(done.read_text()))


@cache
def predicted_ms(lut: Path, net: str) -> float:
    return float(lutbench("predict", "--lut", str(lut), net)["nets"][0]["latency_us"]) / 1000


def compare(lut: Path, seed: int, own: dict[str, Any], other: dict[str, Any]) -> float:
    """Prints a row; the latency of a device's own net there, of that of the other device's."""
    ms = [predicted_ms(lut, net["path"]) for net in (own, other)]
    cells = [
        f"{latency:.2f} | {net['cross_entropy']:.3f} | {100 * from_scratch(net):.1f} %"
        for latency, net in zip(ms, (own, other), strict=True)
    ]
    print(f"| {seed} | {lut.stem} | {' | '.join(cells)} | {ms[0] / ms[1]:.3f} |", flush=True)
    return ms[0] / ms[1]


def report(luts: list[Path], found: list[list[Searched]], equal: bool) -> None:
    """found: by seed, then device."""
    print(f"\n{'At equal accuracy' if equal else 'Best nets'}:\n")
    columns = "own net, ms | cross entropy | from scratch | other's net, ms | cross entropy | from scratch | ratio"
    print(f"| seed | on | {columns} |\n|---|---|---|---|---|---|---|---|---|")
    ratios: dict[Path, list[float]] = {lut: [] for lut in luts}
    for seed, searches in enumerate(found):
        for lut, own, other in zip(luts, searches, reversed(searches), strict=True):
            against = other.like(own.nets[0]) if equal else other.nets[0]
            ratios[lut].append(compare(lut, seed, own.nets[0], against))
    every = [ratio for of_device in ratios.values() for ratio in of_device]
    print(f"\nA net is faster on its own device in {sum(ratio < 1 for ratio in every)} of {len(every)} cases.")
    for lut, of_device in ratios.items():
        spread = f"{min(of_device):.3f} to {max(of_device):.3f}"
        print(f"On {lut.stem} its own take {geometric_mean(of_device):.3f} of the time of the other's ({spread}).")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--luts", type=Path, nargs=2, default=[Path("luts/s8.csv"), Path("luts/iphonex.csv")])
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--targets-ms", type=float, nargs=2)
    parser.add_argument("--folder", type=Path, default=Path("crossed"))
    arguments = parser.parse_args()
    targets = arguments.targets_ms or [None, None]
    print(machine())
    found = [
        [searched(lut, seed, target, arguments.folder) for lut, target in zip(arguments.luts, targets, strict=True)]
        for seed in range(arguments.seeds)
    ]
    took = [f"{one.wall_s:.0f} s" if one.wall_s else "resumed" for searches in found for one in searches]
    print(f"\nThe searches took {', '.join(took)}.")
    for equal in (True, False):
        report(arguments.luts, found, equal)


if __name__ == "__main__":
    main()
