"""`lutbench search`: LUTs and images -> nets for their devices, each in an architecture file."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lutbench.errors import LutError, UsageError
from lutbench.events import Note, Report
from lutbench.export.own_code import check_trains, check_unchanged
from lutbench.files import check_writable, file_sha256
from lutbench.jobs.learning import Computing, Images, RunOutput, in_parts, keep_makers, open_images
from lutbench.lut.definitions import what_differs
from lutbench.lut.table import Lut
from lutbench.search.latency import LatencyModel, check_same_space, latency_model
from lutbench.search.recipe import SMALL_SET
from lutbench.search.schedule import Schedule, schedule_for
from lutbench.space.architecture import Architecture, write_architecture
from lutbench.space.find import kept_spaces
from lutbench.space.macro import Space
from lutbench.space.scale import format_width
from lutbench.units import US_PER_MS

if TYPE_CHECKING:
    from lutbench.search.data.source import SplitSource
    from lutbench.search.derive import Derived
    from lutbench.search.dnas import SearchMode, SearchResult, SearchSetup
    from lutbench.search.hardware import Hardware
    from lutbench.search.metrics import Record
    from lutbench.search.objective import Objective
    from lutbench.search.scores import Scores

NETS = 6  # as implementations of FBNet
DRAWS = 30
SMALL_ROUNDS = 8
# how nets are found: the mode in which the supernet is trained (None: the default for so many images), then the finder
METHODS: dict[str, tuple[SearchMode | None, str]] = {
    "dnas": ("soft", "theta"),
    "mixed": ("mixed", "theta"),
    "random": (None, "random"),
    "evolution": (None, "evolution"),
    "uniform": (None, "uniform"),
}
ENOUGH_LOOKS = 1000  # at images, to tell nets apart (docs/notes/search.md: figures)


@dataclass(frozen=True, kw_only=True)
class Goal:
    """What makes a net good.

    targets_ms: none, or one per LUT.
    alpha, beta: of the loss without targets.
    """

    targets_ms: tuple[float, ...] = ()
    alpha: float | None = None
    beta: float | None = None

    @property
    def targets_us(self) -> list[float]:
        return [target * US_PER_MS for target in self.targets_ms]

    def objective(self, models: tuple[LatencyModel, ...], images: int = SMALL_SET) -> Objective:
        """The objective of a search on so many images; UsageError where targets and the loss without them are both
        given.
        """
        from lutbench.search.objective import BETA, SMALL_BETA, budget, product

        if not self.targets_ms:
            beta = BETA if images >= SMALL_SET else SMALL_BETA
            return product(models, self.alpha, beta if self.beta is None else self.beta)
        if self.alpha is not None or self.beta is not None:
            raise UsageError("--alpha and --beta are of the search without --target-ms", remedy="leave them out")
        return budget(models, self.targets_us)


@dataclass(frozen=True, kw_only=True)
class Learning:
    """Settings of the supernet's training.

    mode: None means the default for so many images.
    schedule: what differs from the default one for so many.
    shared: a layer's candidates share their weights.
    """

    mode: SearchMode | None = None
    schedule: Mapping[str, Any] = field(default_factory=dict)
    shared: bool = True


@dataclass(frozen=True, kw_only=True)
class Draws:
    """Settings of how nets are read from the supernet.

    nets: how many of the best to write.
    draws: nets drawn and ranked in a round.
    rounds: the first draws from P_theta, others near the best so far.
    views: `Ranking`. None means the default for so many images.
    method: of METHODS; None means the one whose mode is the default for so many images.
    """

    method: str | None = None
    nets: int = NETS
    draws: int = DRAWS
    rounds: int | None = None
    views: int | None = None

    def views_of(self, images: int) -> int:
        """The number of looks at each image.

        images: of theta's share.
        """
        return default_views(images) if self.views is None else self.views


@dataclass(frozen=True, kw_only=True)
class SearchRequest:
    """What to search nets for, and with what.

    luts: one per device.
    resolution, width: of the nets; None means the first of the LUT's own.
    seed: of weights, gates, order and draws.
    """

    luts: tuple[Lut, ...]
    output: RunOutput
    resolution: int | None = None
    width: float | None = None
    goal: Goal = field(default_factory=Goal)
    images: Images = field(default_factory=Images)
    learning: Learning = field(default_factory=Learning)
    draws: Draws = field(default_factory=Draws)
    computing: Computing = field(default_factory=Computing)
    seed: int = 0

    @property
    def folder(self) -> Path:
        return self.output.folder


def search_request(*luts: Lut, train_resolution: int | None = None, **options: Any) -> SearchRequest:
    """A request from options named as the fields of its parts are.

    train_resolution: of the images.
    """
    nets = {name: options.pop(name) for name in ("resolution", "width") if name in options}
    parts = in_parts(
        {"resolution": train_resolution, **options},
        output=RunOutput,
        goal=Goal,
        images=Images,
        learning=Learning,
        draws=Draws,
        computing=Computing,
    )
    return SearchRequest(luts=luts, **nets, **parts)


@dataclass(frozen=True)
class FoundNet:
    """A net in its file; accuracy: on theta's share of the images, under the supernet's weights."""

    derived: Derived
    path: Path


@dataclass(frozen=True, kw_only=True)
class FoundNets:
    """The nets that a search found, and what they were found with.

    nets: best first.
    others: ranked and not written, best first.
    history: the records of metrics.jsonl, one per epoch.
    data, train_resolution, classes: what they were searched with.
    images: of theta's share, which nets were ranked on.
    views: `Ranking`.
    batches: device -> images that its latencies are of.
    """

    nets: tuple[FoundNet, ...]
    others: tuple[Derived, ...]
    history: tuple[Record, ...]
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
    """What a search is called by, and its folder and nets: its LUTs and targets, such as s8_15ms.

    A space other than FBNet's is named too: LUTs of one device are often called alike, and their searches must not meet
    in one folder.
    """
    stems = "-".join(lut.path.stem if lut.path else lut.metadata.device for lut in luts)
    space = luts[0].metadata.space.name
    name = stems if space in ("fbnet", stems) else f"{stems}_{space}"
    return f"{name}_{'-'.join(f'{target:g}' for target in targets_ms)}ms" if targets_ms else name


def net_path(folder: Path, name: str, number: int) -> Path:
    """The file of the net that came out as number, 0 the best: s8_15ms_0.json.

    A net keeps its name in the folders of what is made of it (trained/s8_15ms_0), so no two searches share one.

    name: of the search.
    """
    return folder / f"{name}_{number}.json"


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
        apart = what_differs(luts[0].metadata.space, lut.metadata.space)
        if apart:
            raise LutError(
                f"was measured with another {apart} than {luts[0].path}", path=lut.path, remedy="measure both with one"
            )
    models = tuple(latency_model(lut, space) for lut in luts)
    check_same_space(models)
    return models


def check_request(request: SearchRequest) -> None:
    """Raises what is wrong with LUTs, targets and folder, before any data are read."""
    space, _ = space_of(request)
    request.goal.objective(latency_models(request.luts, space))
    check_trains(space)
    for lut in request.luts:
        check_unchanged(lut.metadata.space, lut.path)
    schedule_for(SMALL_SET, request.learning.schedule)  # contradicts itself whatever the images, or does not
    check_writable(net_path(request.folder, search_name(request.luts, request.goal.targets_ms), 0))


def find_nets(request: SearchRequest, hardware: Hardware, report: Report) -> FoundNets | None:
    """Searches and writes the files; None in processes that are not the first. InterruptedRunError on Ctrl-C."""
    space, definition = space_of(request)
    models = latency_models(request.luts, space)

    from lutbench.search.dnas import SearchSetup, search
    from lutbench.search.stops import stops_explained

    report = hardware.reporting(report)
    data = open_images(request.images, request.computing, hardware, report)
    objective = request.goal.objective(models, data.count("all"))
    schedule = schedule_for(data.count("all"), request.learning.schedule)
    mode = mode_of(request, data.count("all"))
    if data.resolution != space.resolution:
        report(Note(_proxy_note(space, data)))
    batches = {model.device: lut.metadata.batch for model, lut in zip(models, request.luts, strict=True)}
    for device, batch in batches.items():
        if batch > 1:
            report(Note(f"latencies and target on {device} are of batches of {batch} images, as its LUT is"))
    setup = SearchSetup(
        models=models,
        data=data,
        objective=objective,
        schedule=schedule,
        folder=request.folder,
        mode=mode,
        seed=request.seed,
        begin=request.output.begin,
        hardware=hardware,
        tensorboard=request.output.tensorboard,
        shared=request.learning.shared,
        compiled=request.computing.compiled,
    )
    remedy = "a smaller --batch-size, --mode hard, or --bf16"
    with hardware.folder_held(request.folder), stops_explained(request.folder, schedule.batch_size, remedy):
        if hardware.is_first:
            keep_makers(data, request.folder)
        found = search(setup, report)
        if not hardware.is_first:
            return None
        views = request.draws.views_of(data.count("theta"))
        nets = _derive(request, found, setup, views, report)
    how = _how(request, setup, data, batches)
    count = request.draws.nets
    written = _write(request, nets[:count], definition, how)
    return FoundNets(
        nets=written,
        others=nets[count:],
        history=found.history,
        data=data.name,
        train_resolution=data.resolution,
        classes=data.classes,
        objective=objective.name,
        mode=mode,
        schedule=schedule,
        images=data.count("theta"),
        views=views,
        batches=batches,
    )


def _how(request: SearchRequest, setup: SearchSetup, data: SplitSource, batches: Mapping[str, int]) -> dict[str, Any]:
    """How the nets were searched for, as their files say it."""
    method = request.draws.method
    return {
        **({"method": method} if method else {}),
        "mode": setup.mode,
        "objective": setup.objective.name,
        "data": data.name,
        "train_resolution": data.resolution,
        "classes": data.classes,
        "epochs": setup.schedule.epochs,
        "batches": batches,
        "luts": {m.device: lut.metadata.provenance for m, lut in zip(setup.models, request.luts, strict=True)},
    }


def default_mode(images: int) -> SearchMode:
    """The paper's; for few images the one that gets through their many epochs in minutes."""
    return "soft" if images >= SMALL_SET else "mixed"


