"""Nets that masks find, against their rivals at equal latency: every net trained from scratch, on real images.

    lutbench estimate published --source-device s8 --device android-s8 --space benchmarks/masked_rivals.toml -o R.csv
    python benchmarks/masked_rivals.py run --lut R.csv --targets-ms 1.5,2.5
    python benchmarks/masked_rivals.py report --lut R.csv [--plot rivals.svg]

Rivals: chance (random nets within the budget), scaling (one block everywhere, all widths scaled alike, the slowest that
fits), rejection (the best of as many random nets under the same supernet), elastic (an elastic supernet and evolution)
and derived (`lutbench derive` from the masked supernet of the first target). What is done is a line of --results;
started again it goes on, from the last epoch where a checkpoint is in --folder. --limit-s ends it after so long, with
status 75 where work is left.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import shutil
import signal
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any

import numpy as np
import torch
from _evidence_jobs import Study, found_line, quiet, search_nets
from _evidence_records import Records

from lutbench.errors import InterruptedRunError
from lutbench.jobs.derive import DeriveRequest, derive_nets
from lutbench.lut.file import read_lut
from lutbench.nn.workload import empty_net
from lutbench.search.chance import random_within
from lutbench.search.data.find import find_data
from lutbench.search.data.options import DataOptions
from lutbench.search.grid_costs import CostModel
from lutbench.search.hardware import Hardware
from lutbench.search.recipe import Recipe
from lutbench.search.resolutions import sizes_at
from lutbench.search.train import TrainSetup, train
from lutbench.space.decisions import decisions, net_at
from lutbench.space.net import Net, parse_net
from lutbench.space.zoo import retargeted

LEFT = 75  # the exit status where work is left, EX_TEMPFAIL
RESULTS = Path(__file__).parent / "results" / "masked_rivals.jsonl"
RECIPE = {"epochs": 6, "batch_size": 64, "learning_rate": 0.05, "milestones": (0.5, 0.75, 0.9), "clip": 5.0}
MASKS, ELASTIC = "mixed", "elastic"
SUPERNETS = {"masks": (MASKS, "mixed"), "rejection": (MASKS, "random"), "elastic": (ELASTIC, "elastic")}
ORDER = ("masks", "rejection", "elastic", "derived", "scaling", "chance")
BLOCK = "k3_e3_relu"  # of the net whose widths are scaled
STEPS = 200  # of the scale


@dataclass(frozen=True)
class Plan:
    study: Study
    targets_ms: tuple[float, ...]
    seeds: int
    random_nets: int

    def jobs(self) -> Iterator[tuple[str, Callable[[], bool], Callable[[], None]]]:
        """What it is, whether it was done, and how it is done; a job's nets are known once it was."""
        for seed in range(self.seeds):
            for target_ms in self.targets_ms:
                yield self._drawn("chance", target_ms, seed)
                yield self._drawn("scaling", target_ms, seed)
                for method in SUPERNETS:
                    yield self._searched(method, target_ms, seed)
            for target_ms in self.targets_ms[1:]:
                yield self._derived(target_ms, seed)
            for line in self.found(seed):
                yield self._trained(line["net"], seed)

    def found(self, seed: int) -> list[dict[str, Any]]:
        """The nets of a seed, each with its method and target."""
        lines = self.study.records.where(**self.study.about(kind="rival", seed=seed))
        return [dict(line) for line in lines if line["target_ms"] in self.targets_ms]

    def _line(self, method: str, target_ms: float, seed: int) -> dict[str, Any]:
        return self.study.about(kind="rival", method=method, target_ms=target_ms, seed=seed)

    def _job(
        self, line: dict[str, Any], make: Callable[[], list[tuple[str, float]]]
    ) -> tuple[str, Callable[[], bool], Callable[[], None]]:
        def do() -> None:
            for net, latency_us in make():
                self.study.records.add(line | {"net": net, "latency_us": round(latency_us, 3)})

        text = f"{line['method']}, {line['target_ms']:g} ms, seed {line['seed']}"
        return text, lambda: bool(self.study.records.where(**line)), do

    def _drawn(self, method: str, target_ms: float, seed: int) -> tuple[str, Callable[[], bool], Callable[[], None]]:
        model = self.study.model()

        def make() -> list[tuple[str, float]]:
            if method == "scaling":
                nets = [scaled(model, 1000 * target_ms)]
            else:
                rng = np.random.default_rng((seed, round(1000 * target_ms)))
                nets = random_within((model,), self.random_nets, rng, (1000 * target_ms,))
            return [(net.candidates_text, model.net_us(net)) for net in nets]

        return self._job(self._line(method, target_ms, seed), make)

    def _searched(self, method: str, target_ms: float, seed: int) -> tuple[str, Callable[[], bool], Callable[[], None]]:
        mode, name = SUPERNETS[method]

        def make() -> list[tuple[str, float]]:
            search_nets(self.study, name, mode, target_ms, seed)  # type: ignore[arg-type]
            (line, *_) = self.study.records.where(**as_read(found_line(self.study, name, mode, target_ms, seed)))
            return [(line["net"], line["latency_us"])]

        return self._job(self._line(method, target_ms, seed), make)

    def _derived(self, target_ms: float, seed: int) -> tuple[str, Callable[[], bool], Callable[[], None]]:
        study, first = self.study, self.targets_ms[0]

        def make() -> list[tuple[str, float]]:
            folder = study.supernet_folder(MASKS, first, seed)
            request = DeriveRequest(
                search=folder,
                luts=(read_lut(study.lut),),
                targets_ms=(target_ms,),
                folder=folder / "derived",
                scored=study.draws * study.rounds,
                seed=seed,
            )
            (part,) = derive_nets(request, Hardware("cpu"), quiet).parts
            best = part.nets[0]
            return [(best.net.candidates_text, next(iter(best.predicted_us.values())))]

        return self._job(self._line("derived", target_ms, seed), make)

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


