"""`lutbench search`"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from lutbench.cli.help import HelpCommand
from lutbench.cli.next_steps import same_images, say_next
from lutbench.cli.options import (
    LUT,
    NUMBERS,
    data_options,
    folder_name,
    json_option,
    learning_options,
    lut_batch_option,
    machine_options,
    output_option,
    several,
)
from lutbench.cli.out import say

if TYPE_CHECKING:
    from lutbench.jobs.goals import Goal
    from lutbench.jobs.search import FoundNets
    from lutbench.lut.table import Lut

PICTURE = "nets.svg"
_schedule_options = several(
    click.option(
        "--epochs",
        type=click.IntRange(1),
        help="Pass this many times over the images, those for weights and then those for theta.",
    ),
    click.option("--warmup", type=click.IntRange(0), help="Train the weights alone in this many epochs at the start."),
    click.option(
        "--batch-size", type=click.IntRange(2), help="Take this many images a step, of all processes together."
    ),
    click.option(
        "--w-rate", type=float, help="Start with this learning rate for weights; it falls to 0 along a cosine."
    ),
    click.option("--w-momentum", type=float, help="Use this momentum in SGD, for weights."),
    click.option("--w-decay", type=float, help="Use this weight decay in SGD, for weights."),
    click.option(
        "--w-clip",
        type=float,
        help="Scale the weights' gradient down to this norm where it is longer; 0 leaves it as it is.",
    ),
    click.option("--theta-rate", type=float, help="Use this learning rate in Adam, for theta."),
    click.option("--theta-decay", type=float, help="Use this weight decay in Adam, for theta."),
    click.option("--temperature", type=float, help="Start the Gumbel-softmax at this temperature."),
    click.option("--cooling", type=float, help="Multiply the temperature by exp(-cooling) each epoch."),
)


@click.command("search", cls=HelpCommand)
@click.option(
    "--lut",
    "luts",
    type=LUT,
    multiple=True,
    help="Search for the device of this LUT: a path or a name. Repeat it for several. [default: luts/host.csv]",
)
@click.option(
    "--target-ms",
    "targets_ms",
    type=NUMBERS,
    default=(),
    help="Keep each net within this many milliseconds; one number for each LUT.",
)
@click.option("--target-mmacs", type=float, help="Keep each net within this many million multiply-accumulates.")
@click.option("--target-mparams", type=float, help="Keep each net within this many million parameters.")
@click.option(
    "--space",
    default="",
    help="Search this space, by its name or file; without --lut for nets of --target-mmacs or --target-mparams."
    " [default: the LUT's]",
)
@lut_batch_option
@click.option(
    "--resolution", type=int, help="Search nets of this resolution. [default: the LUT's first, or the space's]"
)
@click.option("--width", type=float, help="Search nets of this width. [default: the LUT's first, or 1]")
@click.option(
    "--method",
    type=click.Choice(["dnas", "mixed", "elastic", "random", "evolution", "uniform"]),
    help="Find nets by theta, trained as in the paper (dnas) or beside equal paths (mixed); by evolution in a supernet"
    " that learnt nets of all sizes (elastic); or in the usual one by chance, by evolution, one candidate everywhere."
    " [default: dnas; mixed below 20,000 images]",
)
@click.option(
    "--mode",
    "--train",
    "mode",
    type=click.Choice(["soft", "hard", "mixed", "elastic"]),
    help="Run all candidates weighted (soft), one path (hard), or one for weights and all for theta (mixed); or train"
    " the largest net, the smallest and others, which learn from the largest, without theta (elastic)."
    " [default: soft; mixed below 20,000 images]",
)
@click.option(
    "--paths",
    type=click.Choice(["candidates", "stages", "weights"]),
    help="In mixed mode, make all weights of a layer equally probable where they learn, or all candidates: blocks share"
    " their weights, so that by weights a skip is as probable as all of them, and a step takes less time. With stages,"
    " weights are so where a stage begins, and candidates elsewhere. [default: weights]",
)
@click.option(
    "--separate-weights",
    is_flag=True,
    help="Give each candidate weights of its own, as in the paper, instead of shared ones.",
)
@click.option(
    "--alpha", type=float, help="Multiply the loss CE * alpha * log(LAT)^beta by this, where there is no target."
)
@click.option("--beta", type=float, help="Weigh latency by this power in that loss; higher finds faster nets.")
@click.option("--nets", type=click.IntRange(1), default=6, show_default=True, help="Write this many of the best nets.")
@click.option(
    "--draws", type=click.IntRange(1), default=30, show_default=True, help="Draw and rank this many nets in a round."
)
@click.option(
    "--rounds",
    type=click.IntRange(1),
    help="Draw in this many rounds, the later ones near the best so far. [default: 1; 8 below 20,000 images]",
)
@click.option(
    "--views",
    type=click.IntRange(0),
    help="Rank by this many augmented looks at each image; 0 looks once, unchanged. [default: enough for 1,000 looks]",
)
@click.option(
    "--finalists",
    type=click.IntRange(0),
    default=0,
    show_default=True,
    help="Train this many of the best nets with the supernet's weights, each alone, and rank them by that.",
)
@click.option(
    "--final-epochs", type=click.IntRange(1), default=1, show_default=True, help="Train finalists for so many epochs."
)
@click.option(
    "--final-runs",
    type=click.IntRange(1),
    default=1,
    show_default=True,
    help="Train each finalist so many times, in other orders of images, and rank by the mean.",
)
@data_options("--train-resolution")
@_schedule_options
@click.option(
    "--seed", type=click.IntRange(0), default=0, show_default=True, help="Seed weights, gates, order and draws."
)
@output_option("Write into this folder. [default: searched/LUT_TARGETms]")
@learning_options
@click.option("--compile", "compiled", is_flag=True, help="Compile soft passes with torch.compile.")
@machine_options
@json_option
def command(
    luts: tuple[Path, ...],
    batch: int | None,
    separate_weights: bool,
    output: Path | None,
    accelerator: Any,
    bf16: bool,
    as_json: bool,
    **options: Any,
) -> None:
    """Find nets that are accurate, and fast on the devices of the LUTs.

    A supernet holds every candidate of every layer. It is trained on images, together with theta: the probabilities
    of each layer's candidates. The nets that theta prefers are ranked and written as architecture files, for
    `lutbench train`, `export` and `bench`.

    With --target-ms each net takes between 0.97 of the target and the target, on every device; --target-mmacs and
    --target-mparams hold it to what is counted, beside a LUT or without one. Of several targets a net is near one and
    within all. Without a target the loss is the paper's product of cross entropy and latency (multiply-accumulates,
    where there is no LUT), and of several devices the one counts on which a net is furthest from the fastest.

    Where a space leaves channels and resolution to choose, as fbnetv2 does, they are searched too, by masks.

    The schedule's defaults are the paper's. They are scaled down where there are fewer than 20,000 images.

    Started again, the same command goes on after the last epoch that ended, and with the ranking of nets. --fresh
    starts anew. On a CPU, nets of images up to 64 x 64 are ranked in --threads processes, by default in one a core.

    To use several GPUs, start it as torchrun --nproc-per-node 8 --no-python lutbench search ...
    """
    from lutbench.cli.luts import check_batch, lut_or_own, open_lut
    from lutbench.cli.render import LOADING, Progress, is_first_process, print_json
    from lutbench.jobs.search import check_request, find_nets, search_folder, search_request
    from lutbench.search.schedule import Schedule

    schedule = {field.name: options.pop(field.name) for field in fields(Schedule)}
    needs_none = options["space"] and not options["targets_ms"]
    opened = tuple(open_lut(path) for path in luts or (() if needs_none else (lut_or_own(None),)))
    for lut in opened:
        check_batch(lut, batch)
    request = search_request(
        *opened,
        folder=output or Path(),
        schedule={name: value for name, value in schedule.items() if value is not None},
        shared=not separate_weights,
        **options,  # named as the fields of the request's parts are
    )
    if output is None:
        request = replace(request, output=replace(request.output, folder=search_folder(request)))
    with Progress(is_first_process(), first=LOADING) as progress:
        check_request(request)
        from lutbench.search.hardware import Hardware

        found = find_nets(request, Hardware(accelerator, bf16), progress)
    if found is None:
        return
    _draw(found, request.folder, request.goal)
    if as_json:
        print_json(_summary(found))
    else:
        _print(found, request.folder / PICTURE, opened)
        best = found.nets[0].path
        say_next([one.path for one in found.nets], ["train", best, *same_images(request.images)], ["bench", best])


def _summary(found: FoundNets) -> dict[str, Any]:
    """Everything as plain values; fractions, microseconds."""
    return {
        "nets": [
            {
                "net": one.derived.net.name,
                "path": str(one.path),
                "candidates": one.derived.net.candidates_text,
                "accuracy": one.derived.score.accuracy,
                "cross_entropy": one.derived.score.loss,
                "predicted_us": one.derived.predicted_us,
                "mmacs": one.derived.net.macs / 1e6,
                "params_m": one.derived.net.params / 1e6,
            }
            for one in found.nets
        ],
        "data": found.data,
        "images": found.images,
        "views": found.views,
        "finalists": found.finalists,
        "train_resolution": found.train_resolution,
        "classes": found.classes,
        "objective": found.objective,
        "mode": found.mode,
        "batches": dict(found.batches),
        "schedule": found.schedule.to_dict(),
    }


def _holds(lut: Lut) -> str:
    """How far a LUT's predictions hold; "" where it does not tell."""
    from lutbench.lut.predict import net_half_width
    from lutbench.units import format_percent

    half = net_half_width(lut)
    return f"; {lut.metadata.device}: 95 % of nets are within ±{format_percent(half)} of the prediction" if half else ""


