"""`lutbench search`: LUTs and images -> nets for their devices, each in an architecture file."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lutbench.errors import UsageError
from lutbench.events import Note, Report
from lutbench.export.own_code import check_trains, check_unchanged
from lutbench.files import check_writable, file_sha256
from lutbench.jobs.goals import Goal, models_of, net_path, search_name, space_to_search
from lutbench.jobs.learning import Computing, Images, RunOutput, check_images, in_parts, keep_makers, open_images
from lutbench.jobs.scoring import scorers_for
from lutbench.lut.table import Lut
from lutbench.search.grid_costs import CostModel, is_latency
from lutbench.search.masked_forms import check_masks
from lutbench.search.recipe import SMALL_SET
from lutbench.search.schedule import Schedule, schedule_for
from lutbench.space.architecture import Architecture, write_architecture
from lutbench.space.macro import Space
from lutbench.space.scale import format_width

if TYPE_CHECKING:
    from lutbench.search.data.source import SplitSource
    from lutbench.search.derive import Derived, Ranking
    from lutbench.search.dnas import Paths, SearchMode, SearchResult, SearchSetup
    from lutbench.search.finals import FinalTraining
    from lutbench.search.hardware import Hardware
    from lutbench.search.metrics import Record
    from lutbench.search.scores import Scores

NETS = 6  # as implementations of FBNet
DRAWS = 30
SMALL_ROUNDS = 8
FINAL_EPOCHS, FINAL_RUNS = 1, 1
# how nets are found: the mode in which the supernet is trained (None: the default for so many images), then the finder
METHODS: dict[str, tuple[SearchMode | None, str]] = {
    "dnas": ("soft", "theta"),
    "mixed": ("mixed", "theta"),
    "elastic": ("elastic", "evolution"),
    "random": (None, "random"),
    "evolution": (None, "evolution"),
    "uniform": (None, "uniform"),
}
_SCORES_OF_A_FINAL = 10  # that take as long, about
ENOUGH_LOOKS = 1000  # at images, to tell nets apart (docs/notes/search.md: figures)


@dataclass(frozen=True, kw_only=True)
class Learning:
    """Settings of the supernet's training.

    mode: None means the default for so many images.
    schedule: what differs from the default one for so many.
    shared: a layer's candidates share their weights.
    paths: what of a layer is equally probable in mixed mode (`SearchSetup`). None means weights there and in spaces
        of candidates alone, candidates elsewhere.
    """

    mode: SearchMode | None = None
    schedule: Mapping[str, Any] = field(default_factory=dict)
    shared: bool = True
    paths: Paths | None = None


@dataclass(frozen=True, kw_only=True)
class Draws:
    """Settings of how nets are read from the supernet.

    nets: how many of the best to write.
    draws: nets drawn and ranked in a round.
    rounds: the first draws from P_theta, others near the best so far.
    views: `Ranking`. None means the default for so many images.
    method: of METHODS; None means the one whose mode is the default for so many images.
    finalists: so many of the best are trained for final_epochs, final_runs times, and ranked by that
        (`search.finals`); 0: none are.
    """

    method: str | None = None
    nets: int = NETS
    draws: int = DRAWS
    rounds: int | None = None
    views: int | None = None
    finalists: int = 0
    final_epochs: int = FINAL_EPOCHS
    final_runs: int = FINAL_RUNS

    def views_of(self, images: int) -> int:
        """The number of looks at each image.

        images: of theta's share.
        """
        return default_views(images) if self.views is None else self.views


@dataclass(frozen=True, kw_only=True)
class SearchRequest:
    """What to search nets for, and with what.

    luts: one per device; none where nets are held to multiply-accumulates or parameters alone.
    space: a name or a file; empty means the first LUT's.
    resolution, width: of the nets; None means the first of the LUT's own, or the space's own and 1.
    seed: of weights, gates, order and draws.
    """

    luts: tuple[Lut, ...]
    output: RunOutput
    space: str = ""
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
    nets = {name: options.pop(name) for name in ("space", "resolution", "width") if name in options}
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
    finalists: how many of the first nets were scored after final_epochs of their own, in final_runs (`search.finals`).
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
    finalists: int = 0
    final_epochs: int = 0
    final_runs: int = 0


def space_of(request: SearchRequest) -> tuple[Space, str]:
    """The space to search, and the TOML that defines it."""
    return space_to_search(request.luts, request.space, request.resolution, request.width)


def _name(request: SearchRequest, space: Space) -> str:
    return search_name(request.luts, request.goal, space.name)


def search_folder(request: SearchRequest) -> Path:
    """The folder of a search that is not told another, named by its LUTs, targets and space."""
    return Path("searched") / _name(request, space_of(request)[0])


def check_request(request: SearchRequest) -> None:
    """Raises what is wrong with LUTs, targets and folder, before any data are read."""
    space, _ = space_of(request)
    check_masks(space, request.learning.shared)
    _paths_of(request, space, request.learning.mode or _own_mode(request))
    request.goal.objective(models_of(request.luts, space, request.goal))
    check_trains(space)
    for lut in request.luts:
        check_unchanged(lut.metadata.space, lut.path)
    check_images(request.images)
    schedule_for(SMALL_SET, request.learning.schedule)  # contradicts itself whatever the images, or does not
    check_writable(net_path(request.folder, _name(request, space), 0))


def find_nets(request: SearchRequest, hardware: Hardware, report: Report) -> FoundNets | None:
    """Searches and writes the files; None in processes that are not the first. InterruptedRunError on Ctrl-C."""
    space, definition = space_of(request)
    models = models_of(request.luts, space, request.goal)

    from lutbench.search.ahead import has_room_ahead
    from lutbench.search.dnas import SearchSetup, search
    from lutbench.search.stops import stops_explained

    report = hardware.reporting(report)
    data = open_images(request.images, request.computing, hardware, report)
    objective = request.goal.objective(models, data.count("all"))
    schedule = schedule_for(data.count("all"), request.learning.schedule, space.has_choices)
    mode = mode_of(request, data.count("all"))
    paths = _paths_of(request, space, mode)
    if data.resolution != space.resolution:
        report(Note(_proxy_note(space, data, models)))
    batches = {lut.metadata.device: lut.metadata.batch for lut in request.luts}
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
        ahead=has_room_ahead(hardware, request.computing.threads, data),
        paths=paths,
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
        finalists=request.draws.finalists,
        final_epochs=request.draws.final_epochs,
        final_runs=request.draws.final_runs,
    )


def _how(request: SearchRequest, setup: SearchSetup, data: SplitSource, batches: Mapping[str, int]) -> dict[str, Any]:
    """How the nets were searched for, as their files say it."""
    draws = request.draws
    finals = {name: getattr(draws, name) for name in ("finalists", "final_epochs", "final_runs")}
    return {
        **({"method": draws.method} if draws.method else {}),
        "mode": setup.mode,
        "objective": setup.objective.name,
        "data": data.name,
        "train_resolution": data.resolution,
        "classes": data.classes,
        "epochs": setup.schedule.epochs,
        "batches": batches,
        **({"paths": setup.paths} if setup.paths != "candidates" else {}),
        **(finals if draws.finalists else {}),
        "luts": {lut.metadata.device: lut.metadata.provenance for lut in request.luts},
    }


def default_mode(images: int) -> SearchMode:
    """The paper's; for few images the one that gets through their many epochs in minutes."""
    return "soft" if images >= SMALL_SET else "mixed"


