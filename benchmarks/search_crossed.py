"""The paper's Table 5 with this search: nets found for several devices, each compared on every device.

    python benchmarks/search_crossed.py [--luts luts/s8.csv luts/iphonex.csv] [--seeds 3] [--targets-ms 15 15]
        [--search "--epochs 40"] [--train "--epochs 10"] [--bench [--max-rounds 60]] [--folder DIR]

Runs `lutbench search --lut LUT --seed S` for each LUT and seed. Each search's best net is compared, on its device, with
the best net of every other search, and at equal accuracy: with that of the other's nets whose cross entropy under the
supernet is closest (in mixed mode all searches of a seed train the same one). All nets that are compared are trained
from scratch on the data they were searched with. With targets, `--target-ms` is given too. --search and --train are
options that are given to the commands of these names; `--train no` trains nothing.

Latencies are the LUT's predictions; with --bench every net that is compared is timed too, on every device that this
machine is: by the runtime, the type and the threads of its LUT. What is done is kept in the folder: started again, it
goes on, so that the same command without --bench can do beforehand what needs no quiet machine. Prints Markdown.
"""

from __future__ import annotations

import argparse
import json
import math
import shlex
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import permutations
from pathlib import Path
from statistics import geometric_mean
from typing import Any

from _machine import machine

from lutbench.lut.file import read_lut

LUTBENCH = [sys.executable, "-m", "lutbench"]
NOTHING = "no"  # instead of options of `lutbench train`


@dataclass(frozen=True)
class Searched:
    """One search. nets: `lutbench search --json`, best first; wall_s: None where it was resumed."""

    nets: list[dict[str, Any]]
    wall_s: float | None

    def like(self, other: dict[str, Any]) -> dict[str, Any]:
        """The net whose cross entropy is closest to another's."""
        return min(self.nets, key=lambda net: abs(math.log(net["cross_entropy"] / other["cross_entropy"])))


@dataclass(frozen=True)
class Pair:
    """A device's own net, and that of another device's search it is compared with.

    home, other: positions of LUTs.
    equal: the other net is the one of the same accuracy, not the best one.
    """

    seed: int
    home: int
    other: int
    equal: bool
    own_net: dict[str, Any]
    other_net: dict[str, Any]

    @property
    def nets(self) -> tuple[dict[str, Any], dict[str, Any]]:
        return self.own_net, self.other_net


def pairs_of(found: Sequence[Sequence[Searched]]) -> Iterator[Pair]:
    """found: by seed, then device. First those at equal accuracy, then best against best."""
    for equal in (True, False):
        for seed, searches in enumerate(found):
            for home, other in permutations(range(len(searches)), 2):
                own = searches[home].nets[0]
                against = searches[other].like(own) if equal else searches[other].nets[0]
                yield Pair(seed, home, other, equal, own, against)


def lutbench(*arguments: str) -> dict[str, Any]:
    done = subprocess.run([*LUTBENCH, *arguments, "--json"], stdout=subprocess.PIPE, text=True, check=True)
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def searched(lut: Path, seed: int, target_ms: float | None, folder: Path, options: Sequence[str]) -> Searched:
    own = folder / f"{lut.stem}_{seed}"
    done = own / "searched.json"
    if not done.exists():
        started = time.monotonic()
        resume = (own / "checkpoint.pt").exists()
        target = () if target_ms is None else ("--target-ms", f"{target_ms:g}")
        found = lutbench("search", "--lut", str(lut), "--seed", str(seed), "-o", str(own), *target, *options)
        wall_s = None if resume else time.monotonic() - started
        done.write_text(json.dumps({"nets": found["nets"], "wall_s": wall_s}))
    return Searched(**json.loads(done.read_text()))


@dataclass
class Figures:
    """What is known of nets, each found out once. train: options of `lutbench train`, None for no training.

    luts: of the devices, in their order.
    """

    luts: Sequence[Path]
    train: Sequence[str] | None = None
    timed_us: dict[tuple[int, str], tuple[float, float]] = field(default_factory=dict)
    _predicted_ms: dict[tuple[int, str], float] = field(default_factory=dict)

    def accuracy(self, net: dict[str, Any]) -> str:
        """On the test images, from scratch."""
        if self.train is None:
            return "-"
        path = Path(net["path"])
        trained = path.with_name(f"{path.stem}_trained")
        done = trained / "accuracy.json"
        if not done.exists():
            found = lutbench("train", str(path), "-o", str(trained), *self.train)
            done.write_text(json.dumps(found["accuracy"]))
        return f"{100 * float(json.loads(done.read_text())):.1f} %"

    def predicted_ms(self, device: int, net: dict[str, Any]) -> float:
        key = device, net["path"]
        if key not in self._predicted_ms:
            found = lutbench("predict", "--lut", str(self.luts[device]), net["path"])
            self._predicted_ms[key] = float(found["nets"][0]["latency_us"]) / 1000
        return self._predicted_ms[key]

    def time_all(self, paths: Sequence[str], max_rounds: int) -> None:
        """Times the nets of these paths on every device; RuntimeError where one does not run."""
        for device, lut in enumerate(self.luts):
            found = lutbench("bench", *paths, *bench_options(lut), "--max-rounds", str(max_rounds))
            for path, one in zip(paths, found["nets"], strict=True):
                if one["latency_us"] is None:
                    raise RuntimeError(f"{path} was not timed on {lut.stem}: {one['status']}")
                half_us = (one["ci_high_us"] - one["ci_low_us"]) / 2
                self.timed_us[device, path] = float(one["latency_us"]), half_us