def _print(found: FoundNets, picture: Path, luts: Sequence[Lut]) -> None:
    from lutbench.cli.luts import batch_text
    from lutbench.cli.render import print_table
    from lutbench.search.data.find import is_toy
    from lutbench.units import format_latency, format_percent

    looks = f", augmented {found.views} times" if found.views else ""
    epochs = "an epoch" if found.final_epochs == 1 else f"{found.final_epochs} epochs"
    runs = f", the mean of {found.final_runs} runs" if found.final_runs > 1 else ""
    finals = f", the first {found.finalists} after {epochs} of their own{runs}" if found.finalists else ""
    devices = list(found.nets[0].derived.predicted_us)
    predicted = (f"predicted, {device}{batch_text(found.batches.get(device, 1))}" for device in devices)
    columns = ("accuracy", *predicted, "MMACs", "params (M)")
    print_table(
        "",
        {"net": False, **dict.fromkeys(columns, True)},
        [
            [
                str(one.path),
                format_percent(one.derived.score.accuracy),
                *(format_latency(one.derived.predicted_us[device]) for device in devices),
                f"{one.derived.net.macs / 1e6:.2f}",
                f"{one.derived.net.params / 1e6:.3f}",
            ]
            for one in found.nets
        ],
        caption=f"accuracy: under the supernet's weights{finals}, on {found.images:,} images of {found.data} at"
        f" {found.train_resolution} x {found.train_resolution}, {found.classes} classes{looks};"
        f" `lutbench train` tells how good a net is; {found.objective}, {found.mode} mode; drawn in {picture}"
        + "".join(_holds(lut) for lut in luts),
    )
    if is_toy(found.data):
        say(
            f"note: {found.data} are there to try a search; which net is better on photographs they do not tell:"
            " --data imagefolder:PATH does"
        )


