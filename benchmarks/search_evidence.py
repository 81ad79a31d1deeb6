"""Whether a search beats chance on real images, and whether there is anything to find there.

    python benchmarks/search_evidence.py run [--data fashion-mnist:6000] [--targets-ms 5,8] [--methods mixed,random]
    python benchmarks/search_evidence.py report [--plot evidence.svg]

First random nets within each budget are trained several times each: how much of what they differ by is the net, and how
much the training's noise (intraclass correlation; below .6 a comparison of methods says little). Then each method
searches with each seed, its best net is trained as often, and the random nets are scored under the supernets. What is
done is a line of benchmarks/results/search_evidence.jsonl, and all of them are of the LUT beside it: started again,
here or on another machine, it goes on, from the last epoch where a checkpoint is in --folder. --limit-s ends it after
so long, with status 75 where work is left; --part 2/4 does the second quarter of the jobs, so that as many run beside
each other as there are cores; what another part's search found is trained in the next go.
"""

from __future__ import annotations

import argparse
import sys
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from _evidence_jobs import (
    Epochs,
    Study,
    found_line,
    keep_random_nets,
    score_line,
    score_nets,
    search_nets,
    train_net,
    training_line,
)
from _evidence_plot import plot
from _evidence_records import RESULTS, Records
from _evidence_report import report
from _evidence_study import add_options, as_read, do_all, study_of, targets_of

from lutbench.jobs.search import METHODS, default_mode


@dataclass(frozen=True)
class Job:
    """Something to do, and whether it was done.

    lot: jobs of one lot need what the others leave in the folder, and are of one part.
    """

    text: str
    lot: str
    is_done: Callable[[], bool]
    do: Callable[[], None]


@dataclass(frozen=True)
class Plan:
    """Which jobs a study has, in the order in which they are done."""

    study: Study
    targets_ms: tuple[float, ...]
    methods: tuple[str, ...]
    seeds: int
    nets: int
    trainings: int
    mode: str
    finals: Epochs | None

    def jobs(self) -> Iterator[Job]:
        """All of them; those of what searches found are known once the searches are done."""
        chance = {target: self._random(target) for target in self.targets_ms}
        for target in self.targets_ms:
            yield from (self._training(net, seed) for net in chance[target] for seed in range(self.trainings))
        for seed in range(1, self.seeds + 1):  # seed 0 is the random nets': `random` would score these very nets
            for target in self.targets_ms:
                for method in self.methods:
                    yield from self._search(method, target, seed)
                for mode in dict.fromkeys(self.mode_of(method) for method in self.methods):
                    yield self._scores(mode, target, seed, chance[target], None)
                    if self.finals:
                        yield self._scores(mode, target, seed, chance[target], self.finals)

    def mode_of(self, method: str) -> str:
        """The mode of the supernet that a method ranks with."""
        return METHODS[method][0] or self.mode

    def _random(self, target_ms: float) -> list[str]:
        return keep_random_nets(self.study, target_ms, self.nets)

    def _training(self, net: str, seed: int) -> Job:
        line = training_line(self.study, net, seed)
        text = f"training {seed} of {net}"
        return Job(text, text, self._has(line), lambda: train_net(self.study, net, seed))

    def _search(self, method: str, target: float, seed: int) -> Iterator[Job]:
        mode = self.mode_of(method)
        line = found_line(self.study, method, mode, target, seed)
        yield Job(
            f"search by {method}, {target:g} ms, seed {seed}",
            f"{mode}, {target:g} ms, seed {seed}",
            self._has(line),
            lambda: search_nets(self.study, method, mode, target, seed),
        )
        for found in self.study.records.where(**line)[:1]:
            yield from (self._training(found["net"], training) for training in range(self.trainings))

    def _scores(self, mode: str, target: float, seed: int, nets: list[str], finals: Epochs | None) -> Job:
        def left() -> list[str]:
            lines = {net: score_line(self.study, mode, target, seed, net, finals) for net in nets}
            return [net for net, line in lines.items() if not self._has(line)()]

        own = ", after {} epochs of their own, {} times".format(*finals) if finals else ""
        return Job(
            f"scores under {mode}, {target:g} ms, seed {seed}{own}",
            f"{mode}, {target:g} ms, seed {seed}",
            lambda: not left(),
            lambda: score_nets(self.study, mode, target, seed, left(), finals),
        )

    def _has(self, line: dict[str, object]) -> Callable[[], bool]:
        return lambda: bool(self.study.records.where(**as_read(line)))


def run(plan: Plan, part: int, parts: int, limit_s: int) -> int:
    """Does what is left of a part; LEFT where time ran out."""
    own = (job for job in plan.jobs() if zlib.crc32(job.lot.encode()) % parts == part)
    return do_all(((job.text, job.is_done, job.do) for job in own), limit_s)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    defaults = {"data": "fashion-mnist:6000", "lut": RESULTS.with_name("s8.csv"), "targets_ms": "5,8", "seeds": 5}
    add_options(parser, RESULTS, "evidence", **defaults, draws=30, rounds=8)
    parser.add_argument("--methods", default="mixed,dnas,random,evolution,uniform")
    parser.add_argument("--nets", type=int, default=20, help="random nets of each budget")
    parser.add_argument("--trainings", type=int, default=2, help="from scratch, of each net")
    parser.add_argument("--part", default="1/1")
    parser.add_argument(
        "--final-epochs", type=int, default=0, help="random nets are scored after so many epochs of their own, too"
    )
    parser.add_argument("--final-runs", type=int, default=1, help="the mean of so many such scores")
    arguments = parser.parse_args()
    if arguments.command == "report":
        report(Records(arguments.results))
        if arguments.plot:
            plot(Records(arguments.results), arguments.plot)
        return 0
    study = study_of(arguments)
    plan = Plan(
        study,
        targets_of(arguments),
        tuple(arguments.methods.split(",")),
        arguments.seeds,
        arguments.nets,
        arguments.trainings,
        default_mode(study.images().count("all")),
        (arguments.final_epochs, arguments.final_runs) if arguments.final_epochs else None,
    )
    part, parts = (int(text) for text in arguments.part.split("/"))
    return run(plan, part - 1, parts, arguments.limit_s)


if __name__ == "__main__":
    sys.exit(main())