def mode_of(request: SearchRequest, images: int) -> SearchMode:
    """The mode that is asked for, else the method's, else the default for so many images."""
    return request.learning.mode or _own_mode(request) or default_mode(images)


def _own_mode(request: SearchRequest) -> SearchMode | None:
    """The mode of the method that is asked for, where it has one."""
    return METHODS[request.draws.method][0] if request.draws.method else None


def _paths_of(request: SearchRequest, space: Space, mode: SearchMode | None) -> Paths:
    """What is asked for, else the default; UsageError for what the mode or the space does not have.

    mode: None where it hangs on how many images there are.
    """
    asked = request.learning.paths
    have_weights = mode in (None, "mixed") and not space.has_choices
    if asked not in (None, "candidates") and not have_weights:
        why = "a space whose channels or resolution are searched" if space.has_choices else f"{mode} mode"
        raise UsageError(f"--paths {asked} is of mixed mode and of spaces of candidates alone, not of {why}")
    return asked or ("weights" if have_weights else "candidates")


def default_rounds(images: int) -> int:
    """The number of rounds of draws: more on few images, where a net is scored in a fraction of a second."""
    return 1 if images >= SMALL_SET else SMALL_ROUNDS


def default_views(images: int) -> int:
    """The number of looks at each image when nets are ranked.

    images: of theta's share; a few hundred are looked at more than once.
    """
    return 0 if images >= ENOUGH_LOOKS else math.ceil(ENOUGH_LOOKS / images)


