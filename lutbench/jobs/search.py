"""`lutbench search`: LUTs and images -> nets for their devices, each in an architecture file."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lutbench.errors import LutError, UsageError
from lutbench.events import Note, Report
from lutbench.files import check_writable, file_sha256
from lutbench.lut.table import Lut
from lutbench.search.latency import LatencyModel, check_same_space, latency_model
from lutbench.search.recipe import SMALL_SET
from lutbench.search.schedule import Schedule, schedule_for
from lutbench.space.architecture import Architecture, write_architecture
from lutbench.space.find import kept_spaces
from lutbench.space.macro import Space, format_width

if TYPE_CHECKING:
    from lutbench.search.data.source import SplitSource
    from lutbench.search.derive import Derived
    from lutbench.search.dnas import SearchMode, SearchResult, SearchSetup
    from lutbench.search.epochs import Begin
    from lutbench.search.hardware import Hardware
    from lutbench.search.objective import Objective

NETS = 6  # as implementations of FBNet
DRAWS = 30
SMALL_ROUNDS = 8
ENOUGH_LOOKS = 1000  # at images, to tell nets apart (docs/notes/search.md: figures)


@dataclass(frozen=True)
class SearchRequest:
    """luts: one per device. targets_ms: none, or one per LUT. resolution, width: of the nets; None means the first of
    the LUT's own.

    train_resolution, classes: of the images; None means the data's own. data_seed: of the choice of classes, the split
    and shapes. schedule: what differs from the default one for so many images. shared: a layer's candidates share
    their weights. draws: nets drawn and ranked in a round; rounds: the first draws from P_theta, others near the best
    so far; views: `Ranking`; None means the default for so many images. nets: how many of the best to write.
    """

    luts: tuple[Lut, ...]
    folder: Path
    targets_ms: tuple[float, ...] = ()
    resolution: int | None = None
    width: float | None = None
    data: str = "digits"
    train_resolution: int | None = None
    classes: int | None = None
    data_seed: int = 0
    mode: SearchMode | None = None
    schedule: Mapping[str, Any] = field(default_factory=dict)
    alpha: float | None = None
    beta: float | None = None
    shared: bool = True
    nets: int = NETS
    draws: int = DRAWS
    rounds: int | None = None
    views: int | None = None
    seed: int = 0
    begin: Begin = "auto"
    threads: int | None = None
    workers: int | None = None
    skip_broken: bool = False
    tensorboard: bool = False
    compiled: bool = False


@dataclass(frozen=True)
class FoundNet:
    """A net in its file; accuracy: on theta's share of the images, under the supernet's weights."""

    derived: Derived
    path: Path


@dataclass(frozen=True)
class FoundNets:
    """nets: best first. data, train_resolution, classes: what they were searched with.

    images: of theta's share, which nets were ranked on; views: `Ranking`. batches: device -> images that its latencies
    are of.
    """

    nets: tuple[FoundNet, ...]
    data: str
    train_resolution: int
    classes: int
    objective: str
    mode: str
    schedule: Schedule
    images: int
    views: int
    batches: Mapping[str, int]


def search_name(luts: Sequence[Lut], targets_ms: Sequence[float]) -> str:
    """What a search is called by, and its folder and nets: its LUTs and targets, such as s8_15ms."""
    name = "-".join(lut.path.stem if lut.path else lut.metadata.device for lut in luts)
    return f"{name}_{'-'.join(f'{target:g}' for target in targets_ms)}ms" if targets_ms else name


def net_path(request: SearchRequest, number: int) -> Path:
    """The file of the net that came out as number, 0 the best: s8_15ms_0.json.

    A net keeps its name in the folders of what is made of it (trained/s8_15ms_0), so no two searches share one.
    """
    name = search_name(request.luts, request.targets_ms)
    return request.folder / f"{name}_{number}.json"


def space_of(request: SearchRequest) -> tuple[Space, str]:
    """The space to search, and the TOML that defines it: of the first LUT, at the request's resolution and width."""
    section = request.luts[0].metadata.space
    if not section.resolutions or not section.widths:
        raise LutError("does not say which space its operators are of", path=request.luts[0].path)
    wanted = (request.resolution or section.resolutions[0],), (request.width or section.widths[0],)
    (space,) = kept_spaces(section.name, *wanted, section.definition)
    return space, section.definition


def latency_models(luts: Sequence[Lut], space: Space) -> tuple[LatencyModel, ...]:
    """One per LUT; LutError where a LUT is of another space or lacks an operator."""
    for lut in luts:
        name = lut.metadata.space.name
        if name != space.name:
            raise LutError(
                f"is of space {name}, {luts[0].path} of {space.name}", path=lut.path, remedy="give LUTs of one space"
            )
    models = tuple(latency_model(lut, space) for lut in luts)
    check_same_space(models)
    return models


def check_request(request: SearchRequest) -> None:
    """Raises what is wrong with LUTs, targets and folder; needs no torch."""
    space, _ = space_of(request)
    _objective(request, latency_models(request.luts, space))
    schedule_for(SMALL_SET, request.schedule)  # contradicts itself whatever the images, or does not
    check_writable(net_path(request, 0))


