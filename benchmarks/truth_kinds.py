"""Whether nets that are not like the tuning nets are predicted as well: published ones, and 20 of each of three kinds.

    lutbench profile -o int8.csv; lutbench profile --resolution 96 --width 0.35 -o small.csv
    python benchmarks/truth_kinds.py int8.csv small.csv --folder kinds

Of FBNet's space, by LUTs of this machine. A net's time is `lutbench bench`'s. Nets that the LUT was tuned on are timed
beside each group, those that take about as long as its nets: what they have become slower by since, the median of what
each takes now over what it took then, is taken out of the others (`drift`). Busy neighbours slow a large net by more
than a small one, so that others would not tell. A run that is cut off goes on from its journals.
"""

from __future__ import annotations

import argparse
import json
import math
import random
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean, median

from _machine import machine

from lutbench.export.exporters import exporter_of
from lutbench.lut.file import read_lut
from lutbench.lut.predict import predict
from lutbench.lut.table import Lut
from lutbench.space.candidate import Candidate
from lutbench.space.macro import Layer, Space
from lutbench.space.zoo import find_net, zoo_nets_of

LIMIT = 0.02  # what the errors are held against, a fraction
SKIPPED, DRAWN = 3 / 4, 1 / 7  # shares of layers
CONTROLS = 10  # nets that the LUT was tuned on, beside each group


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
    found: dict[str, None] = {}  # in their order: a net that is drawn again is timed once
    while len(found) < count:
        found[",".join(KINDS[kind](layer, rng).name for layer in space.layers)] = None
    return list(found)


def published(space: Space) -> list[str]:
    """The zoo's nets of the space at its scale."""
    return [net.name for net in zoo_nets_of([space.name]) if net.space.label == space.label]


@dataclass(frozen=True)
class Group:
    """Relative errors of a group's nets, prediction over measurement minus 1, the drift taken out; and the drift.

    drift: how much slower the machine has become since the LUT, by the nets that it was tuned on, minus 1.
    """

    errors: tuple[float, ...]
    drift: float


def measured(lut: Path, nets: list[str], output: Path, rounds: int) -> Group:
    """Times a group, and nets that the LUT was tuned on, which are about as large."""
    table = read_lut(lut)
    meta, controls = table.metadata, near(table, nets)
    how = ["--runtime", exporter_of(meta.runtime).runtime, "--dtype", meta.dtype, "--threads", str(meta.threads)]
    how += ["--max-rounds", str(rounds), "-o", str(output)]
    command = [sys.executable, "-m", "lutbench", "bench", "--json", "--lut", str(lut), *how, *nets, *controls]
    found = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout)
    timed, again = found["nets"][: len(nets)], found["nets"][len(nets) :]  # in the order in which they were named
    then_us = dict(zip(meta.context.nets, meta.context.nets_us, strict=True))
    slower = median(float(net["latency_us"]) / then_us[key] for net, key in zip(again, controls, strict=True))
    return Group(tuple((1 + float(net["error"])) * slower - 1 for net in timed), slower - 1)


def near(lut: Lut, nets: list[str]) -> list[str]:
    """The tuning nets whose latencies are nearest to what the LUT says of these nets, by their median."""
    context, spaces = lut.metadata.context, tuple(lut.metadata.space.spaces)
    usual_us = median(predict(lut, find_net(net, spaces)).latency_us for net in nets)
    order = sorted(zip(context.nets_us, context.nets, strict=True), key=lambda one: abs(math.log(one[0] / usual_us)))
    return [key for _, key in order[:CONTROLS]]


def row(lut: Path, kind: str, found: Group) -> str:
    sizes = [abs(error) for error in found.errors]
    within = fmean(size <= LIMIT for size in sizes)
    signed = fmean(found.errors)
    return (
        f"| {lut.stem} | {kind} | {len(sizes)} | {100 * fmean(sizes):.2f} % | {100 * signed:+.2f} %"
        f" | {100 * max(sizes):.2f} % | {100 * within:.0f} % | {100 * found.drift:+.1f} % |"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("luts", nargs="+", type=Path)
    parser.add_argument("--folder", type=Path, default=Path("kinds"), help="of what is measured")
    parser.add_argument("--nets", type=int, default=20, help="of each kind")
    parser.add_argument("--rounds", type=int, default=150, help="at most, for each group")
    arguments = parser.parse_args()
    arguments.folder.mkdir(parents=True, exist_ok=True)
    print(f"{machine()}\n")
    print("| LUT | nets | number | mean error | signed | largest | within 2 % | drift |")
    print("|---|---|---|---|---|---|---|---|")
    for lut in arguments.luts:
        (space,) = read_lut(lut).metadata.space.spaces
        groups = {"published": published(space)} | {kind: nets_of(kind, space, arguments.nets) for kind in KINDS}
        for number, (kind, nets) in enumerate(groups.items()):
            if nets:
                output = arguments.folder / f"{lut.stem}-{number}.csv"
                print(row(lut, kind, measured(lut, nets, output, arguments.rounds)), flush=True)


if __name__ == "__main__":
    main()
