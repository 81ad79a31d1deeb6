"""The tables of the search's evidence, as Markdown, made of its lines alone."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import combinations
from statistics import mean

import numpy as np
from _evidence_records import Record, Records
from _evidence_statistics import (
    Array,
    Intraclass,
    bootstrap,
    hypervolume,
    intraclass,
    rank_correlation,
    share_beaten,
)

FEW = 3  # of which no interval is made
DECIDES = 0.6  # intraclass correlation from which on the net decides rather than the training's noise


@dataclass
class Group:
    """All lines of one data set, device and recipe. trained: net -> its trainings, by their seeds."""

    data: str
    lut: str
    recipe: str
    trained: dict[str, dict[int, Record]] = field(default_factory=lambda: defaultdict(dict))
    records: list[Record] = field(default_factory=list)

    @property
    def targets(self) -> list[float]:
        return sorted({one["target_ms"] for one in self.records if one["kind"] == "chance"})

    def chance(self, target_ms: float) -> list[Record]:
        """The random nets of a budget that have been trained, but for those that a search found and that were trained
        for that: they are no random sample."""
        found = {one["net"] for one in self._of("found", target_ms)}
        return [one for one in self._of("chance", target_ms) if one["net"] in self.trained and one["net"] not in found]

    def found(self, target_ms: float) -> list[Record]:
        """Best nets of searches that have been trained."""
        return [one for one in self._of("found", target_ms) if one["net"] in self.trained]

    def scores(self, target_ms: float) -> list[Record]:
        return self._of("score", target_ms)

    def accuracy(self, net: str) -> float:
        """Its trainings' mean."""
        return mean(one["accuracy"] for one in self.trained[net].values())

    def repeated(self, target_ms: float, figure: str) -> Array:
        """(nets, trainings) of the random nets that have been trained as often as any."""
        rows = [[run[figure] for run in self.trained[one["net"]].values()] for one in self.chance(target_ms)]
        most = max(map(len, rows), default=0)
        return np.array([row for row in rows if len(row) == most], dtype=np.float64).reshape(-1, most)

    def _of(self, kind: str, target_ms: float) -> list[Record]:
        return [one for one in self.records if one["kind"] == kind and one["target_ms"] == target_ms]


def report(records: Records) -> None:
    """Prints every table for which there are lines."""
    for group in groups_of(records):
        print(f"\n## {group.data}, {group.lut}\n\nFrom scratch: {group.recipe}")
        _noise(group)
        _methods(group)
        _rankings(group)
        _averaged(group)
        _fronts(group)


def groups_of(records: Iterable[Record]) -> list[Group]:
    """The lines, by data set, device and recipe."""
    lines = list(records)
    groups: dict[tuple[str, str, str], Group] = {}
    for one in lines:
        if one["kind"] == "training":
            key = one["data"], one["lut"], json.dumps(one["recipe"])
            groups.setdefault(key, Group(*key)).trained[one["net"]][one["seed"]] = one
    for group in groups.values():
        group.records = [one for one in lines if (one["data"], one["lut"]) == (group.data, group.lut)]
    return list(groups.values())


