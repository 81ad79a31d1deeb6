"""Whether a search beats chance: derived nets against random nets of the space at equal predicted latency.

    python benchmarks/search_against_random.py [--lut luts/s8.csv] [--target-ms 15] [--other-targets-ms 12,19]
        [--data shapes:5000@32] [--classes 4] [--seeds 3] [--random 20] [--epochs 16] [--folder DIR]

Per seed a search within the target on the same images, whose best-ranked net is trained from scratch; random nets of
the space are drawn until so many are in the same window of latency (0.97 to 1 of the target) and trained by the same
recipe. A derived net is compared with those random nets whose latency is within 2 % of its own. The other targets are
searched for on digits. What is done is kept in the folder: started again, it goes on. Prints Markdown.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from statistics import mean, median

import torch
from _machine import machine
from scipy.stats import binomtest, quantile_test

from lutbench.cli.render import Progress
from lutbench.jobs.goals import Goal, latency_models, search_name
from lutbench.jobs.search import find_nets, search_request, space_of
from lutbench.jobs.train import train_net, train_request
from lutbench.lut.file import read_lut
from lutbench.search.budget import WINDOW
from lutbench.search.hardware import Hardware
from lutbench.space.architecture import Architecture, write_architecture
from lutbench.space.sampling import random_nets

CLOSE = 0.02  # of latencies that count as equal
TOP = 0.75  # of the random nets, to be beaten on average: the top quarter
SCHEDULE = {"epochs": 75, "warmup": 40, "cooling": 0.03}  # shapes take long to be told apart at all


def search_nets(arguments: argparse.Namespace, target_ms: float, seed: int, data: str) -> list[dict[str, float]]:
    """Predicted latency and accuracy under the supernet of a search's nets, best first; the files are in the folder."""
    folder = arguments.folder / f"search_{target_ms:g}ms_{seed}"
    done = folder / "found.json"
    if not done.exists():
        request = search_request(
            read_lut(arguments.lut),
            folder=folder,
            targets_ms=(target_ms,),
            data=data,
            classes=arguments.classes if data != "digits" else None,
            schedule=SCHEDULE if data != "digits" else {},
            seed=seed,
        )
        with Progress() as progress:
            found = find_nets(request, Hardware("cpu"), progress)
        assert found is not None
        nets = [
            {"us": next(iter(n.derived.predicted_us.values())), "supernet": n.derived.score.accuracy}
            for n in found.nets
        ]
        done.write_text(json.dumps(nets))
    return list(json.loads(done.read_text()))


@dataclass(frozen=True, order=True)
class Tested:
    """Test images whose class was found."""

    right: int
    images: int

    @property
    def share(self) -> float:
        return self.right / self.images


@dataclass(frozen=True)
class Beaten:
    """How many random nets a derived one beats, and whether it is above their median."""

    nets: int
    of: int
    above_median: bool

    @property
    def share(self) -> float:
        return self.nets / self.of


def accuracy(arguments: argparse.Namespace, net: Path) -> Tested:
    """The test of an architecture file's net, trained from scratch."""
    folder = arguments.folder / "trained" / f"{net.parent.name}_{net.stem}"
    done = folder / "accuracy.json"
    if not done.exists():
        request = train_request(
            str(net),
            folder=folder,
            data=arguments.data,
            classes=arguments.classes,
            recipe={"epochs": arguments.epochs},
        )
        with Progress() as progress:
            test = train_net(request, Hardware("cpu"), progress).result.test
        done.write_text(json.dumps({"accuracy": test.accuracy, "images": test.images}))
    test = json.loads(done.read_text())
    return Tested(round(test["accuracy"] * test["images"]), test["images"])


def random_files(arguments: argparse.Namespace) -> list[tuple[Path, float]]:
    """Architecture files of random nets within the window, and their latencies in microseconds."""
    lut = read_lut(arguments.lut)
    request = search_request(lut, folder=arguments.folder)
    space, _ = space_of(request)
    (model,) = latency_models((lut,), space)
    high_us = 1000 * arguments.target_ms
    found: list[tuple[Path, float]] = []
    for stream in count():
        for net in random_nets(space, 200, stream, "compared"):
            us = model.net_us(net)
            if WINDOW * high_us < us <= high_us:
                path = arguments.folder / "random" / f"net{len(found)}.json"
                write_architecture(Architecture(net, {model.device: us}, stream), path)
                found.append((path, us))
        if len(found) >= arguments.random:
            break
    return found[: arguments.random]


