"""`lutbench derive`: nets for other devices and budgets, from the supernet of a search that has come to its end.

What a supernet says of a net does not depend on a device, so one training serves every LUT of its space: a net that was
scored for one target is not scored again for another.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lutbench.errors import InterruptedRunError, UsageError
from lutbench.events import Note, Report
from lutbench.files import check_writable
from lutbench.jobs.goals import Goal, latency_models, net_path, search_name
from lutbench.jobs.learning import Computing, Images, open_images
from lutbench.jobs.scoring import Counted, scorers_for
from lutbench.jobs.search import default_views, supernet_scores
from lutbench.lut.table import Lut
from lutbench.search.grid_costs import CostModel
from lutbench.space.architecture import Architecture, write_architecture
from lutbench.space.find import kept_spaces
from lutbench.units import US_PER_MS

if TYPE_CHECKING:
    from lutbench.search.data.source import DataSource, SplitSource
    from lutbench.search.derive import Derived, Ranking
    from lutbench.search.finished import FinishedSearch
    from lutbench.search.hardware import Hardware
    from lutbench.space.macro import Space

METHOD = "evolution"
SCORED = 60  # nets that are scored for each target
PER_ROUND = 20


@dataclass(frozen=True, kw_only=True)
class DeriveRequest:
    """Which nets to derive from a supernet.

    search: the folder of a search.
    luts: each by itself, unlike those of a search.
    targets_ms: for each of the LUTs.
    folder: gets the architecture files.
    resolution: of the nets; None means the LUT's first.
    nets: to write for each LUT and target.
    scored: nets that are scored for each of them.
    images: None: those that the supernet was trained on, where they are not at a path.
    views: looks at each image; None means the default for so many images.
    """

    search: Path
    luts: tuple[Lut, ...]
    targets_ms: tuple[float, ...]
    folder: Path
    method: str = METHOD
    resolution: int | None = None
    nets: int = 1
    scored: int = SCORED
    data: str = ""
    workers: int | None = None
    skip_broken: bool = False
    views: int | None = None
    seed: int = 0
    computing: Computing = field(default_factory=Computing)


@dataclass(frozen=True)
class DerivedFor:
    """What was derived for a LUT and a target, best first.

    paths: of the nets that were written, the first ones.
    """

    device: str
    target_ms: float
    nets: tuple[Derived, ...]
    paths: tuple[Path, ...]

    @property
    def written(self) -> tuple[Derived, ...]:
        """The nets that are in files."""
        return self.nets[: len(self.paths)]


@dataclass(frozen=True)
class DerivedNets:
    """All that was derived, LUT by LUT and target by target.

    scored: nets that were scored in this run.
    source: the images that the supernet was trained on.
    images, views: what each was scored on.
    """

    parts: tuple[DerivedFor, ...]
    source: Images
    data: str
    images: int
    views: int
    scored: int


def derive_nets(request: DeriveRequest, hardware: Hardware, report: Report) -> DerivedNets:
    """Finds the nets and writes their files; a target out of reach is refused before anything is scored."""
    if not request.targets_ms:
        raise UsageError("no target is given", remedy="--target-ms 8,12,16")
    from lutbench.search.finished import read_search

    found = read_search(request.search)
    spaces = [_space(request, lut, found) for lut in request.luts]
    models = [latency_models((lut,), space)[0] for lut, space in zip(request.luts, spaces, strict=True)]
    _check_targets(request, models)
    source = _images(request, found)
    data = open_images(source, request.computing, hardware, report)
    found.check_images(data)
    views = default_views(data.count("theta")) if request.views is None else request.views
    supernet = found.supernet(spaces[0], str(hardware.device))
    with hardware.folder_held(request.search):
        scores = supernet_scores(request.search, views, found.batch_size)
        before = len(scores)
        rankings = [_ranking(found, supernet, model, data, views, scores, report) for model in models]
        parts = _derive_all(request, rankings, found, hardware)
    return DerivedNets(tuple(parts), source, data.name, data.count("theta"), views, len(scores) - before)


def _derive_all(
    request: DeriveRequest, rankings: Sequence[Ranking], found: FinishedSearch, hardware: Hardware
) -> list[DerivedFor]:
    """The nets of every LUT and target; those of one do not depend on another's, and are found beside each other."""
    goals = [
        (lut, one, target) for lut, one in zip(request.luts, rankings, strict=True) for target in request.targets_ms
    ]
    nets = len(goals) * request.scored
    counted = Counted("deriving", nets, rankings[0].report)
    with scorers_for(rankings[0], hardware, request.computing.threads, nets) as scorers:
        jobs = [
            partial(_derive, request, lut, replace(ranking, scorers=scorers), target_ms, found, counted)
            for lut, ranking, target_ms in goals
        ]
        try:
            return [job() for job in jobs] if scorers is None else scorers.together(jobs)
        except KeyboardInterrupt:
            remedy = "the same command goes on: nets that were scored are not scored again"
            raise InterruptedRunError("interrupted", path=request.search, remedy=remedy) from None


