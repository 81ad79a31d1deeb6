"""A picture of the evidence: every training of the random nets, and of what the methods found, budget by budget."""

from __future__ import annotations

from pathlib import Path

from _evidence_records import Records
from _evidence_report import Group, groups_of
from matplotlib.axes import Axes
from matplotlib.figure import Figure


def plot(records: Records, path: Path) -> None:
    """A panel for each data set, recipe and budget; nets in the order of their mean accuracy."""
    panels = [(group, target) for group in groups_of(records) for target in group.targets if group.chance(target)]
    figure = Figure(figsize=(5 * max(1, len(panels)), 4), layout="constrained")
    for number, (group, target) in enumerate(panels, start=1):
        _panel(figure.add_subplot(1, len(panels), number), group, target)
    figure.savefig(path)


def _panel(axes: Axes, group: Group, target_ms: float) -> None:
    nets = sorted((one["net"] for one in group.chance(target_ms)), key=group.accuracy)
    for place, net in enumerate(nets):
        runs = [100 * run["accuracy"] for run in group.trained[net].values()]
        axes.plot([place] * len(runs), runs, "-o", color="0.6", markersize=4)
    methods = dict.fromkeys(one["method"] for one in group.found(target_ms))
    for number, method in enumerate(methods):
        own = [100 * group.accuracy(one["net"]) for one in group.found(target_ms) if one["method"] == method]
        axes.plot([len(nets) + 1 + number] * len(own), own, "_", markersize=14, markeredgewidth=2, label=method)
    if methods:
        axes.legend(loc="lower right", fontsize="small")
    axes.set_title(f"{group.data}, {group.lut}, {target_ms:g} ms", fontsize="medium")
    axes.set_xlabel("random nets, every training; then what methods found")
    axes.set_ylabel("test accuracy (%)")
    axes.set_xticks([])