def _proxy_note(space: Space, data: SplitSource, models: Sequence[CostModel]) -> str:
    costs = "latencies" if any(map(is_latency, models)) else "counts"
    sizes = ", ".join(f"{size} x {size}" for size in space.resolutions or (space.resolution,))
    return (
        f"searching on {data.name} at {data.resolution} x {data.resolution}, {data.classes} classes;"
        f" {costs} are those of nets at {sizes}, width {format_width(space.width)}, {space.classes} classes"
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
    untold = "evolution" if setup.mode == "elastic" else "theta"  # an elastic supernet's theta knows nothing
    find = FINDERS[METHODS[asked.method][1] if asked.method else untold]
    with scorers_for(ranking, setup.hardware, request.computing.threads, draws * rounds) as scorers:
        own = replace(ranking, scorers=scorers)
        nets = find(own, Effort(draws, rounds, request.seed, request.goal.targets or None))
    if asked.finalists:
        nets = _final(request, ranking, nets, setup.hardware)
    if len(nets) < asked.nets:
        report(Note(f"only {len(nets)} different nets were found: {_few(asked.method)}"))
    return nets


def _final(
    request: SearchRequest, ranking: Ranking, nets: tuple[Derived, ...], hardware: Hardware
) -> tuple[Derived, ...]:
    from lutbench.search.finals import FinalTraining, decide, finals_of

    asked = request.draws
    training = FinalTraining(asked.final_epochs, asked.final_runs, request.seed)
    scores = supernet_scores(request.folder, ranking.views, ranking.batch_size, training)
    finals = finals_of(ranking, training, scores)
    as_long = asked.finalists * asked.final_runs * _SCORES_OF_A_FINAL
    with scorers_for(finals, hardware, request.computing.threads, as_long) as scorers:
        return decide(replace(finals, scorers=scorers), nets, asked.finalists)


def supernet_scores(folder: Path, views: int, batch_size: int, finals: FinalTraining | None = None) -> Scores:
    """The scores of nets under the supernet of a search's folder, which searches and derivations from it share.

    finals: the scores are those of finals after such a training.
    """
    from lutbench.search.checkpoint import CHECKPOINT
    from lutbench.search.finals import FINALS
    from lutbench.search.scores import SCORES, Scores

    ranked_with = {
        "checkpoint": file_sha256(folder / CHECKPOINT),  # the supernet's weights, and which images
        "views": views,
        "batch_size": batch_size,
        "statistics": "together",  # of batch norms: scores of earlier versions were made of batch after batch
    }
    if finals is None:
        return Scores(folder / SCORES, ranked_with)
    several = (
        {"runs": finals.runs} if finals.runs > 1 else {}
    )  # files of one run, of earlier versions too, say nothing of it
    return Scores(folder / FINALS, {**ranked_with, "epochs": finals.epochs, "seed": finals.seed, **several})


def _few(method: str | None) -> str:
    """Why there are fewer nets than were asked for."""
    if method == "uniform":
        return "there is one for each candidate"
    return "so few are within the target" if method in ("random", "evolution", "elastic") else "P_theta is so certain"


def _write(
    request: SearchRequest, nets: Sequence[Derived], definition: str, how: Mapping[str, Any]
) -> tuple[FoundNet, ...]:
    found = []
    name = _name(request, space_of(request)[0])
    for number, derived in enumerate(nets):
        path = net_path(request.folder, name, number)
        net = replace(derived.net, name=f"{path.stem}@{derived.net.space.label}")
        score = derived.score
        own = {"supernet_accuracy": round(score.accuracy, 6), "supernet_cross_entropy": round(score.loss, 6)}
        write_architecture(Architecture(net, derived.predicted_us, request.seed, definition, {**how, **own}), path)
        found.append(FoundNet(replace(derived, net=net), path))
    return tuple(found)