def header(*columns: str) -> None:
    print(f"\n| {' | '.join(columns)} |\n|{'---|' * len(columns)}")


def report(arguments: argparse.Namespace) -> None:
    others = [float(text) for text in arguments.other_targets_ms.split(",") if text]
    searches = [(arguments.target_ms, seed, arguments.data) for seed in range(arguments.seeds)]
    searches += [(target, 0, "digits") for target in others]
    found = {key: search_nets(arguments, *key) for key in searches}
    header("target", "images", "seed", "predicted latency of the nets, of the target", "accuracy under the supernet")
    for (target, seed, data), nets in found.items():
        shares = [net["us"] / 1000 / target for net in nets]
        best = f"{100 * nets[0]['supernet']:.1f} %"
        print(f"| {target:g} ms | {data} | {seed} | {min(shares):.4f} to {max(shares):.4f} | {best} |", flush=True)
    best_net = f"{search_name((read_lut(arguments.lut),), Goal(targets_ms=(arguments.target_ms,)))}_0.json"
    derived = {
        seed: accuracy(arguments, arguments.folder / f"search_{arguments.target_ms:g}ms_{seed}" / best_net)
        for seed in range(arguments.seeds)
    }
    chance = [(us, accuracy(arguments, path)) for path, us in random_files(arguments)]
    ordered = ", ".join(f"{100 * value.share:.1f}" for value in sorted(value for _, value in chance))
    print(f"\nRandom nets, from scratch: {ordered} %. In brackets 95 % intervals.")
    header("seed", "derived net", "random nets within 2 % of its latency", "their median", "how many it beats", "share")
    beaten = [
        compared(seed, found[arguments.target_ms, seed, arguments.data][0]["us"], derived[seed], chance)
        for seed in derived
    ]
    verdict(beaten)


def compared(seed: int, us: float, own: Tested, chance: list[tuple[float, Tested]]) -> Beaten:
    """Prints a derived net's row."""
    close = [other for other_us, other in chance if abs(other_us / us - 1) <= CLOSE]
    shares = [other.share for other in close]
    found = Beaten(sum(own.share > share for share in shares), len(close), own.share > median(shares))
    middle = quantile_test(shares, p=0.5).confidence_interval()
    print(
        f"| {seed} | {100 * own.share:.1f} % ({interval(own.right, own.images)}) | {len(close)}"
        f" | {100 * median(shares):.1f} % ({100 * middle.low:.1f} to {100 * middle.high:.1f}) | {found.nets}"
        f" | {found.share:.0%} ({interval(found.nets, found.of)}) |"
    )
    return found


def interval(hits: int, of: int) -> str:
    """Clopper and Pearson's, 95 %, in per cent."""
    found = binomtest(hits, of).proportion_ci()
    return f"{100 * found.low:.1f} to {100 * found.high:.1f}"


def verdict(beaten: list[Beaten]) -> None:
    above = sum(one.above_median for one in beaten)
    average = mean(one.share for one in beaten)
    wins = above == len(beaten) and average >= TOP
    print(
        f"\nDerived nets are above the median of random nets in {above} of {len(beaten)} seeds and beat"
        f" {average:.0%} of them on average: the search {'wins' if wins else 'does not win'} (all seeds, {TOP:.0%})."
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--lut", type=Path, default=Path("luts/s8.csv"))
    parser.add_argument("--target-ms", type=float, default=15.0)
    parser.add_argument("--other-targets-ms", default="12,19")
    parser.add_argument("--data", default="shapes:5000@32")
    parser.add_argument("--classes", type=int, default=4)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--random", type=int, default=20)
    parser.add_argument("--epochs", type=int, default=16)
    parser.add_argument("--folder", type=Path, default=Path("compared"))
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    print(machine())
    report(arguments)


if __name__ == "__main__":
    main()
