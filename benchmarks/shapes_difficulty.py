"""How hard `--data shapes` is: a 0.35-width MobileNetV2 trained on 10,000 of them at 64 x 64.

    python benchmarks/shapes_difficulty.py [--epochs 40] [--seeds 0 1 2] [--threads 1] [--folder DIR]

Prints a Markdown table: test accuracy after the last epoch, by seed (of weights, order of images and augmentation).
A run that was stopped goes on from its last epoch when it is started again with the same --folder.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import torch
from _machine import machine
from torch import nn

from lutbench.events import Event, StepProgress
from lutbench.nn.graph import GraphModule
from lutbench.search.checkpoint import CHECKPOINT
from lutbench.search.data.find import find_data
from lutbench.search.recipe import SMALL, Recipe
from lutbench.search.train import TrainSetup, train
from lutbench.space.graph import Graph
from lutbench.space.models.mobile import mobilenet_v2

DATA, RESOLUTION, WIDTH = "shapes:10000@64", 64, 0.35


def mobilenet(classes: int) -> nn.Module:
    """MobileNetV2 at width 0.35 with a classifier for so many classes."""
    *body, classifier = mobilenet_v2(RESOLUTION, WIDTH).nodes
    return GraphModule(Graph((*body, replace(classifier, shape=(classes, 1, 1)))))


def show(event: Event) -> None:
    if isinstance(event, StepProgress):
        print(f"{event.stage}: {event.done} of {event.total}, {event.detail}", flush=True)


def measure(seed: int, recipe: Recipe, folder: Path) -> str:
    """A row of the table."""
    started = time.monotonic()
    source = find_data(DATA, report=show)
    own = folder / f"seed{seed}"
    resume = (own / CHECKPOINT).exists()
    net = mobilenet(source.classes)
    asked = TrainSetup(net=net, name="mobilenet_v2@64x0.35", data=source, recipe=recipe, folder=own, seed=seed)
    result = train(asked, show)
    trained_s = sum(record["train_s"] for record in result.history)
    wall = f"{time.monotonic() - started:.0f} s" if not resume else f"resumed, {trained_s:.0f} s of training"
    last = result.history[-1]
    return f"| {seed} | {100 * last['accuracy']:.1f} % | {100 * result.test.accuracy:.1f} % | {wall} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--epochs", type=int, default=SMALL.epochs)
    parser.add_argument("--learning-rate", type=float, default=SMALL.learning_rate)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--folder", type=Path, help="keep checkpoints and metrics here")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    recipe = replace(SMALL, epochs=arguments.epochs, learning_rate=arguments.learning_rate)
    folder = arguments.folder or Path(tempfile.mkdtemp(prefix="lutbench-"))
    rows = [measure(seed, recipe, folder) for seed in arguments.seeds]
    print(f"\n{machine()}, {arguments.threads} threads\n\n{recipe}\n")
    print("| seed | training accuracy, last epoch | test accuracy | wall |\n|---|---|---|---|")
    print("\n".join(rows))


if __name__ == "__main__":
    main()
