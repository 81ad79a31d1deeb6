"""Whether nets that are not like the tuning nets are predicted as well: published ones, and 20 of each of three kinds.

    lutbench profile -o int8.csv; lutbench profile --resolution 96 --width 0.35 -o small.csv
    python benchmarks/truth_kinds.py int8.csv small.csv --folder kinds

Of FBNet's space, by LUTs of this machine. `lutbench verify` judges all of them together, as it judges random nets:
beside the nets that the LUT was tuned on, which say what has changed since (`drift`), and that is taken in. A run that
is cut off goes on from its journals; what is in the folder already is not measured again.
"""

from __future__ import annotations

import argparse
import json
import random
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean

from _machine import machine

from lutbench.lut.file import read_lut
from lutbench.space.candidate import Candidate
from lutbench.space.macro import Layer, Space
from lutbench.space.zoo import find_net, zoo_nets_of

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
    found: dict[str, None] = {}  # in their order: a net that is drawn again is timed once
    while len(found) < count:
        found[",".join(KINDS[kind](layer, rng).name for layer in space.layers)] = None
    return list(found)


def published(space: Space) -> list[str]:
    """The zoo's nets of the space at its scale."""
    return [net.name for net in zoo_nets_of([space.name]) if net.space.label == space.label]


@dataclass(frozen=True)
class Judged:
    """Relative errors of nets, prediction over measurement minus 1, by the nets' keys; and how much slower the machine
    has become since the LUT, by the nets that it was tuned on, minus 1.
    """

    errors: dict[str, float]
    drift: float


def judged(lut: Path, nets: list[str], output: Path, rounds: int) -> Judged:
    """What `lutbench verify` says of these nets; it is kept in output."""
    if not output.exists():
        command = [sys.executable, "-m", "lutbench", "verify", "--json", "--lut", str(lut), "--rounds", str(rounds)]
        text = subprocess.run([*command, *nets], check=True, stdout=subprocess.PIPE, text=True).stdout
        output.write_text(text)
    found = json.loads(output.read_text())
    return Judged({net["net"]: float(net["error"]) for net in found["details"]}, float(found["drift"]))


def row(lut: Path, kind: str, errors: Sequence[float], drift: float) -> str:
    sizes = [abs(error) for error in errors]
    within = fmean(size <= LIMIT for size in sizes)
    return (
        f"| {lut.stem} | {kind} | {len(sizes)} | {100 * fmean(sizes):.2f} % | {100 * fmean(errors):+.2f} %"
        f" | {100 * max(sizes):.2f} % | {100 * within:.0f} % | {100 * drift:+.1f} % |"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("luts", nargs="+", type=Path)
    parser.add_argument("--folder", type=Path, default=Path("kinds"), help="of what is measured")
    parser.add_argument("--nets", type=int, default=20, help="of each kind")
    parser.add_argument("--rounds", type=int, default=40, help="of each net, at least")
    arguments = parser.parse_args()
    arguments.folder.mkdir(parents=True, exist_ok=True)
    print(f"{machine()}\n")
    print("| LUT | nets | number | mean error | signed | largest | within 2 % | drift |")
    print("|---|---|---|---|---|---|---|---|")
    for lut in arguments.luts:
        (space,) = read_lut(lut).metadata.space.spaces
        groups = {"published": published(space)} | {kind: nets_of(kind, space, arguments.nets) for kind in KINDS}
        nets = [net for group in groups.values() for net in group]
        found = judged(lut, nets, arguments.folder / f"{lut.stem}.json", arguments.rounds)
        for kind, group in groups.items():
            keys = [find_net(net, (space,)).key for net in group]
            errors = [found.errors[key] for key in keys if key in found.errors]  # one that never ran quietly has none
            if errors:
                print(row(lut, kind, errors, found.drift))


if __name__ == "__main__":
    main()