def find_nets(request: SearchRequest, hardware: Hardware, report: Report) -> FoundNets | None:
    """Searches and writes the files; None in processes that are not the first. InterruptedRunError on Ctrl-C."""
    space, definition = space_of(request)
    models = latency_models(request.luts, space)

    from lutbench.search.data.find import find_data
    from lutbench.search.data.options import DataOptions
    from lutbench.search.dnas import SearchSetup, search
    from lutbench.search.stops import stops_explained

    report = hardware.reporting(report)
    options = DataOptions(
        request.train_resolution,
        request.classes,
        request.data_seed,
        request.workers,
        request.skip_broken,
        str(hardware.device),
    )
    data = hardware.first_ahead(lambda: find_data(request.data, options, report))
    hardware.set_threads(request.threads, data.resolution)
    objective = _objective(request, models, data.count("all"))
    schedule = schedule_for(data.count("all"), request.schedule)
    mode = request.mode or default_mode(data.count("all"))
    if data.resolution != space.resolution:
        report(Note(_proxy_note(space, data)))
    batches = {model.device: lut.metadata.batch for model, lut in zip(models, request.luts, strict=True)}
    for device, batch in batches.items():
        if batch > 1:
            report(Note(f"latencies and target on {device} are of batches of {batch} images, as its LUT is"))
    setup = SearchSetup(
        models,
        data,
        objective,
        schedule,
        request.folder,
        mode,
        request.seed,
        request.begin,
        hardware,
        request.tensorboard,
        request.shared,
        request.compiled,
    )
    remedy = "a smaller --batch-size, --mode hard, or --bf16"
    with hardware.folder_held(request.folder), stops_explained(request.folder, schedule.batch_size, remedy):
        found = search(setup, report)
        if not hardware.is_first:
            return None
        views = default_views(data.count("theta")) if request.views is None else request.views
        nets = _derive(request, found, setup, views, report)
    how = {
        "mode": mode,
        "objective": objective.name,
        "data": data.name,
        "train_resolution": data.resolution,
        "classes": data.classes,
        "epochs": schedule.epochs,
        "batches": batches,
        "luts": {m.device: lut.metadata.provenance for m, lut in zip(models, request.luts, strict=True)},
    }
    written = _write(request, nets, definition, how)
    return FoundNets(
        written,
        data.name,
        data.resolution,
        data.classes,
        objective.name,
        mode,
        schedule,
        data.count("theta"),
        views,
        batches,
    )


def default_mode(images: int) -> SearchMode:
    """The paper's; for few images the one that gets through their many epochs in minutes."""
    return "soft" if images >= SMALL_SET else "mixed"


def default_rounds(images: int) -> int:
    """Of draws: on few images a net is scored in a fraction of a second."""
    return 1 if images >= SMALL_SET else SMALL_ROUNDS


def default_views(images: int) -> int:
    """images: of theta's share; a few hundred are looked at more than once."""
    return 0 if images >= ENOUGH_LOOKS else math.ceil(ENOUGH_LOOKS / images)


def _objective(request: SearchRequest, models: tuple[LatencyModel, ...], images: int = SMALL_SET) -> Objective:
    from lutbench.search.objective import BETA, SMALL_BETA, budget, product

    if not request.targets_ms:
        beta = BETA if images >= SMALL_SET else SMALL_BETA
        return product(models, request.alpha, beta if request.beta is None else request.beta)
    if request.alpha is not None or request.beta is not None:
        raise UsageError("--alpha and --beta are of the search without --target-ms", remedy="leave them out")
    return budget(models, [1000 * target for target in request.targets_ms])


def _proxy_note(space: Space, data: SplitSource) -> str:
    return (
        f"searching on {data.name} at {data.resolution} x {data.resolution}, {data.classes} classes;"
        f" latencies are those of nets at {space.resolution} x {space.resolution}, width {format_width(space.width)},"
        f" {space.classes} classes"
    )


def _derive(
    request: SearchRequest, found: SearchResult, setup: SearchSetup, views: int, report: Report
) -> tuple[Derived, ...]:
    from lutbench.search.checkpoint import CHECKPOINT
    from lutbench.search.derive import Ranking, best_nets
    from lutbench.search.scores import SCORES, Scores

    data, batch_size = setup.data, setup.schedule.batch_size
    ranked_with = {
        "checkpoint": file_sha256(request.folder / CHECKPOINT),  # the supernet's weights, and which images
        "views": views,
        "batch_size": batch_size,
    }
    scores = Scores(request.folder / SCORES, ranked_with)
    ranking = Ranking(
        found.supernet, setup.models, found.probabilities, data, batch_size, setup.objective, report, views, scores
    )
    draws, rounds = max(request.draws, request.nets), request.rounds or default_rounds(data.count("all"))
    nets = best_nets(ranking, draws, rounds, request.seed, [1000 * target for target in request.targets_ms] or None)
    if len(nets) < request.nets:
        report(Note(f"P_theta is so certain that only {len(nets)} different nets were drawn"))
    return nets[: request.nets]


def _write(
    request: SearchRequest, nets: Sequence[Derived], definition: str, how: Mapping[str, Any]
) -> tuple[FoundNet, ...]:
    found = []
    for number, derived in enumerate(nets):
        path = net_path(request, number)
        net = replace(derived.net, name=f"{path.stem}@{derived.net.space.label}")
        score = derived.score
        own = {"supernet_accuracy": round(score.accuracy, 6), "supernet_cross_entropy": round(score.loss, 6)}
        write_architecture(Architecture(net, derived.predicted_us, request.seed, definition, {**how, **own}), path)
        found.append(FoundNet(replace(derived, net=net), path))
    return tuple(found)
