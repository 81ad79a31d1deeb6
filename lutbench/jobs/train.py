"""`lutbench train`: a net that a person names, on data that they name, by the recipe that fits."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lutbench.errors import UsageError
from lutbench.events import Report
from lutbench.files import check_writable
from lutbench.jobs.learning import Computing, Images, RunOutput, check_images, in_parts, keep_makers, open_images
from lutbench.search.recipe import SMALL_SET, Recipe, default_recipe
from lutbench.space.factory import parse_factory_net
from lutbench.space.fbnet import FBNET, fbnet
from lutbench.space.graph import Model
from lutbench.space.net import Net
from lutbench.space.zoo import find_whole_net, retargeted

if TYPE_CHECKING:
    from lutbench.search.hardware import Hardware
    from lutbench.search.train import TrainResult


@dataclass(frozen=True, kw_only=True)
class TrainRequest:
    """What to train, on which images.

    net: a name of the zoo, an architecture file or candidates of FBNet's space.

    recipe: what differs from the default recipe for so many images.
    seed: of weights, order and augmentation.
    """

    net: str
    output: RunOutput
    images: Images = field(default_factory=Images)
    recipe: Mapping[str, Any] = field(default_factory=dict)
    computing: Computing = field(default_factory=Computing)
    seed: int = 0
    channels_last: bool = True

    @property
    def folder(self) -> Path:
        return self.output.folder


def train_request(net: str, **options: Any) -> TrainRequest:
    """A request from options named as the fields of its parts are."""
    return TrainRequest(net=net, **in_parts(options, output=RunOutput, images=Images, computing=Computing))


@dataclass(frozen=True)
class Trained:
    """A trained net, and what it was trained on.

    net: at the resolution and with the classes it was trained with.
    """

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


def check_request(request: TrainRequest) -> None:
    """Raises what is wrong with the net and the options, before PyTorch is loaded or any data are read."""
    find_trainable(request.net)
    replace(default_recipe(SMALL_SET), **request.recipe)  # contradicts itself whatever the images, or does not
    check_images(request.images)


def train_net(request: TrainRequest, hardware: Hardware, report: Report) -> Trained:
    """Trains the net from scratch; InterruptedRunError on Ctrl-C, which says how to go on."""
    named = find_trainable(request.net)

    from lutbench.nn.workload import empty_net
    from lutbench.search.stops import stops_explained
    from lutbench.search.train import WEIGHTS, TrainSetup, train

    source = open_images(request.images, request.computing, hardware, report)
    recipe = replace(default_recipe(source.count("all")), **request.recipe)
    net = retargeted(named, source.resolution, source.classes)
    setup = TrainSetup(
        net=empty_net(net),
        name=named.key,
        data=source,
        recipe=recipe,
        folder=request.folder,
        seed=request.seed,
        begin=request.output.begin,
        hardware=hardware,
        compiled=request.computing.compiled,
        channels_last=request.channels_last,
        tensorboard=request.output.tensorboard,
    )
    if hardware.is_first:
        check_writable(request.folder / WEIGHTS)
    remedy = "a smaller --batch-size, or --bf16"
    with hardware.folder_held(request.folder), stops_explained(request.folder, recipe.batch_size, remedy):
        if hardware.is_first:
            keep_makers(source, request.folder)
        result = train(setup, report)
    return Trained(net, recipe, source.name, source.resolution, source.classes, result)
