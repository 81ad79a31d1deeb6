"""Nets that masks find, against their rivals at equal latency: every net trained from scratch, on real images.

    lutbench estimate published --source-device s8 --device android-s8 --space benchmarks/masked_rivals.toml -o R.csv
    python benchmarks/masked_rivals.py run --lut R.csv --targets-ms 1.8,2.3
    python benchmarks/masked_rivals.py run --lut R.csv --targets-ms 1.8,0.8,1.1,1.4,2.3 --methods masks,derived
    python benchmarks/masked_rivals.py report --lut R.csv --targets-ms 1.8,0.8,1.1,1.4,2.3 [--plot rivals.svg]

Rivals: chance (random nets within the budget), scaling (one block everywhere, all widths scaled alike), rejection (the
best of as many random nets under the same supernet), elastic (an elastic supernet and evolution) and derived (`lutbench
derive` from the masked supernet of the first target). With several targets the report compares the fronts, too:
searches of their own against derivations from one. What is done is a line of --results; started again it goes on, from
the last epoch where a checkpoint is in --folder. --limit-s ends it after so long, with status 75 where work is left.
"""

from __future__ import annotations

import argparse
import hashlib
import itertools
import json
import shutil
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from _evidence_jobs import Study, found_line, quiet, search_nets
from _evidence_report import FEW
from _evidence_statistics import Array, bootstrap, hypervolume, share_beaten
from _evidence_study import add_options, as_read, do_all, study_of, targets_of

from lutbench.jobs.derive import DeriveRequest, derive_nets
from lutbench.jobs.learning import Computing
from lutbench.lut.file import read_lut
from lutbench.nn.workload import empty_net
from lutbench.search.budget import WINDOW
from lutbench.search.chance import random_within
from lutbench.search.data.find import find_data
from lutbench.search.data.options import DataOptions
from lutbench.search.grid_costs import CostModel
from lutbench.search.hardware import Hardware
from lutbench.search.resolutions import sizes_at
from lutbench.search.train import TrainSetup, train
from lutbench.space.decisions import decisions, net_at
from lutbench.space.macro import Space
from lutbench.space.net import Net, parse_net
from lutbench.space.zoo import retargeted

RESULTS = Path(__file__).parent / "results" / "masked_rivals.jsonl"
MASKS, ELASTIC = "mixed", "elastic"
SUPERNETS = {"masks": (MASKS, "mixed"), "rejection": (MASKS, "random"), "elastic": (ELASTIC, "elastic")}
ORDER = ("masks", "rejection", "elastic", "derived", "scaling", "chance")
FOUND_BY_SCORES = ORDER[:4]
COLUMNS = ("nets", "trained", "seeds", "of the target", "mean accuracy", "95 % interval", "random nets that it beats")
COLUMNS += ("found in",)
# of the net whose widths are scaled: the first one with a net near the target
BLOCKS = ("k3_e3_relu", "k3_e4.5_relu", "k5_e4.5_relu", "k3_e1.5_relu")
STEPS = 200  # of the scale


