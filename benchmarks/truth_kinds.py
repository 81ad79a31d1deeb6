"""Whether nets that are not like the tuning nets are predicted as well: published ones, and 20 of each of three kinds.

    lutbench profile -o int8.csv; lutbench profile --resolution 96 --width 0.35 -o small.csv
    python benchmarks/truth_kinds.py int8.csv small.csv --folder kinds

Of FBNet's space, by LUTs of this machine. A net's time is `lutbench bench`'s, and is compared with the prediction as it
is, without the correction for drift that `verify` has: the LUTs should be fresh. A run that is cut off goes on from
its journals.
"""

from __future__ import annotations

import argparse
import json
import random
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from statistics import fmean

from _machine import machine

from lutbench.export.exporters import exporter_of
from lutbench.lut.file import read_lut
from lutbench.space.candidate import Candidate
from lutbench.space.macro import Layer, Space
from lutbench.space.zoo import zoo_nets_of

LIMIT = 0.02  # what the errors are held against, a fraction
SKIPPED, DRAWN = 3 / 4, 1 / 7  # shares of layers


def deep_and_narrow(layer: Layer, rng: random.Random) -> Candidate:
    """No layer is left out, and none has more channels inside than at its ends."""
    return rng.choice([one for one in layer.candidates if not one.is_skip and one.expansion == 1])


def many_skips(layer: Layer, rng: random.Random) -> Candidate:
    """Three of four layers that can be left out are."""
    skips = [one for one in layer.candidates if one.is_skip]
    if skips and rng.random() < SKIPPED:
        return skips[0]
    return rng.choice([one for one in layer.candidates if not one.is_skip])


def mostly_k5_e6(layer: Layer, rng: random.Random) -> Candidate:
    """The most costly block in six of seven layers."""
    if rng.random() < DRAWN:
        return rng.choice(layer.candidates)
    return next(one for one in layer.candidates if one.name == "k5_e6")


KINDS: dict[str, Callable[[Layer, random.Random], Candidate]] = {
    "deep and narrow: expansion 1, no skips": deep_and_narrow,
    "many skips: three of four": many_skips,
    "k5_e6 in six of seven layers": mostly_k5_e6,
}


def nets_of(kind: str, space: Space, count: int) -> list[str]:
    rng = random.Random(f"{kind}@{space.label}")
    return [",".join(KINDS[kind](layer, rng).name for layer in space.layers) for _ in range(count)]


def published(space: Space) -> list[str]:
    """The zoo's nets of the space at its scale."""
    return [net.name for net in zoo_nets_of([space.name]) if net.space.label == space.label]


def errors(lut: Path, nets: list[str], output: Path) -> dict[str, float]:
    """Each net's relative error: what the LUT predicts over what the net takes, minus 1."""
    meta = read_lut(lut).metadata
    how = ["--runtime", exporter_of(meta.runtime).runtime, "--dtype", meta.dtype, "--threads", str(meta.threads)]
    command = [sys.executable, "-m", "lutbench", "bench", "--json", "--lut", str(lut), *how, "-o", str(output), *nets]
    found = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout)
    return {net["net"]: float(net["error"]) for net in found["nets"]}


def row(lut: Path, kind: str, found: dict[str, float]) -> str:
    sizes = [abs(error) for error in found.values()]
    within = fmean(size <= LIMIT for size in sizes)
    signed = fmean(found.values())
    return (
        f"| {lut.stem} | {kind} | {len(sizes)} | {100 * fmean(sizes):.2f} % | {100 * signed:+.2f} %"
        f" | {100 * max(sizes):.2f} % | {100 * within:.0f} % |"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("luts", nargs="+", type=Path)
    parser.add_argument("--folder", type=Path, default=Path("kinds"), help="of what is measured")
    parser.add_argument("--nets", type=int, default=20, help="of each kind")
    arguments = parser.parse_args()
    arguments.folder.mkdir(parents=True, exist_ok=True)
    print(f"{machine()}\n")
    print("| LUT | nets | number | mean error | signed | largest | within 2 % |\n|---|---|---|---|---|---|---|")
    for lut in arguments.luts:
        (space,) = read_lut(lut).metadata.space.spaces
        groups = {"published": published(space)} | {kind: nets_of(kind, space, arguments.nets) for kind in KINDS}
        for number, (kind, nets) in enumerate(groups.items()):
            if nets:
                output = arguments.folder / f"{lut.stem}-{number}.csv"
                print(row(lut, kind, errors(lut, nets, output)), flush=True)


if __name__ == "__main__":
    main()
