"""`lutbench train`: a net that a person names, on data that they name, by the recipe that fits."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lutbench.errors import UsageError
from lutbench.events import Report
from lutbench.files import check_writable
from lutbench.search.recipe import Recipe, default_recipe
from lutbench.space.factory import parse_factory_net
from lutbench.space.fbnet import FBNET, fbnet
from lutbench.space.graph import Model
from lutbench.space.net import Net
from lutbench.space.zoo import find_whole_net, retargeted

if TYPE_CHECKING:
    from lutbench.search.epochs import Begin
    from lutbench.search.hardware import Hardware
    from lutbench.search.train import TrainResult


@dataclass(frozen=True)
class TrainRequest:
    """net: a name of the zoo, an architecture file or candidates of FBNet's space.

    resolution, classes: None means the data's own. data_seed: of the choice of classes, the split and shapes.
    recipe: what differs from the default recipe for so many images. threads: of a CPU.
    workers: that decode photographs.
    """

    net: str
    folder: Path
    data: str = "digits"
    resolution: int | None = None
    classes: int | None = None
    data_seed: int = 0
    recipe: Mapping[str, Any] = field(default_factory=dict)
    seed: int = 0
    begin: Begin = "auto"
    threads: int | None = None
    workers: int | None = None
    skip_broken: bool = False
    compiled: bool = False
    channels_last: bool = True
    tensorboard: bool = False


@dataclass(frozen=True)
class Trained:
    """net: at the resolution and with the classes it was trained with."""

    net: Net | Model
    recipe: Recipe
    data: str
    resolution: int
    classes: int
    result: TrainResult


def find_trainable(text: str) -> Net | Model:
    """The net that a text names; UsageError for none, and for one that a person's own code makes."""
    if parse_factory_net(text):
        raise UsageError(f"{text} is made by code of its own", remedy="train it by code, export it to ONNX, bench that")
    net = find_whole_net(text, (fbnet(FBNET.resolution, 1.0),))
    if net.input_shape[1] != 3:
        raise UsageError(f"{text} takes {net.input_shape[1]} channels, and images have 3")
    return net


def train_net(request: TrainRequest, hardware: Hardware, report: Report) -> Trained:
    """Trains the net from scratch; InterruptedRunError on Ctrl-C, which says how to go on."""
    named = find_trainable(request.net)

    from lutbench.nn.workload import empty_net
    from lutbench.search.data.find import find_data
    from lutbench.search.data.options import DataOptions
    from lutbench.search.stops import stops_explained
    from lutbench.search.train import WEIGHTS, TrainSetup, train

    options = DataOptions(
        request.resolution,
        request.classes,
        request.data_seed,
        request.workers,
        request.skip_broken,
        str(hardware.device),
    )
    source = hardware.first_ahead(lambda: find_data(request.data, options, hardware.reporting(report)))
    hardware.set_threads(request.threads, source.resolution)
    recipe = replace(default_recipe(source.count("all")), **request.recipe)
    net = retargeted(named, source.resolution, source.classes)
    setup = TrainSetup(
        empty_net(net),
        named.key,
        source,
        recipe,
        request.folder,
        request.seed,
        request.begin,
        hardware,
        request.compiled,
        request.channels_last,
        request.tensorboard,
    )
    if hardware.is_first:
        check_writable(request.folder / WEIGHTS)
    remedy = "a smaller --batch-size, or --bf16"
    with hardware.folder_held(request.folder), stops_explained(request.folder, recipe.batch_size, remedy):
        result = train(setup, report)
    return Trained(net, recipe, source.name, source.resolution, source.classes, result)
