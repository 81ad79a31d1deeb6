"""The jobs of the search's evidence: a training, a search, the scores of nets under a supernet; each adds its lines."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from _evidence_records import Record, Records

from lutbench.events import Event
from lutbench.jobs.goals import latency_models
from lutbench.jobs.search import SearchRequest, default_views, find_nets, search_request, space_of, supernet_scores
from lutbench.lut.file import read_lut
from lutbench.nn.workload import empty_net
from lutbench.search.chance import random_within
from lutbench.search.data.find import find_data
from lutbench.search.data.options import DataOptions
from lutbench.search.data.source import SplitSource
from lutbench.search.derive import Ranking
from lutbench.search.dnas import Paths
from lutbench.search.finals import FinalTraining, finals_of
from lutbench.search.finished import read_search
from lutbench.search.hardware import Accelerator, Hardware
from lutbench.search.objective import budget
from lutbench.search.recipe import Recipe
from lutbench.search.train import TrainSetup, train
from lutbench.space.net import Net, parse_net
from lutbench.space.zoo import retargeted

Epochs = tuple[int, int]  # of finals: how many, and in how many runs
NETS_SEED = 0  # of the random nets, the same for every data set


@dataclass(frozen=True)
class Study:
    """What is compared, on which images and for which device.

    folder: of checkpoints; not kept.
    recipe: of trainings from scratch.
    schedule: of supernets, what differs from the default one.
    draws, rounds: as many nets as that are scored by each method.
    finalists: so many of the best are trained for an epoch each and ranked by that.
    paths: of mixed searches; what of a layer is equally probable.
    accelerator: what nets and supernets are trained on. Lines do not say it: results of another have a file of theirs.
    classes: so many of the data's; all of them where it is None.
    """

    lut: Path
    data: str
    folder: Path
    records: Records
    recipe: Recipe
    schedule: Mapping[str, Any] = field(default_factory=dict)
    draws: int = 30
    rounds: int = 8
    finalists: int = 0
    paths: Paths = "weights"
    accelerator: Accelerator = "cpu"
    classes: int | None = None

    def __post_init__(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)

    def images(self) -> SplitSource:
        """The data at its own size."""
        return find_data(self.data, DataOptions(classes=self.classes), quiet)

    @property
    def said_data(self) -> str:
        """What lines and folders say of the images."""
        return f"{self.data}, {self.classes} classes" if self.classes else self.data

    def model(self) -> Any:
        """What nets cost on the LUT's device."""
        lut = read_lut(self.lut)
        space, _ = space_of(search_request(lut, folder=self.folder))
        return latency_models((lut,), space)[0]

    def random_nets(self, target_ms: float, count: int) -> list[Net]:
        """The first so many of one endless list of random nets within the budget."""
        return random_within((self.model(),), count, np.random.default_rng(NETS_SEED), (1000 * target_ms,))

    def supernet_folder(self, mode: str, target_ms: float, seed: int) -> Path:
        paths = f"_{said}" if (said := self.said_paths(mode)) else ""
        name = f"{self.lut.stem}_{self.said_data}_{mode}{paths}_{target_ms:g}ms_{seed}"
        return self.folder / re.sub("[:/, ]+", "-", name)

    def said_paths(self, mode: str) -> Paths | None:
        """What lines say of paths: those of equally probable candidates, the first that were, say nothing."""
        return self.paths if mode == "mixed" and self.paths != "candidates" else None

    def about(self, **more: Any) -> dict[str, Any]:
        """What every line says."""
        return {"data": self.said_data, "lut": self.lut.stem, **more}


def quiet(_event: Event) -> None:
    pass


def keep_random_nets(study: Study, target_ms: float, count: int) -> list[str]:
    """The candidates of the random nets of a budget, each with a line of its own."""
    model, nets = study.model(), study.random_nets(target_ms, count)
    kept = {one["net"] for one in study.records.where(**study.about(kind="chance", target_ms=target_ms))}
    for net in nets:
        line = study.about(kind="chance", target_ms=target_ms, net=net.candidates_text)
        if net.candidates_text not in kept:
            study.records.add(line | {"latency_us": round(model.net_us(net), 3)})
    return [net.candidates_text for net in nets]


def training_line(study: Study, net: str, seed: int) -> dict[str, Any]:
    """What a training's line says of which it is."""
    return study.about(kind="training", net=net, seed=seed, recipe=study.recipe.to_dict())


def train_net(study: Study, net: str, seed: int) -> None:
    """Trains a net from scratch and tests it once, at the end."""
    source = study.images()
    whole = retargeted(parse_net(net, study.model().space), source.resolution, source.classes)
    line = training_line(study, net, seed)
    folder = study.folder / "trainings" / hashlib.sha256(json.dumps(line).encode()).hexdigest()[:24]
    started = time.process_time()  # of this go: a process that was stopped for a while took no longer
    setup = TrainSetup(
        net=empty_net(whole),
        name=net,
        data=source,
        recipe=study.recipe,
        folder=folder,
        seed=seed,
        hardware=Hardware(study.accelerator),
        tests_at_end_only=True,
    )
    result = train(setup, quiet)
    study.records.add(
        line
        | {"accuracy": result.test.accuracy, "loss": round(result.test.loss, 6), "images": result.test.images}
        | {"cpu_s": round(time.process_time() - started, 1)}
    )
    shutil.rmtree(folder)  # the line says all that is needed of it