def _table(columns: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    if rows:
        print(f"\n| {' | '.join(columns)} |\n|{'---|' * len(columns)}")
    for row in rows:
        print(f"| {' | '.join(str(cell) for cell in row)} |")


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"


def _noise(group: Group) -> None:
    rows = []
    for target in group.targets:
        accuracy, loss = (group.repeated(target, figure) for figure in ("accuracy", "loss"))
        if len(accuracy) < FEW or accuracy.shape[1] < 2:
            continue
        means, found = accuracy.mean(axis=1), intraclass(accuracy)
        spread = f"{_percent(means.min())} to {_percent(means.max())}, median {_percent(float(np.median(means)))}"
        decides = "yes" if found.one.value >= DECIDES else "no"
        points = (f"{100 * sd:.2f} points" for sd in (found.between_sd, found.within_sd))
        rows.append([f"{target:g} ms", *accuracy.shape, spread, *points, found.one, intraclass(loss).one, decides])
    figures = ("accuracy", "between nets", "within a net", "ICC, one training", "ICC, cross entropy", "the net decides")
    _table(["budget", "random nets", "trainings", *figures], rows)


def _methods(group: Group) -> None:
    per_method: dict[tuple[float, str], list[tuple[float, bool, bool]]] = defaultdict(list)
    rows = []
    for target in group.targets:
        chance = [group.accuracy(one["net"]) for one in group.chance(target)]
        if not chance:
            continue
        middle, high = (float(np.quantile(chance, share)) for share in (0.5, 0.9))
        for one in group.found(target):
            own = group.accuracy(one["net"])
            beaten = share_beaten(own, chance)
            per_method[target, _label(one)].append((beaten, own > middle, own > high))
            shares = (_percent(share) for share in (own, middle, high, beaten))
            rows.append([f"{target:g} ms", _label(one), one["seed"], *shares, f"{one['cpu_s']:.0f} s"])
    figures = ("accuracy", "random nets' median", "their 90th percentile", "beats", "CPU time of the last go")
    _table(["budget", "method", "seed", *figures], rows)
    _table(
        ["budget", "method", "seeds", "above the median", "above the 90th percentile", "beats on average"],
        [[f"{target:g} ms", method, *_summary(cases)] for (target, method), cases in per_method.items()],
    )


def _label(found: Record) -> str:
    """How a search's net was found: searches of other lengths are other methods."""
    schedule = ", ".join(f"{name} {value}" for name, value in found["schedule"].items()) or "default schedule"
    finals = f", {found['finalists']} in finals" if "finalists" in found else ""
    return f"{found['method']} ({schedule}; {found['scored']} scored{finals}{_paths(found)})"


def _paths(one: Record) -> str:
    """Along which paths w learnt, where that is said."""
    return f"; paths of {one['paths']}" if "paths" in one else ""


def _finals(score: Record) -> str:
    """The epochs that a net was trained for by itself before it was scored, where that is said."""
    if "final_epochs" not in score:
        return ""
    runs = f", the mean of {score['final_runs']} runs" if "final_runs" in score else ""
    return f"; after {score['final_epochs']} epochs of each net's own{runs}"


def _summary(cases: Sequence[tuple[float, bool, bool]]) -> list[object]:
    """How many, how many above the median and above the 90th percentile, and the share of random nets beaten."""
    beaten = np.array([case[0] for case in cases])
    shown = _percent(float(beaten.mean()))
    if len(cases) >= FEW:
        within = bootstrap(lambda some: float(some.mean()), beaten)
        shown += f" ({_percent(within.low)} to {_percent(within.high)})"
    return [len(cases), *(sum(case[place] for case in cases) for place in (1, 2)), shown]


def _rankings(group: Group) -> None:
    """Ranks of random nets under a supernet (its cross entropy) against their accuracy from scratch."""
    rows = []
    for target in group.targets:
        for (mode, schedule, seed), scores in _scores_by_supernet(group, target).items():
            if len(scores) < FEW:
                continue
            pairs = [(-one["loss"], group.accuracy(one["net"])) for one in scores]
            losses = [(one["loss"], _mean_loss(group, one["net"])) for one in scores]
            found = (bootstrap(rank_correlation, np.array(two)) for two in (pairs, losses))
            rows.append([f"{target:g} ms", f"{mode} {schedule}", seed, len(scores), *found, _ceiling(group, target)])
    figures = ("Spearman, with accuracy", "with cross entropy", "ceiling by noise")
    _table(["budget", "supernet", "seed", "nets", *figures], rows)


def _scores_by_supernet(group: Group, target_ms: float) -> dict[tuple[str, str, int], list[Record]]:
    """The scores of nets that have been trained, by mode, schedule and paths, and seed."""
    found: dict[tuple[str, str, int], list[Record]] = defaultdict(list)
    for one in group.scores(target_ms):
        if one["net"] in group.trained:
            schedule = json.dumps(one["schedule"]) + _paths(one) + _finals(one)
            found[one["mode"], schedule, one["seed"]].append(one)
    return found


def _averaged(group: Group) -> None:
    """The same rank correlations where the cross entropies under two supernets are averaged: of every pair of seeds."""
    rows = []
    for target in group.targets:
        losses: dict[tuple[str, str], list[dict[str, float]]] = defaultdict(list)
        for (mode, schedule, _), scores in _scores_by_supernet(group, target).items():
            losses[mode, schedule].append({one["net"]: one["loss"] for one in scores})
        for (mode, schedule), supernets in losses.items():
            nets = sorted(set.intersection(*map(set, supernets)))
            if len(nets) < FEW or len(supernets) < 2:
                continue
            accuracy = [group.accuracy(net) for net in nets]
            columns = [[-of[net] for net in nets] for of in supernets]
            pairs = [np.mean(pair, axis=0).tolist() for pair in combinations(columns, 2)]
            shown = (_range(rank_correlation(np.array([one, accuracy]).T) for one in some) for some in (columns, pairs))
            rows.append([f"{target:g} ms", f"{mode} {schedule}", len(supernets), len(nets), *shown])
    figures = ("Spearman of one: lowest, median, highest", "of the mean of two")
    _table(["budget", "supernet", "seeds", "nets", *figures], rows)


def _range(values: Iterable[float]) -> str:
    found = np.array(list(values))
    return ", ".join(f"{value:.2f}" for value in (found.min(), float(np.median(found)), found.max()))


def _mean_loss(group: Group, net: str) -> float:
    return mean(one["loss"] for one in group.trained[net].values())


def _ceiling(group: Group, target_ms: float) -> str:
    values = group.repeated(target_ms, "accuracy")
    if len(values) < FEW or values.shape[1] < 2:
        return "not known"
    found: Intraclass = intraclass(values)
    return f"{found.ceiling:.2f}"


def _fronts(group: Group) -> None:
    """Hypervolume of a method's nets at all budgets, per seed; needs two budgets or more."""
    targets = group.targets
    if len(targets) < 2:
        return
    errors = [1 - group.accuracy(one["net"]) for target in targets for one in group.chance(target)]
    worst = max(targets), max(errors, default=1.0)
    points: dict[tuple[str, int], dict[float, tuple[float, float]]] = defaultdict(dict)
    for target in targets:
        for one in group.found(target):
            points[_label(one), one["seed"]][target] = one["latency_us"] / 1000, 1 - group.accuracy(one["net"])
    whole = {key: list(own.values()) for key, own in points.items() if len(own) == len(targets)}
    _table(
        ["method", "seed", f"hypervolume to {worst[0]:g} ms and {_percent(worst[1])} of errors, ms x points"],
        [[*key, f"{100 * hypervolume(front, worst):.2f}"] for key, front in sorted(whole.items())],
    )
