"""Options that several commands share, and their types."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from lutbench.search.epochs import Begin


class CommaList(click.ParamType["tuple[Any, ...]"]):
    """A list such as 224,192.

    convert: the type of its items.
    """

    def __init__(self, name: str, convert: Callable[[str], Any]) -> None:
        self.name = name
        self._convert = convert

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[Any, ...]:
        if isinstance(value, tuple):
            return value
        found = []
        for part in str(value).split(","):
            try:
                found.append(self._convert(part.strip()))
            except ValueError:
                self.fail(f"{part.strip()!r} is not a number", param, ctx)
        return tuple(dict.fromkeys(found))


class LutPath(click.ParamType[Path]):
    """A LUT: a file's path, the name of one in luts/, or the name of one that comes along (s8)."""

    name = "lut"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Path:
        del param, ctx
        from lutbench.lut.shipped import find_lut

        return value if isinstance(value, Path) else find_lut(str(value))


class Ratio(click.ParamType[float]):
    """A limit of a ratio: 1.05, or 5% for 5 % more."""

    name = "ratio"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        text = str(value).strip()
        try:
            found = 1 + float(text[:-1]) / 100 if text.endswith("%") else float(text)
        except ValueError:
            found = math.nan
        if not (math.isfinite(found) and found > 0):
            self.fail(f"{text!r} is no ratio: 1.05, or 5%, allows 5 % more", param, ctx)
        return found


class Duration(click.ParamType[float]):
    """A time as people write it, in seconds: 90s, 10m, 1h, or a number of seconds."""

    name = "duration"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        if isinstance(value, float):
            return value
        found = re.fullmatch(r"(\d{1,6}(?:\.\d{1,3})?)(s|m|min|h)?", str(value).strip(), re.ASCII)
        if found is None:
            self.fail(f"{value!r} is no time: 90s, 10m or 1h", param, ctx)
        return float(found[1]) * {"s": 1, None: 1, "m": 60, "min": 60, "h": 3600}[found[2]]


LUT = LutPath()
DURATION = Duration()
RATIO = Ratio()
NAMES = CommaList("names", str)
INTEGERS = CommaList("integers", int)
NUMBERS = CommaList("numbers", float)

device_option = click.option(
    "--device",
    "device_name",
    default="host",
    show_default=True,
    help="Measure on this device; `lutbench devices` lists them.",
)
cores_option = click.option(
    "--cores",
    default="",
    help="Use these cores of a phone: big, little, all, or a mask such as 0xf0. [default: the device's, big]",
)
force_option = click.option(
    "--force",
    is_flag=True,
    help="Measure on a phone that is not the model its name stands for (the LUT says what it was), and with several"
    " threads on cores that others use.",
)
batch_option = click.option(
    "--batch", type=click.IntRange(1, 1024), default=1, show_default=True, help="Run this many images at once."
)
lut_batch_option = click.option(
    "--batch",
    type=click.IntRange(1, 1024),
    help="Refuse a LUT that is not of this many images at once. [default: as many as it is of]",
)
fixed_performance_option = click.option(
    "--fixed-performance",
    is_flag=True,
    help="Keep a phone (Android 11 or later) at speeds that it can hold for long. The LUT says so.",
)
no_heat_wait_option = click.option(
    "--no-heat-wait", is_flag=True, help="Measure a phone however hot it is. The LUT says so."
)

wait_quiet_option = click.option(
    "--wait-quiet",
    "wait_quiet_s",
    type=DURATION,
    default=0.0,
    metavar="TIME",
    help="Wait up to this time, such as 10m, until the machine is as fast as in its earlier runs.",
)


def output_option(text: str, required: bool = False) -> Callable[[Any], Any]:
    """-o, the file or folder that a command writes: text says which. The command gets it as output, a Path or None."""
    return click.option("-o", "--output", type=click.Path(path_type=Path), required=required, help=text)


json_option = click.option("--json", "as_json", is_flag=True, help="Print one JSON object instead of tables.")


def folder_name(net: str) -> str:
    """A folder's name for a net's text: a file's own name, else the text without what a folder cannot be called."""
    stem = Path(net).stem if net.endswith(".json") else net
    return re.sub(r"[^\w.@-]+", "_", stem.strip())[:60]