def _space(request: DeriveRequest, lut: Lut, found: FinishedSearch) -> Space:
    """The LUT's space at the supernet's width; LutError or CheckpointError where it has none such."""
    section = lut.metadata.space
    resolution = request.resolution or (section.resolutions[0] if section.resolutions else 0)
    (space,) = kept_spaces(section.name, (resolution,), (found.width,), section.definition)
    if request.resolution and not space.resolutions:
        (whole,) = kept_spaces(section.name, section.resolutions[:1], (found.width,), section.definition)
        if whole.resolutions:
            sizes = ", ".join(map(str, whole.resolutions))
            raise UsageError(
                f"nets of space {space.name} choose their resolution from {sizes}", remedy="leave --resolution out"
            )
    found.check_space(space)
    return space


def _check_targets(request: DeriveRequest, models: Sequence[CostModel]) -> None:
    """UsageError for a target that no net meets, OutputError for a folder that cannot be written."""
    from lutbench.search.objective import budget

    for lut, model in zip(request.luts, models, strict=True):
        for target_ms in request.targets_ms:
            budget([model], [target_ms * US_PER_MS])
            check_writable(_path(request, lut, target_ms, 0))


def _path(request: DeriveRequest, lut: Lut, target_ms: float, number: int) -> Path:
    return net_path(request.folder, search_name([lut], Goal(targets_ms=(target_ms,))), number)


def _images(request: DeriveRequest, found: FinishedSearch) -> Images:
    """The images that the supernet was trained on; UsageError where they are at a path, which a file may not name."""
    from lutbench.reading.plain import show
    from lutbench.search.data.find import is_built_in

    if not request.data and not is_built_in(found.data):
        raise UsageError(
            f"its images are {show(found.data)}, and a path in a file is not followed",
            path=found.path,
            remedy="give them as --data",
        )
    return Images(
        data=request.data or found.data,
        resolution=found.resolution,
        classes=found.classes,
        data_seed=found.data_seed,
        workers=request.workers,
        skip_broken=request.skip_broken,
    )


def _ranking(
    found: FinishedSearch,
    supernet: Any,
    model: CostModel,
    data: SplitSource,
    views: int,
    scores: Any,
    report: Report,
) -> Ranking:
    from lutbench.search.derive import Ranking
    from lutbench.search.objective import budget

    any_us = model.net_us(model.fastest)  # every net is within its target, and cross entropy alone ranks them
    return Ranking(
        supernet=supernet,
        models=(model,),
        probabilities=supernet.probabilities,
        data=data,
        batch_size=found.batch_size,
        objective=budget((model,), (any_us,)),
        report=report,
        views=views,
        scores=scores,
    )


def _derive(
    request: DeriveRequest, lut: Lut, ranking: Ranking, target_ms: float, found: FinishedSearch, counted: Counted
) -> DerivedFor:
    from lutbench.search.finders import FINDERS, Effort

    device = ranking.models[0].device
    own = replace(ranking, report=counted.of(f"{device}, {target_ms:g} ms"))
    rounds = max(1, round(request.scored / PER_ROUND))
    effort = Effort(min(PER_ROUND, request.scored), rounds, request.seed, (target_ms * US_PER_MS,))
    nets = FINDERS[request.method](own, effort)
    if len(nets) < request.nets:
        ranking.report(Note(f"{device}, {target_ms:g} ms: only {len(nets)} different nets were found"))
    paths = []
    for number, one in enumerate(nets[: request.nets]):
        path = _path(request, lut, target_ms, number)
        net = replace(one.net, name=f"{path.stem}@{one.net.space.label}")
        how = _how(request, lut, ranking.data, found, one)
        definition = lut.metadata.space.definition
        write_architecture(Architecture(net, one.predicted_us, request.seed, definition, how), path)
        paths.append(path)
    return DerivedFor(device, target_ms, nets, tuple(paths))


def _how(request: DeriveRequest, lut: Lut, data: DataSource, found: FinishedSearch, one: Derived) -> Mapping[str, Any]:
    """How a net was found, as its file says it."""
    return {
        "method": request.method,
        "supernet": found.sha256,
        "data": data.name,
        "train_resolution": data.resolution,
        "classes": data.classes,
        "batches": {lut.metadata.device: lut.metadata.batch},
        "luts": {lut.metadata.device: lut.metadata.provenance},
        "supernet_accuracy": round(one.score.accuracy, 6),
        "supernet_cross_entropy": round(one.score.loss, 6),
    }