def _draw(found: FoundNets, folder: Path, goal: Goal) -> None:
    """The chosen nets, a strip each with its figures beside; all that were ranked, by device; the search's epochs."""
    from lutbench.report.charts.curves import SEARCH, draw_curves
    from lutbench.report.charts.nets import draw_nets
    from lutbench.report.charts.ranking import Ranked, draw_ranking
    from lutbench.report.charts.style import save
    from lutbench.units import format_latency, format_percent

    labels = [
        "\n".join(
            [
                format_percent(one.derived.score.accuracy),
                *(f"{device} {format_latency(us)}" for device, us in one.derived.predicted_us.items()),
                *([] if one.derived.predicted_us else [f"{one.derived.net.macs / 1e6:.4g} MMACs"]),
            ]
        )
        for one in found.nets
    ]
    save(draw_nets([one.derived.net for one in found.nets], labels), folder / PICTURE)
    save(draw_curves(found.history, SEARCH), folder / "curves.svg")
    for number, device in enumerate(found.nets[0].derived.predicted_us):
        chosen, others = (
            [Ranked(one.net.name, one.predicted_us[device], one.score.accuracy) for one in nets]
            for nets in ([one.derived for one in found.nets], found.others)
        )
        target_us = goal.targets_us[number] if goal.targets_us else None
        save(draw_ranking(device, others, chosen, target_us), folder / f"ranking_{folder_name(device)}.svg")