def mode_of(request: SearchRequest, images: int) -> SearchMode:
    """The mode that is asked for, else the method's, else the default for so many images."""
    own = METHODS[request.draws.method][0] if request.draws.method else None
    return request.learning.mode or own or default_mode(images)


def default_rounds(images: int) -> int:
    """The number of rounds of draws: more on few images, where a net is scored in a fraction of a second."""
    return 1 if images >= SMALL_SET else SMALL_ROUNDS


def default_views(images: int) -> int:
    """The number of looks at each image when nets are ranked.

    images: of theta's share; a few hundred are looked at more than once.
    """
    return 0 if images >= ENOUGH_LOOKS else math.ceil(ENOUGH_LOOKS / images)


def _proxy_note(space: Space, data: SplitSource) -> str:
    return (
        f"searching on {data.name} at {data.resolution} x {data.resolution}, {data.classes} classes;"
        f" latencies are those of nets at {space.resolution} x {space.resolution}, width {format_width(space.width)},"
        f" {space.classes} classes"
    )


def _derive(
    request: SearchRequest, found: SearchResult, setup: SearchSetup, views: int, report: Report
) -> tuple[Derived, ...]:
    from lutbench.search.derive import Ranking
    from lutbench.search.finders import FINDERS, Effort

    data, batch_size = setup.data, setup.schedule.batch_size
    scores = supernet_scores(request.folder, views, batch_size)
    ranking = Ranking(
        found.supernet, setup.models, found.probabilities, data, batch_size, setup.objective, report, views, scores
    )
    asked = request.draws
    draws, rounds = max(asked.draws, asked.nets), asked.rounds or default_rounds(data.count("all"))
    find = FINDERS[METHODS[asked.method][1] if asked.method else "theta"]
    nets = find(ranking, Effort(draws, rounds, request.seed, request.goal.targets_us or None))
    if len(nets) < asked.nets:
        report(Note(f"only {len(nets)} different nets were found: {_few(asked.method)}"))
    return nets