def bench_options(lut: Path) -> list[str]:
    """What `bench` is told, to run nets as the operators of a LUT were run."""
    _, _, *options = shlex.split(read_lut(lut).measure_command)
    return [*options, "--lut", str(lut)]


def ratio_of(pair: Pair, figures: Figures, timed: bool) -> float:
    """What a device's own net takes there, of what the other's takes there."""
    if timed:
        own, other = (figures.timed_us[pair.home, net["path"]][0] for net in pair.nets)
    else:
        own, other = (figures.predicted_ms(pair.home, net) for net in pair.nets)
    return own / other


def row_of(pair: Pair, figures: Figures) -> str:
    cells = [str(pair.seed), figures.luts[pair.home].stem, figures.luts[pair.other].stem]
    for net in pair.nets:
        cells.append(f"{figures.predicted_ms(pair.home, net):.2f}")
        if figures.timed_us:
            latency_us, half_us = figures.timed_us[pair.home, net["path"]]
            cells.append(f"{latency_us / 1000:.3f} ± {half_us / 1000:.3f}")
        cells += [f"{net['cross_entropy']:.3f}", figures.accuracy(net)]
    cells += [f"{ratio_of(pair, figures, timed):.3f}" for timed in kinds_of(figures)]
    return f"| {' | '.join(cells)} |"


def kinds_of(figures: Figures) -> list[bool]:
    """Whether latencies are timed: of predictions, and of measurements where there are any."""
    return [False, True] if figures.timed_us else [False]


def report(pairs: Sequence[Pair], figures: Figures) -> None:
    timed = ["timed, ms"] if figures.timed_us else []
    of_net = ["predicted, ms", *timed, "cross entropy", "from scratch"]
    columns = ["seed", "on", "against", *(f"own: {name}" for name in of_net), *(f"other's: {name}" for name in of_net)]
    columns += ["ratio", *(["ratio, timed"] if timed else [])]
    for equal in (True, False):
        print(f"\n{'At equal accuracy' if equal else 'Best nets'}:\n")
        print(f"| {' | '.join(columns)} |\n{'|---' * len(columns)}|")
        own = [pair for pair in pairs if pair.equal == equal]
        for pair in own:
            print(row_of(pair, figures), flush=True)
        for is_timed in kinds_of(figures):
            print(f"\n{'Timed' if is_timed else 'Predicted'}: " + summary(own, figures, is_timed))


def summary(pairs: Sequence[Pair], figures: Figures, timed: bool) -> str:
    """In how many cases a net is faster at home, and by how much on each device."""
    ratios: dict[int, list[float]] = {}
    for pair in pairs:
        ratios.setdefault(pair.home, []).append(ratio_of(pair, figures, timed))
    every = [ratio for of_device in ratios.values() for ratio in of_device]
    says = [f"a net is faster on its own device in {sum(ratio < 1 for ratio in every)} of {len(every)} cases"]
    for home, own in ratios.items():
        spread = f"{min(own):.3f} to {max(own):.3f}"
        says.append(f"on {figures.luts[home].stem} its own take {geometric_mean(own):.3f} of the others' ({spread})")
    return "; ".join(says) + "."


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--luts", type=Path, nargs="+", default=[Path("luts/s8.csv"), Path("luts/iphonex.csv")])
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--targets-ms", type=float, nargs="+")
    parser.add_argument("--folder", type=Path, default=Path("crossed"))
    parser.add_argument("--search", default="", help="options of `lutbench search`")
    parser.add_argument("--train", default="", help="options of `lutbench train`, or no")
    parser.add_argument("--bench", action="store_true", help="time the nets, too")
    parser.add_argument("--max-rounds", type=int, default=60, help="of --bench")
    arguments = parser.parse_args()
    luts = arguments.luts
    targets = arguments.targets_ms or [None] * len(luts)
    print(machine())
    found = [
        [
            searched(lut, seed, target, arguments.folder, shlex.split(arguments.search))
            for lut, target in zip(luts, targets, strict=True)
        ]
        for seed in range(arguments.seeds)
    ]
    took = [f"{one.wall_s:.0f} s" if one.wall_s else "resumed" for searches in found for one in searches]
    print(f"\nThe searches took {', '.join(took)}.")
    figures = Figures(luts, None if arguments.train == NOTHING else shlex.split(arguments.train))
    pairs = list(pairs_of(found))
    if arguments.bench:
        figures.time_all(list(dict.fromkeys(net["path"] for pair in pairs for net in pair.nets)), arguments.max_rounds)
    report(pairs, figures)


if __name__ == "__main__":
    main()
