"""`lutbench train`"""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from lutbench.cli.help import HelpCommand
from lutbench.cli.next_steps import say_next
from lutbench.cli.options import (
    NUMBERS,
    data_options,
    folder_name,
    json_option,
    learning_options,
    machine_options,
    output_option,
    several,
)

if TYPE_CHECKING:
    from lutbench.jobs.train import Trained

CURVES = "curves.svg"
_recipe_options = several(
    click.option("--epochs", type=click.IntRange(1), help="Pass over the training set this many times."),
    click.option(
        "--batch-size", type=click.IntRange(2), help="Take this many images a step, of all processes together."
    ),
    click.option("--learning-rate", type=float, help="Start with this learning rate."),
    click.option("--momentum", type=float, help="Use this momentum in SGD."),
    click.option("--weight-decay", type=float, help="Use this weight decay in SGD, on every weight."),
    click.option(
        "--milestones", type=NUMBERS, help="Lower the rate after these shares of the epochs, such as 0.5,0.75."
    ),
    click.option("--decay", type=float, help="Multiply the rate by this at each milestone."),
    click.option("--dropout", type=float, help="Drop this share of the features before the classifier."),
    click.option(
        "--clip", type=float, help="Scale the gradient down to this norm where it is longer; 0 leaves it as it is."
    ),
)


@click.command("train", cls=HelpCommand)
@click.argument("net", metavar="NET")
@data_options()
@_recipe_options
@click.option(
    "--seed", type=click.IntRange(0), default=0, show_default=True, help="Seed weights, order and augmentation."
)
@output_option("Write into this folder. [default: trained/NET]")
@learning_options
@click.option("--compile", "compiled", is_flag=True, help="Compile the net with torch.compile first.")
@click.option(
    "--channels-last/--no-channels-last",
    default=True,
    show_default=True,
    help="Keep images in memory with their channels last, or first.",
)
@machine_options
@json_option
def command(
    net: str,
    output: Path | None,
    accelerator: Any,
    bf16: bool,
    as_json: bool,
    **options: Any,
) -> None:
    """Train a net from scratch on images.

    NET is an architecture file that `lutbench search` wrote, a name of `lutbench nets`, or a string of FBNet's
    candidates. It gets the data's resolution and number of classes.

    The schedule's defaults are the paper's recipe: 360 epochs of batch 256. They are scaled down where there are fewer
    than 20,000 images.

    The folder gets a checkpoint and a line of metrics.jsonl after every epoch, and weights.pt at the end, for
    `lutbench export`. Started again, the same command goes on after the last epoch that ended. --fresh starts anew.

    To use several GPUs, start it as torchrun --nproc-per-node 8 --no-python lutbench train ...
    """
    from lutbench.cli.render import LOADING, Progress, is_first_process, print_json
    from lutbench.jobs.train import check_request, train_net, train_request
    from lutbench.report.charts.curves import TRAINING, draw_curves
    from lutbench.report.charts.style import save
    from lutbench.search.data.find import is_built_in
    from lutbench.search.recipe import Recipe

    recipe = {field.name: options.pop(field.name) for field in fields(Recipe)}
    request = train_request(
        net,
        folder=output or Path("trained") / folder_name(net),
        recipe={name: value for name, value in recipe.items() if value is not None},
        **options,  # named as the fields of the request's parts are
    )
    check_request(request)
    with Progress(is_first_process(), first=LOADING) as progress:
        from lutbench.search.hardware import Hardware

        found = train_net(request, Hardware(accelerator, bf16), progress)
    if not is_first_process():
        return
    save(draw_curves(found.result.history, TRAINING), request.folder / CURVES)
    if as_json:
        print_json(_summary(net, found))
    else:
        _print(net, found)
        data = (
            [] if is_built_in(request.images.data) else ["--data", request.images.data]
        )  # a file's path to them is not followed
        wrote = [found.result.weights, request.folder / CURVES]
        say_next(wrote, ["export", net, "--weights", found.result.weights, *data])


def _summary(text: str, found: Trained) -> dict[str, Any]:
    """Everything as plain values; fractions, seconds."""
    result = found.result
    return {
        "net": text,
        "accuracy": result.test.accuracy,
        "loss": result.test.loss,
        "test_images": result.test.images,
        "train_accuracy": result.history[-1]["accuracy"],
        "epochs": result.epochs,
        "train_s": _train_s(found),
        "images_per_s": result.history[-1]["images_per_s"],
        "data": found.data,
        "resolution": found.resolution,
        "classes": found.classes,
        "mmacs": found.net.macs / 1e6,
        "params_m": found.net.params / 1e6,
        "recipe": found.recipe.to_dict(),
        "weights": str(result.weights),
    }


def _train_s(found: Trained) -> float:
    return float(sum(record["train_s"] for record in found.result.history))


def _print(text: str, found: Trained) -> None:
    from lutbench.cli.render import print_table
    from lutbench.units import format_percent, format_seconds

    result, last = found.result, found.result.history[-1]
    columns = ("test accuracy", "test loss", "training accuracy", "MMACs", "params (M)", "images/s", "time")
    print_table(
        "",
        {"net": False, **dict.fromkeys(columns, True)},
        [
            [
                text,
                format_percent(result.test.accuracy),
                f"{result.test.loss:.3f}",
                format_percent(last["accuracy"]),
                f"{found.net.macs / 1e6:.2f}",
                f"{found.net.params / 1e6:.3f}",
                f"{last['images_per_s']:.0f}",
                format_seconds(_train_s(found)),
            ]
        ],
        caption=f"{found.data} at {found.resolution} x {found.resolution}, {found.classes} classes,"
        f" {result.test.images:,} test images; after epoch {result.epochs}; weights: {result.weights}",
    )