def supernet_scores(folder: Path, views: int, batch_size: int) -> Scores:
    """The scores of nets under the supernet of a search's folder, which searches and derivations from it share."""
    from lutbench.search.checkpoint import CHECKPOINT
    from lutbench.search.scores import SCORES, Scores

    ranked_with = {
        "checkpoint": file_sha256(folder / CHECKPOINT),  # the supernet's weights, and which images
        "views": views,
        "batch_size": batch_size,
    }
    return Scores(folder / SCORES, ranked_with)


def _few(method: str | None) -> str:
    """Why there are fewer nets than were asked for."""
    if method == "uniform":
        return "there is one for each candidate"
    return "so few are within the target" if method in ("random", "evolution") else "P_theta is so certain"


def _write(
    request: SearchRequest, nets: Sequence[Derived], definition: str, how: Mapping[str, Any]
) -> tuple[FoundNet, ...]:
    found = []
    name = search_name(request.luts, request.goal.targets_ms)
    for number, derived in enumerate(nets):
        path = net_path(request.folder, name, number)
        net = replace(derived.net, name=f"{path.stem}@{derived.net.space.label}")
        score = derived.score
        own = {"supernet_accuracy": round(score.accuracy, 6), "supernet_cross_entropy": round(score.loss, 6)}
        write_architecture(Architecture(net, derived.predicted_us, request.seed, definition, {**how, **own}), path)
        found.append(FoundNet(replace(derived, net=net), path))
    return tuple(found)