def as_read(line: dict[str, Any]) -> dict[str, Any]:
    """A line as JSON gives it back."""
    return dict(json.loads(json.dumps(line)))


def scaled(model: CostModel, target_us: float) -> Net:
    """One block everywhere, at the largest resolution, all widths scaled alike: the slowest net within the target."""
    space, found = model.space, {}
    for share in np.linspace(0, 1, STEPS):
        positions = []
        for decision in decisions(space):
            if decision.kind == "candidate":
                names = [candidate.name for candidate in space.layers[decision.index].candidates]
                positions.append(names.index(BLOCK) if BLOCK in names else 0)
            elif decision.kind == "channels":
                options = np.array(space.stages[decision.index].options)
                positions.append(int(np.abs(options - share * options[-1]).argmin()))
            else:
                positions.append(decision.count - 1)
        net = net_at(space, tuple(positions), "scaled@{label}")
        if model.net_us(net) <= target_us:
            found[model.net_us(net)] = net
    if not found:
        raise SystemExit(f"no scale of {BLOCK} fits into {target_us:.0f} us")
    return found[max(found)]


def run(plan: Plan, limit_s: int) -> int:
    def stop(_signal: int, _frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    signal.signal(signal.SIGALRM, stop)
    signal.alarm(limit_s)
    try:
        for text, is_done, do in plan.jobs():
            if not is_done():
                print(text, flush=True)
                do()
    except (KeyboardInterrupt, InterruptedRunError):
        print("stopped; the same command goes on")
        return LEFT
    return 0


def report(plan: Plan, plot: Path | None) -> None:
    """A table for each target: the methods' accuracies from scratch, best first."""
    points = accuracies(plan)
    for target_ms in plan.targets_ms:
        print(f"\n{target_ms:g} ms\n")
        print("| nets | trained | of the target | mean accuracy | least and most | random nets that it beats |")
        print("|---|---|---|---|---|---|")
        chance = [accuracy for _, accuracy in points.get(("chance", target_ms), [])]
        rows = [(method, points[method, target_ms]) for method in ORDER if (method, target_ms) in points]
        for method, of in sorted(rows, key=lambda row: -np.mean([accuracy for _, accuracy in row[1]])):
            found = np.array([accuracy for _, accuracy in of])
            share = np.mean([latency_us for latency_us, _ in of]) / (1000 * target_ms)
            beaten = np.mean([[one > other for other in chance] for one in found]) if chance else np.nan
            cells = [
                method,
                str(len(of)),
                f"{share:.3f}",
                f"{found.mean():.1%}",
                f"{found.min():.1%} to {found.max():.1%}",
            ]
            print("| " + " | ".join([*cells, "-" if method == "chance" else f"{beaten:.0%}"]) + " |")
    if plot:
        draw(points, plot)


def accuracies(plan: Plan) -> dict[tuple[str, float], list[tuple[float, float]]]:
    """(method, target) -> latency and accuracy of each net that was trained."""
    found: dict[tuple[str, float], list[tuple[float, float]]] = {}
    for seed in range(plan.seeds):
        for line in plan.found(seed):
            for done in plan.study.records.where(**training_line(plan.study, line["net"], seed))[:1]:
                key = line["method"], line["target_ms"]
                found.setdefault(key, []).append((line["latency_us"], done["accuracy"]))
    return found


def draw(points: dict[tuple[str, float], list[tuple[float, float]]], path: Path) -> None:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 4), layout="constrained")
    axes = figure.subplots()
    for method in ORDER:
        mine = [point for (name, _), of in points.items() if name == method for point in of]
        if mine:
            x, y = np.array(mine).T
            axes.plot(
                x / 1000, 100 * y, "." if method == "chance" else "o", label=method, zorder=ORDER[::-1].index(method)
            )
    axes.set(xlabel="predicted latency (ms)", ylabel="accuracy from scratch (%)")
    axes.legend()
    figure.savefig(path)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("command", choices=["run", "report"])
    parser.add_argument("--lut", type=Path, required=True)
    parser.add_argument("--data", default="fashion-mnist:3000")
    parser.add_argument("--targets-ms", default="1.5,2.5")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--random-nets", type=int, default=4, help="of each seed and target")
    parser.add_argument("--epochs", type=int, default=RECIPE["epochs"], help="of a training from scratch")
    parser.add_argument("--search-epochs", type=int, default=40, help="of a supernet")
    parser.add_argument("--draws", type=int, default=20, help="nets that a method scores in a round")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--plot", type=Path, help="a picture that `report` writes, too")
    parser.add_argument("--results", type=Path, default=RESULTS)
    parser.add_argument("--folder", type=Path, default=Path("rivals"), help="of checkpoints")
    parser.add_argument("--limit-s", type=int, default=0)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    study = Study(
        arguments.lut,
        arguments.data,
        arguments.folder,
        Records(arguments.results),
        Recipe(**{**RECIPE, "epochs": arguments.epochs}),
        {"epochs": arguments.search_epochs},
        arguments.draws,
        arguments.rounds,
    )
    targets = tuple(float(text) for text in arguments.targets_ms.split(","))
    plan = Plan(study, targets, arguments.seeds, arguments.random_nets)
    if arguments.command == "report":
        report(plan, arguments.plot)
        return 0
    return run(plan, arguments.limit_s)


if __name__ == "__main__":
    sys.exit(main())