def several(*options: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """One decorator of several, listed in the order of the help."""

    def decorate(function: Any) -> Any:
        for option in reversed(options):
            function = option(function)
        return function

    return decorate


device_use_options = several(  # what bench and profile are told alike of how a device is used
    click.option(
        "--threads",
        type=click.IntRange(1, 256),
        help="Let the runtime use this many threads. [default: the device's entry, usually 1]",
    ),
    batch_option,
    cores_option,
    force_option,
    fixed_performance_option,
    no_heat_wait_option,
    wait_quiet_option,
)


def round_options(max_rounds: int) -> Callable[[Any], Any]:
    """Declares how long bench and profile measure: fresh, target, max_rounds (with this default)."""
    return several(
        click.option(
            "--fresh", is_flag=True, help="Start anew. The journal of an unfinished run is put aside, not deleted."
        ),
        click.option(
            "--target",
            type=float,
            default=0.01,
            show_default=True,
            help="Measure until the 95 % interval is this narrow: half its width, as a fraction.",
        ),
        click.option(
            "--max-rounds",
            type=click.IntRange(12),
            default=max_rounds,
            show_default=True,
            help="Stop after this many rounds, whatever the intervals are.",
        ),
    )


def device_options(device_name: str, threads: int | None, no_heat_wait: bool) -> dict[str, Any]:
    """The device that is named, and what its entry says where the command line does not, as a request's fields."""
    from lutbench.device_agents.registry import find_device

    device = find_device(device_name)
    return {"device": device, "threads": threads or device.threads, "heat_wait": not no_heat_wait}


def data_options(resolution: str = "--resolution") -> Callable[[Any], Any]:
    """What says which images: data, resolution (by the name given), classes, data_seed, workers, skip_broken."""
    return several(
        click.option(
            "--data",
            default="digits",
            show_default=True,
            help="Read images from digits, shapes[:N@RES], glyphs[:N@RES], fashion-mnist[:N], idx:FOLDER,"
            " imagefolder:PATH or hf:PATH.",
        ),
        click.option(
            resolution, type=int, help="Resize the images to this many pixels a side. [default: the data's own]"
        ),
        click.option("--classes", type=int, help="Use this many classes, chosen at random. [default: all]"),
        click.option(
            "--data-seed",
            type=click.IntRange(0),
            default=0,
            show_default=True,
            help="Seed what decides the images: the choice of classes, the split, the drawn shapes.",
        ),
        click.option(
            "--workers", type=click.IntRange(0), help="Decode photographs in this many processes. [default: one a core]"
        ),
        click.option(
            "--skip-broken", is_flag=True, help="Leave out photographs that cannot be read, instead of stopping."
        ),
    )


def learning_options(function: Callable[..., None]) -> Callable[..., None]:
    """What search and train are told alike of their folder: begin (from --fresh and --resume) and tensorboard.

    UsageError where --fresh and --resume are both given.
    """

    options = several(
        click.option(
            "--fresh", is_flag=True, help="Start anew. The checkpoint that is in the folder is put aside, not deleted."
        ),
        click.option(
            "--resume", is_flag=True, help="Refuse to start anew: there has to be a checkpoint in the folder."
        ),
        click.option("--tensorboard", is_flag=True, help="Write figures for TensorBoard, too."),
    )

    @wraps(function)
    def command(*arguments: Any, fresh: bool, resume: bool, **others: Any) -> None:
        if resume and fresh:
            raise click.UsageError("--resume goes on and --fresh starts anew: give one of them")
        begin: Begin = "resume" if resume else "fresh" if fresh else "auto"
        function(*arguments, begin=begin, **others)

    decorated: Callable[..., None] = options(command)
    return decorated


machine_options = several(  # where torch computes, and how: threads, accelerator, bf16
    click.option(
        "--threads",
        type=click.IntRange(1),
        help="Compute with this many threads on a CPU. [default: 1 for images up to 64 x 64, else one a core]",
    ),
    click.option(
        "--accelerator",
        type=click.Choice(["auto", "cpu", "cuda"]),
        default="auto",
        show_default=True,
        help="Compute on a CPU or a GPU; auto takes a GPU where there is one.",
    ),
    click.option(
        "--bf16", is_flag=True, help="Compute in bfloat16 where that is safe; weights and sums stay in 32 bits."
    ),
)
