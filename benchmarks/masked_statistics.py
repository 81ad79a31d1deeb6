"""What it costs to judge nets of a masked supernet with the batch norm statistics that its training left behind.

python benchmarks/masked_statistics.py FOLDER [--nets 40] [--data digits] [--seed 0]

FOLDER is that of a finished search of a space that comes along (`lutbench search --space fbnetv2 ...`). Random nets of
the space are judged on theta's share of the images with the statistics as they stand and with their own, taken anew on
ten batches. Printed: mean accuracy and cross entropy of both, and Kendall's tau between the two orders of the nets,
with 95 % intervals of a bootstrap over nets.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from _machine import machine
from scipy.stats import kendalltau

from lutbench.jobs.learning import Computing, Images, open_images
from lutbench.search.derive import calibrate
from lutbench.search.finished import read_search
from lutbench.search.hardware import Hardware
from lutbench.search.train import evaluate
from lutbench.space.decisions import choice_positions
from lutbench.space.find import known_space
from lutbench.space.sampling import random_nets


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--nets", type=int, default=40)
    parser.add_argument("--data", default="")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    found = read_search(arguments.folder)
    name = found.space.split("@")[0]
    space = known_space(name).scaled(found.net_resolution, found.width)
    found.check_space(space)
    images = Images(
        data=arguments.data or found.data,
        resolution=found.resolution,
        classes=found.classes,
        data_seed=found.data_seed,
    )
    data = open_images(images, Computing(), Hardware("cpu"), lambda _event: None)
    supernet = found.supernet(space, "cpu")
    scores = []
    for net in random_nets(space, arguments.nets, arguments.seed, "statistics"):
        alone = supernet.subnet(choice_positions(net)).eval()
        old = evaluate(alone, data.plain_batches(256, "theta"), "cpu")
        calibrate(alone, data, found.batch_size)
        new = evaluate(alone, data.plain_batches(256, "theta"), "cpu")
        scores.append((old.accuracy, new.accuracy, old.loss, new.loss))
    table = np.array(scores)
    rng = np.random.default_rng(0)
    samples = rng.integers(0, len(table), (1000, len(table)))
    print(f"{machine()}; {len(table)} random nets of {space.name}, {data.name}, {data.count('theta')} images\n")
    print("| statistics | accuracy | 95 % interval | cross entropy | 95 % interval |")
    print("|---|---|---|---|---|")
    for number, label in enumerate(("as training left them", "taken anew")):
        cells = []
        for column, form in ((number, "{:.1%}"), (number + 2, "{:.3f}")):
            low, high = np.quantile(table[samples, column].mean(1), [0.025, 0.975])
            cells += [form.format(table[:, column].mean()), f"{form.format(low)} to {form.format(high)}"]
        print(f"| {label} | " + " | ".join(cells) + " |")
    taus = [kendalltau(table[s, 2], table[s, 3]).statistic for s in samples]
    low, high = np.nanquantile(taus, [0.025, 0.975])
    tau = kendalltau(table[:, 2], table[:, 3]).statistic
    print(f"\nKendall's tau of the two orders by cross entropy: {tau:.2f} ({low:.2f} to {high:.2f})")


if __name__ == "__main__":
    main()
