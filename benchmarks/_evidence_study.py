"""What the programs that gather evidence are told alike: a study made of options, and a run that can end early."""

from __future__ import annotations

import argparse
import json
import signal
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from types import FrameType
from typing import Any

import torch
from _evidence_jobs import Study
from _evidence_records import Records

from lutbench.errors import InterruptedRunError
from lutbench.search.hardware import ACCELERATORS
from lutbench.search.recipe import Recipe

LEFT = 75  # the exit status where work is left, EX_TEMPFAIL
# few epochs, at the end of which the rate is low enough that accuracy no longer moves
RECIPE = {"epochs": 6, "batch_size": 64, "learning_rate": 0.05, "milestones": (0.5, 0.75, 0.9), "clip": 5.0}


def add_options(parser: argparse.ArgumentParser, results: Path, folder: str, **defaults: Any) -> None:
    """Options of a study; defaults are those of this program."""
    parser.add_argument("command", choices=["run", "report"])
    parser.add_argument("--data")
    parser.add_argument("--classes", type=int, help="so many of the data's")
    parser.add_argument("--lut", type=Path)
    parser.add_argument("--targets-ms")
    parser.add_argument("--seeds", type=int)
    parser.add_argument("--epochs", type=int, default=RECIPE["epochs"], help="of a training from scratch")
    parser.add_argument("--batch-size", type=int, default=RECIPE["batch_size"], help="of a training from scratch")
    parser.add_argument("--clip", type=float, default=RECIPE["clip"], help="of a training's gradient: its largest norm")
    parser.add_argument("--search-epochs", type=int, help="of a supernet")
    parser.add_argument("--warmup", type=int, help="epochs of a supernet before theta learns")
    parser.add_argument("--draws", type=int, help="nets that a method scores in a round")
    parser.add_argument("--rounds", type=int)
    parser.add_argument(
        "--finalists", type=int, default=0, help="nets that are trained for an epoch and ranked by that"
    )
    parser.add_argument(
        "--paths", choices=["candidates", "stages", "weights"], default="weights", help="of mixed searches"
    )
    parser.add_argument("--accelerator", choices=ACCELERATORS, default="cpu", help="with --results of its own")
    parser.add_argument("--plot", type=Path, help="a picture that `report` writes, too")
    parser.add_argument("--results", type=Path, default=results)
    parser.add_argument("--folder", type=Path, default=Path(folder), help="of checkpoints")
    parser.add_argument("--limit-s", type=int, default=0)
    parser.set_defaults(**defaults)


def study_of(arguments: argparse.Namespace) -> Study:
    """The study that the options describe; torch computes with one thread, which several programs at once need."""
    torch.set_num_threads(1)
    schedule = {"epochs": arguments.search_epochs, "warmup": arguments.warmup}
    return Study(
        arguments.lut,
        arguments.data,
        arguments.folder,
        Records(arguments.results),
        Recipe(**RECIPE | {name: getattr(arguments, name) for name in ("epochs", "batch_size", "clip")}),
        {name: value for name, value in schedule.items() if value is not None},
        arguments.draws,
        arguments.rounds,
        arguments.finalists,
        arguments.paths,
        arguments.accelerator,
        arguments.classes,
    )


def targets_of(arguments: argparse.Namespace) -> tuple[float, ...]:
    """Milliseconds."""
    return tuple(float(text) for text in arguments.targets_ms.split(","))


def as_read(line: dict[str, Any]) -> dict[str, Any]:
    """A line as JSON gives it back."""
    return dict(json.loads(json.dumps(line)))


def do_all(jobs: Iterable[tuple[str, Callable[[], bool], Callable[[], None]]], limit_s: int) -> int:
    """Does what is left of jobs, each a text, whether it is done, and how it is done; LEFT where time ran out.

    What comes later may follow from what came before: jobs are asked for one by one.
    """

    def stop(_signal: int, _frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGALRM, stop)
    signal.alarm(limit_s)
    try:
        for text, is_done, do in jobs:
            if not is_done():
                print(text, file=sys.stderr, flush=True)
                do()
    except (KeyboardInterrupt, InterruptedRunError):
        return LEFT
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)
    return 0