def found_line(study: Study, method: str, mode: str, target_ms: float, seed: int) -> dict[str, Any]:
    """What the line of a search's best net says of which search it is."""
    return study.about(
        kind="found",
        method=method,
        mode=mode,
        target_ms=target_ms,
        seed=seed,
        schedule=dict(study.schedule),
        scored=study.draws * study.rounds,
        finalists=study.finalists or None,  # lines of searches without finals say nothing of them
        paths=study.said_paths(mode),
    )


def search_nets(study: Study, method: str, mode: str, target_ms: float, seed: int) -> None:
    """Searches by a method; methods of one mode, budget and seed share a supernet, which is trained once."""
    request = _request(
        study, mode, target_ms, seed, method=method, draws=study.draws, rounds=study.rounds, finalists=study.finalists
    )
    started = time.process_time()
    found = find_nets(request, Hardware(study.accelerator), quiet)
    assert found is not None
    best = found.nets[0].derived
    study.records.add(
        _said(found_line(study, method, mode, target_ms, seed))
        | {"net": best.net.candidates_text, "latency_us": round(next(iter(best.predicted_us.values())), 3)}
        | {"supernet_loss": round(best.score.loss, 6), "supernet_accuracy": best.score.accuracy}
        | {"supernet_s": round(_supernet_s(found.history, found.images), 1)}
        | {"cpu_s": round(time.process_time() - started, 1)}
    )


def _request(study: Study, mode: str, target_ms: float, seed: int, **draws: Any) -> SearchRequest:
    """A search for the best net."""
    return search_request(
        read_lut(study.lut),
        folder=study.supernet_folder(mode, target_ms, seed),
        targets_ms=(target_ms,),
        data=study.data,
        classes=study.classes,
        schedule=study.schedule,
        mode=mode,
        paths=study.paths if mode == "mixed" else None,
        nets=1,
        seed=seed,
        threads=1,  # nor are nets scored in more processes than this one: several programs run at a time
        **draws,
    )


def _said(line: dict[str, Any]) -> dict[str, Any]:
    """The line without what it says nothing of."""
    return {name: value for name, value in line.items() if value is not None}


def _supernet_s(history: Sequence[Record], theta_images: int) -> float:
    """What the supernet's epochs took, in however many goes they ran; w's share has four times theta's images."""
    w_s = sum(4 * theta_images / epoch["w_images_per_s"] for epoch in history)
    theta_s = sum(theta_images / epoch["theta_images_per_s"] for epoch in history if "theta_images_per_s" in epoch)
    return float(w_s + theta_s)


def score_line(
    study: Study, mode: str, target_ms: float, seed: int, net: str, finals: Epochs | None = None
) -> dict[str, Any]:
    """What the line of a net's score says of which supernet it is under, and of the epochs of its own before it."""
    epochs, runs = finals or (None, 1)
    return study.about(
        kind="score",
        mode=mode,
        target_ms=target_ms,
        seed=seed,
        schedule=dict(study.schedule),
        net=net,
        paths=study.said_paths(mode),
        final_epochs=epochs,  # lines of scores as they are say nothing of them
        final_runs=runs if runs > 1 else None,
    )


def score_nets(
    study: Study, mode: str, target_ms: float, seed: int, nets: Sequence[str], finals: Epochs | None = None
) -> None:
    """The cross entropy of nets under the supernet of a search, which is trained again where its folder is gone.

    finals: each net is trained for so many epochs with a copy of the supernet's weights before it is scored, in so many
        runs, of which the mean counts.
    """
    find_nets(_request(study, mode, target_ms, seed, draws=1, rounds=1), Hardware(study.accelerator), quiet)
    found = read_search(study.supernet_folder(mode, target_ms, seed))
    model, source = study.model(), study.images()
    supernet = found.supernet(model.space, str(Hardware(study.accelerator).device))
    views = default_views(source.count("theta"))
    within = budget((model,), (model.net_us(model.fastest),))
    scores = supernet_scores(found.path.parent, views, found.batch_size)
    ranking = Ranking(
        supernet, (model,), supernet.probabilities, source, found.batch_size, within, quiet, views, scores
    )
    judge = finals_of(ranking, FinalTraining(*finals, seed)) if finals else ranking
    for text in nets:
        score = judge.score(parse_net(text, model.space))
        line = score_line(study, mode, target_ms, seed, text, finals)
        study.records.add(_said(line) | {"loss": round(score.loss, 6), "accuracy": score.accuracy})