@dataclass(frozen=True)
class Plan:
    study: Study
    targets_ms: tuple[float, ...]
    seeds: int
    random_nets: int
    methods: tuple[str, ...] = ORDER

    def jobs(self) -> Iterator[tuple[str, Callable[[], bool], Callable[[], None]]]:
        """What it is, whether it was done, and how it is done; a job's nets are known once it was."""
        make = {"chance": self._chance, "scaling": self._scaling, "derived": self._derived}
        for seed in range(self.seeds):
            for target_ms in self.targets_ms:
                for method in self.methods:
                    line = self.study.about(kind="rival", method=method, target_ms=target_ms, seed=seed)
                    yield self._job(line, make.get(method, self._searched))
            for line in self.found(seed):
                yield self._trained(line["net"], seed)

    def found(self, seed: int) -> list[dict[str, Any]]:
        """The nets of a seed, each with its method and target."""
        lines = self.study.records.where(**self.study.about(kind="rival", seed=seed))
        return [dict(one) for one in lines if one["target_ms"] in self.targets_ms and one["method"] in self.methods]

    def _job(
        self, line: dict[str, Any], make: Callable[[str, float, int], list[tuple[str, float]]]
    ) -> tuple[str, Callable[[], bool], Callable[[], None]]:
        method, target_ms, seed = line["method"], line["target_ms"], line["seed"]

        def do() -> None:
            started = time.process_time()
            nets = make(method, target_ms, seed)
            cpu_s = round(time.process_time() - started, 1)  # of the last go
            for net, latency_us in nets:
                self.study.records.add(line | {"net": net, "latency_us": round(latency_us, 3), "cpu_s": cpu_s})

        return f"{method}, {target_ms:g} ms, seed {seed}", lambda: bool(self.study.records.where(**line)), do

    def _chance(self, _method: str, target_ms: float, seed: int) -> list[tuple[str, float]]:
        model, rng = self.study.model(), np.random.default_rng((seed, round(1000 * target_ms)))
        nets = random_within((model,), self.random_nets, rng, (1000 * target_ms,))
        return [(net.candidates_text, model.net_us(net)) for net in nets]

    def _scaling(self, _method: str, target_ms: float, _seed: int) -> list[tuple[str, float]]:
        model = self.study.model()
        net = scaled(model, 1000 * target_ms)  # its narrowest may not fit, where other nets leave layers out
        return [(net.candidates_text, model.net_us(net))] if net else []

    def _searched(self, method: str, target_ms: float, seed: int) -> list[tuple[str, float]]:
        mode, name = SUPERNETS[method]
        line = as_read(found_line(self.study, name, mode, target_ms, seed))
        if not self.study.records.where(**line):
            search_nets(self.study, name, mode, target_ms, seed)
        (found, *_) = self.study.records.where(**line)
        return [(found["net"], found["latency_us"])]

    def _derived(self, _method: str, target_ms: float, seed: int) -> list[tuple[str, float]]:
        folder = self.study.supernet_folder(MASKS, self.targets_ms[0], seed)
        request = DeriveRequest(
            search=folder,
            luts=(read_lut(self.study.lut),),
            targets_ms=(target_ms,),
            folder=folder / "derived",
            scored=self.study.draws * self.study.rounds,
            seed=seed,
            computing=Computing(threads=1),
        )
        (part,) = derive_nets(request, Hardware("cpu"), quiet).parts
        best = part.nets[0]
        return [(best.net.candidates_text, next(iter(best.predicted_us.values())))]

    def _trained(self, net: str, seed: int) -> tuple[str, Callable[[], bool], Callable[[], None]]:
        line = training_line(self.study, net, seed)
        return f"training {seed} of {net}", lambda: bool(self.study.records.where(**line)), lambda: self._train(line)

    def _train(self, line: dict[str, Any]) -> None:
        """Trains a net from scratch at its own resolution and tests it once, at the end."""
        study, space = self.study, self.study.model().space
        net = parse_net(line["net"], space)
        full = find_data(study.data).resolution
        sizes = dict(zip(space.resolutions, sizes_at(full, space.resolutions), strict=True))
        data = find_data(study.data, DataOptions(resolution=sizes[net.space.resolution]))
        folder = study.folder / "trainings" / hashlib.sha256(json.dumps(line).encode()).hexdigest()[:24]
        setup = TrainSetup(
            net=empty_net(retargeted(net, data.resolution, data.classes)),
            name=line["net"],
            data=data,
            recipe=study.recipe,
            folder=folder,
            seed=line["seed"],
            tests_at_end_only=True,
        )
        test = train(setup, quiet).test
        study.records.add(line | {"accuracy": test.accuracy, "loss": round(test.loss, 6), "images": test.images})
        shutil.rmtree(folder)


def training_line(study: Study, net: str, seed: int) -> dict[str, Any]:
    return as_read(study.about(kind="training", net=net, seed=seed, recipe=study.recipe.to_dict()))


