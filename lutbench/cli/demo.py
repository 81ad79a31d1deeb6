"""`lutbench demo`: from nothing to a page, by the commands that a person would type."""

from __future__ import annotations

import sys
import time
from dataclasses import dataclass
from pathlib import Path

import click

from lutbench.cli.help import HelpCommand
from lutbench.cli.out import say

SPACE = """\
# A small search space in the manner of FBNet's: 32 x 32 images, 10 classes, 7 layers to choose a block for.
name = "demo"
resolution = 32
classes = 10
candidates = ["k3_e1", "k3_e3", "k3_e6", "k5_e3", "k5_e6", "skip"]
stem = { channels = 16 }
head = { channels = 256 }
stage = [
  { channels = 16, layers = 1 },
  { channels = 24, layers = 2, stride = 2 },
  { channels = 40, layers = 2, stride = 2 },
  { channels = 80, layers = 2, stride = 2 },
]
"""
PAGE = "report.html"


@dataclass(frozen=True)
class Step:
    """A command of the demo.

    why: what it is for, said before it.
    makes: the file by which it is known as done.
    """

    why: str
    words: tuple[str, ...]
    makes: Path


def steps(folder: Path) -> tuple[Step, ...]:
    """The demo's commands, in their order."""
    from lutbench.lut.verify_file import results_path

    lut, net, weights = folder / "host.csv", folder / "searched" / "host_demo_0.json", folder / "trained" / "weights.pt"
    int8, table, page = folder / "exported" / "int8.onnx", folder / "nets.csv", folder / PAGE
    return (
        Step(
            "time every operator of a small search space on this machine",
            ("profile", "--space", str(folder / "space.toml"), "-o", str(lut), "--max-rounds", "40"),
            lut,
        ),
        Step(
            "judge the table: predict whole networks that it has never seen, and time them",
            ("verify", "--lut", str(lut), "--nets", "20", "--rounds", "12"),
            results_path(lut, 1),
        ),
        Step(
            "find two networks that are accurate, and fast here",
            (
                *("search", "--lut", str(lut), "-o", str(folder / "searched"), "--epochs", "12", "--nets", "2"),
                *("--draws", "10", "--rounds", "2"),
            ),
            net,
        ),
        Step(
            "train the better one from scratch, on the 1,797 handwritten digits that come along",
            ("train", str(net), "--epochs", "12", "-o", str(folder / "trained")),
            weights,
        ),
        Step(
            "make int8 and fp32 files of it, and see what these lose",
            ("export", str(net), "--weights", str(weights), "-o", str(folder / "exported")),
            int8,
        ),
        Step(
            "time the file, beside what the table had said before the network existed",
            ("bench", str(net), str(int8), "--lut", str(lut), "--max-rounds", "40", "-o", str(table)),
            table,
        ),
        Step("draw all of it on one page", ("report", str(lut), "-o", str(page)), page),
    )


@click.command("demo", cls=HelpCommand)
@click.option(
    "-o",
    "--output",
    "folder",
    type=click.Path(path_type=Path),
    default=Path("lutbench-demo"),
    show_default=True,
    help="Write everything into this folder.",
)
@click.option("--open/--no-open", "opened", default=True, show_default=True, help="Open the page in a browser.")
def command(folder: Path, opened: bool) -> None:
    """Try everything in a few minutes: measure a small space on this machine, find, train, export and time a net.

    Each command is shown before it runs, and can be pasted. Started again, the demo goes on with the first command
    that has not ended.
    """
    from lutbench.cli.main import run_command
    from lutbench.files import check_writable, write_atomically

    check_writable(folder / PAGE)
    began = time.monotonic()
    write_atomically(folder / "space.toml", SPACE.encode())
    todo = steps(folder)
    for number, step in enumerate(todo, start=1):
        say(f"\n[{number} of {len(todo)}] {step.why}")
        if step.makes.exists():
            say(f"done before: {step.makes}")
            continue
        say(f"$ lutbench {' '.join(step.words)}", wrapped=False)
        run_command(list(step.words))
    page = (folder / PAGE).resolve()
    say(f"\n{time.monotonic() - began:.0f} s. Everything is in {folder}; the page: {page.as_uri()}")
    if opened and sys.stdout.isatty():
        click.launch(page.as_uri())
