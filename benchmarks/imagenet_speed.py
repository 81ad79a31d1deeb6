"""Images a second on photographs at 224 x 224, and what the paper's schedules would take at that rate.

    python benchmarks/imagenet_speed.py [--resolution 224] [--batch-size 16] [--per-class 3] [--jobs soft,hard,train]

Draws a folder of 100 classes of photographs, so many a class, and runs some epochs of each job as a user would: a
search in soft and in hard mode, a training of FBNet-A, and with `2x` before its name (2xsoft) the same by two processes
of torchrun. Options may follow a job's name: "soft --bf16 --compile". The last epoch counts: in the first one kernels
are made, which takes a GPU a minute or more. A job that is done in --folder is not run again. Prints Markdown: images a
second, and from them the time of an epoch and of the whole schedule of the paper, on 100 of ImageNet's classes for a
search and on all of them for a training.
"""

from __future__ import annotations

import argparse
import colorsys
import json
import math
import os
import subprocess
import sys
from collections.abc import Iterator
from multiprocessing import Pool
from pathlib import Path

import numpy as np
from _machine import machine
from PIL import Image, ImageDraw

from lutbench.search.recipe import PAPER as RECIPE
from lutbench.search.schedule import PAPER as SCHEDULE

CLASSES, PER_CLASS, ALL_IMAGES = 100, 1300, 1_281_167  # of ImageNet: searched, images of each, trained
W_SHARE = 0.8
TWO = "2x"  # before a job's name
TORCHRUN = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
SIZE = 320, 240  # pixels
NET = "fbnet_a"
FEW_NETS = ["--warmup", "0", "--draws", "1", "--rounds", "1", "--nets", "1", "--views", "0"]


def draw(folder: Path, per_class: int) -> None:
    """The photographs, in as many processes as there are cores."""
    with Pool() as pool:
        pool.starmap(draw_class, [(folder, number, per_class) for number in range(CLASSES)])


def draw_class(folder: Path, number: int, per_class: int) -> None:
    """A colour and a number of corners for each class, in noise."""
    rng = np.random.default_rng(number)
    rgb = tuple(int(255 * part) for part in colorsys.hsv_to_rgb(number % 10 / 10, 0.8, 0.9))
    for part, count in (("train", per_class), ("val", 1)):
        own = folder / part / f"class_{number:03}"
        own.mkdir(parents=True, exist_ok=True)
        for image in range(count):
            noise = Image.fromarray((120 * rng.random((*reversed(SIZE), 3))).astype(np.uint8))
            radius, turn, corners = rng.uniform(40, 90), rng.uniform(0, math.tau), 3 + number // 10
            middle = [rng.uniform(radius, side - radius) for side in SIZE]
            angles = [turn + math.tau * corner / corners for corner in range(corners)]
            points = [(middle[0] + radius * math.cos(a), middle[1] + radius * math.sin(a)) for a in angles]
            ImageDraw.Draw(noise).polygon(points, fill=rgb)
            noise.save(own / f"{image}.jpg", quality=88)


def run(job: str, folder: Path, options: list[str]) -> dict[str, float]:
    """The last epoch's line of metrics.jsonl.

    job: a name, and options behind it.
    """
    name, *own = job.split()
    out = folder / "_".join((name, *(option.strip("-") for option in own)))
    if not (out / "done").exists():
        kind, processes = name.removeprefix(TWO), name.startswith(TWO)
        command = ["train", NET] if kind == "train" else ["search", "--lut", "luts/s8.csv", "--mode", kind]
        command += [] if kind == "train" else FEW_NETS
        command += [*options, *own, "--data", f"imagefolder:{folder / 'images'}", "-o", str(out)]
        environment = {**os.environ, **({"OMP_NUM_THREADS": "1"} if processes else {})}
        start = [sys.executable, *(TORCHRUN if processes else []), "-m", "lutbench"]
        subprocess.run([*start, *command], stdout=subprocess.DEVNULL, env=environment, check=True)
        (out / "done").touch()
    last: dict[str, float] = json.loads((out / "metrics.jsonl").read_text().splitlines()[-1])
    return last


def costs(record: dict[str, float]) -> Iterator[tuple[str, float, float, float]]:
    """A part, its images a second, the seconds of one of the paper's epochs, and the hours of all of them."""
    if "w_images_per_s" not in record:
        rate = record["images_per_s"]
        yield "all", rate, ALL_IMAGES / rate, RECIPE.epochs * ALL_IMAGES / rate / 3600
        return
    images = CLASSES * PER_CLASS
    for part, share, epochs in (
        ("w", W_SHARE, SCHEDULE.epochs),
        ("theta", 1 - W_SHARE, SCHEDULE.epochs - SCHEDULE.warmup),
    ):
        rate = record[f"{part}_images_per_s"]
        epoch_s = share * images / rate
        yield part, rate, epoch_s, epochs * epoch_s / 3600


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--resolution", type=int, default=224)
    parser.add_argument("--batch-size", type=int, default=16)
    parser.add_argument("--per-class", type=int, default=3)
    parser.add_argument("--epochs", type=int, default=2, help="2 or more: the last one counts")
    parser.add_argument("--jobs", default="soft,hard,train")
    parser.add_argument("--folder", type=Path, default=Path("imagenet-speed"))
    arguments = parser.parse_args()
    folder = arguments.folder
    if not (folder / "drawn").exists():
        draw(folder / "images", arguments.per_class)
        (folder / "drawn").touch()
    print(f"{machine()}; {arguments.resolution} x {arguments.resolution}, batch {arguments.batch_size}\n", flush=True)
    print(
        "| job | part | images a second | s for one of the paper's epochs | h for its schedule |\n|---|---|---|---|---|"
    )
    for job in arguments.jobs.split(","):
        size = "--resolution" if job.split()[0].endswith("train") else "--train-resolution"
        options = [size, str(arguments.resolution), "--batch-size", str(arguments.batch_size)]
        options += ["--epochs", str(arguments.epochs)]
        for part, rate, epoch_s, hours in costs(run(job, folder, options)):
            print(f"| {job} | {part} | {rate:.2f} | {epoch_s:,.0f} | {hours:,.0f} |", flush=True)


if __name__ == "__main__":
    main()