def scaled(model: CostModel, target_us: float) -> Net | None:
    """A net within the target that has one block everywhere, all widths scaled alike; None where none is.

    Of the first of BLOCKS, and of that the largest resolution, that has one above WINDOW of the target; where no block
    has, it is the slowest of all that are within it. Of several the slowest.
    """
    resolutions = reversed(range(max(1, len(model.space.resolutions))))
    best: tuple[float, Net | None] = 0.0, None
    for block, resolution in itertools.product(BLOCKS, resolutions):
        shares = np.linspace(0, 1, STEPS)
        for positions in dict.fromkeys(_scaled_to(model.space, float(share), resolution, block) for share in shares):
            net = net_at(model.space, positions, "scaled@{label}")
            if best[0] < model.net_us(net) <= target_us:
                best = model.net_us(net), net
        if best[0] > WINDOW * target_us:
            break
    return best[1]


def _scaled_to(space: Space, share: float, resolution: int, block: str) -> tuple[int, ...]:
    """The options of the net whose channels are nearest to this share of the widest."""
    positions = []
    for decision in decisions(space):
        if decision.kind == "candidate":
            names = [candidate.name for candidate in space.layers[decision.index].candidates]
            positions.append(names.index(block) if block in names else 0)
        elif decision.kind == "channels":
            options = np.array(space.stages[decision.index].options)
            positions.append(int(np.abs(options - share * options[-1]).argmin()))
        else:
            positions.append(resolution)
    return tuple(positions)


def report(plan: Plan, plot: Path | None) -> None:
    """A table for each target: the methods' accuracies from scratch, best first; then the fronts and the costs."""
    points = accuracies(plan)
    for target_ms in plan.targets_ms:
        print(f"\n{target_ms:g} ms\n")
        print(f"| {' | '.join(COLUMNS)} |\n|{'---|' * len(COLUMNS)}")
        chance = [one.accuracy for one in points.get(("chance", target_ms), [])]
        rows = [(method, points[method, target_ms]) for method in ORDER if (method, target_ms) in points]
        for method, of in sorted(rows, key=lambda row: -np.mean([one.accuracy for one in row[1]])):
            found = np.array([one.accuracy for one in of])
            share = np.mean([one.latency_us for one in of]) / (1000 * target_ms)
            seeds = len({one.seed for one in of})
            cells = [method, str(len(of)), str(seeds), f"{share:.3f}", f"{found.mean():.1%}", interval(found)]
            is_told = chance and method != "chance"
            beaten = f"{np.mean([share_beaten(one, chance) for one in found]):.0%}" if is_told else "-"
            cells += [beaten, found_in(plan, method, target_ms)]
            print("| " + " | ".join(cells) + " |")
    print_fronts(plan, points)
    if plot:
        draw({key: [(one.latency_us, one.accuracy) for one in of] for key, of in points.items()}, plot)


def found_in(plan: Plan, method: str, target_ms: float) -> str:
    """The processor's seconds that a seed's nets took to find, the mean of the seeds; - where nothing is computed."""
    if method not in FOUND_BY_SCORES:
        return "-"
    lines = [one for seed in range(plan.seeds) for one in plan.found(seed) if one["method"] == method]
    spent = [one["cpu_s"] for one in lines if one["target_ms"] == target_ms and "cpu_s" in one]
    return f"{np.mean(spent):.0f} s" if spent else "-"


def interval(found: Array) -> str:
    """Of the mean, by bootstrap over nets; of fewer than three there is none."""
    if len(found) < FEW:
        return "-"
    within = bootstrap(lambda some: float(some.mean()), found)
    return f"{within.low:.1%} to {within.high:.1%}"


def print_fronts(plan: Plan, points: dict[tuple[str, float], list[Trained]]) -> None:
    """Searches of their own for each target against derivations from one supernet, by seed, where all are there."""
    rows = []
    errors = [1 - one.accuracy for of in points.values() for one in of]
    worst = 1000 * max(plan.targets_ms), max(errors, default=1.0)
    for seed in range(plan.seeds):
        for method in ("masks", "derived"):
            own = [one for t in plan.targets_ms for one in points.get((method, t), []) if one.seed == seed]
            lines = [one for one in plan.found(seed) if one["method"] == method]
            if len(own) < len(plan.targets_ms) or len(own) < FEW:
                continue
            area = hypervolume([(one.latency_us, 1 - one.accuracy) for one in own], worst) / 10
            first = [one for one in plan.found(seed) if one["method"] == "masks"][:1] if method == "derived" else []
            cpu_s = sum(line.get("cpu_s", np.nan) for line in (*first, *lines))
            mean = np.mean([one.accuracy for one in own])
            rows.append(f"| {method} | {seed} | {len(own)} | {mean:.1%} | {area:.2f} | {cpu_s:.0f} s |")
    if rows:
        print(f"\nFronts; hypervolume up to {worst[0] / 1000:g} ms and {worst[1]:.1%} of errors, in ms x points.\n")
        print("| nets | seed | targets | mean accuracy | hypervolume | processor, the supernets' training with it |")
        print("|---|---|---|---|---|---|\n" + "\n".join(rows))


@dataclass(frozen=True)
class Trained:
    """A net that was trained from scratch."""

    latency_us: float
    accuracy: float
    seed: int


def accuracies(plan: Plan) -> dict[tuple[str, float], list[Trained]]:
    """(method, target) -> each net that was trained."""
    found: dict[tuple[str, float], list[Trained]] = {}
    for seed in range(plan.seeds):
        for line in plan.found(seed):
            for done in plan.study.records.where(**training_line(plan.study, line["net"], seed))[:1]:
                key = line["method"], line["target_ms"]
                found.setdefault(key, []).append(Trained(line["latency_us"], done["accuracy"], seed))
    return found


def draw(points: dict[tuple[str, float], list[tuple[float, float]]], path: Path) -> None:
    """A point for each net that was trained; a line through the means where a method has several targets."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 4.2), layout="constrained")
    axes = figure.subplots()
    for number, method in enumerate(ORDER):
        mine = [np.array(of).T for (name, _), of in sorted(points.items()) if name == method]
        if not mine:
            continue
        x, y = np.concatenate(mine, axis=1)
        style: dict[str, Any] = {"color": "0.6"} if method == "chance" else {"color": f"C{number}"}
        size, shape = (3, "o") if method == "chance" else (6, "osD^v"[number])
        axes.plot(x / 1000, 100 * y, shape, ms=size, label=method, mec="white", mew=0.5, **style, zorder=9 - number)
        if len(mine) > 1:
            means = np.array([part.mean(axis=1) for part in mine]).T
            axes.plot(means[0] / 1000, 100 * means[1], "-", lw=1.2, alpha=0.7, **style, zorder=2)
    axes.set(xlabel="predicted latency (ms)", ylabel="accuracy from scratch (%)")
    axes.grid(color="0.9", lw=0.8, zorder=0)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(fontsize=8)
    figure.savefig(path)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    defaults = {"data": "fashion-mnist:3000", "targets_ms": "1.8,2.3", "seeds": 3, "search_epochs": 40}
    add_options(parser, RESULTS, "rivals", **defaults, draws=20, rounds=3)
    parser.add_argument("--random-nets", type=int, default=4, help="of each seed and target")
    parser.add_argument("--methods", default=",".join(ORDER), help="of the rivals")
    arguments = parser.parse_args()
    if unknown := set(arguments.methods.split(",")) - set(ORDER):
        parser.error(f"no methods: {', '.join(sorted(unknown))}; there are {', '.join(ORDER)}")
    if arguments.lut is None:
        parser.error("--lut is needed: the first line of the help makes one")
    study, methods = study_of(arguments), tuple(arguments.methods.split(","))
    plan = Plan(study, targets_of(arguments), arguments.seeds, arguments.random_nets, methods)
    if arguments.command == "report":
        report(plan, arguments.plot)
        return 0
    return do_all(plan.jobs(), arguments.limit_s)


if __name__ == "__main__":
    sys.exit(main())
