"""Nets for other devices and budgets from one supernet: within their targets, scored once, and only where all fits."""

from __future__ import annotations

import json
import os
import shutil
import signal
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from lutbench.errors import CheckpointError, InterruptedRunError, LutbenchError, UsageError
from lutbench.events import Event, StepProgress
from lutbench.jobs.derive import DerivedNets, DeriveRequest, derive_nets
from lutbench.jobs.learning import Computing
from lutbench.jobs.search import find_nets, search_request
from lutbench.lut.predict import predict
from lutbench.lut.table import Lut
from lutbench.search.budget import WINDOW
from lutbench.search.checkpoint import CHECKPOINT
from lutbench.search.hardware import Hardware
from lutbench.search.latency import latency_model
from lutbench.search.scores import SCORES
from lutbench.space.architecture import read_architecture
from lutbench.space.file import parse_space
from lutbench.space.macro import Space
from tests.conftest import CHOOSING_TOML, TINY_TOML, LeftBehind
from tests.search.made import made_lut

QUIET = lambda _event: None  # noqa: E731
CPU = Hardware("cpu")
OTHER_TOML = TINY_TOML.replace("k5_e2", "k5_e3")


def lut_of(definition: str, seed: int, device: str, resolution: int | None = None) -> Lut:
    space: Space = parse_space(definition, Path("space.toml"))
    space = space.scaled(resolution or space.resolution, space.width)
    lut = made_lut(space, seed, device)
    section = replace(lut.metadata.space, definition=definition)
    return replace(lut, metadata=replace(lut.metadata, space=section))


DEVICES = ("host", "pixel")
HOST, PIXEL = lut_of(TINY_TOML, 0, "host"), lut_of(TINY_TOML, 3, "pixel")


def target_ms(lut: Lut, factor: float) -> float:
    definition = lut.metadata.space.definition
    (resolution,) = lut.metadata.space.resolutions
    space = parse_space(definition, Path("x")).scaled(resolution, 1.0)
    model = latency_model(lut, space)
    return factor * model.net_us(model.fastest) / 1000


@pytest.fixture(scope="module")
def search(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("search")
    request = search_request(
        HOST,
        folder=folder,
        data="digits",
        train_resolution=16,
        schedule={"epochs": 1, "warmup": 0, "batch_size": 128},
        draws=3,
        rounds=1,
        nets=1,
        views=0,
        threads=1,
    )
    assert find_nets(request, CPU, QUIET) is not None
    return folder


@pytest.fixture
def request_(search: Path, tmp_path: Path) -> DeriveRequest:
    targets = (target_ms(PIXEL, 1.2), target_ms(PIXEL, 1.4))
    return DeriveRequest(search=search, luts=(PIXEL,), targets_ms=targets, folder=tmp_path, scored=8, views=0)


@pytest.mark.parametrize("method", ["theta", "random", "evolution", "uniform"])
def test_nets_of_every_target_are_within_it(request_: DeriveRequest, method: str) -> None:
    found = derive_nets(replace(request_, method=method, nets=2), CPU, QUIET)
    assert [part.target_ms for part in found.parts] == list(request_.targets_ms)
    for part in found.parts:
        assert part.paths and len(part.nets) <= 8
        losses = [one.score.loss for one in part.nets]
        assert losses == sorted(losses)
        for path, one in zip(part.paths, part.written, strict=True):
            read = read_architecture(path)
            assert read.net.choice == one.net.choice
            assert read.predicted_us["pixel"] == pytest.approx(one.predicted_us["pixel"], abs=0.001)  # whole ns
            assert WINDOW * part.target_ms < read.predicted_us["pixel"] / 1000 <= part.target_ms
            assert json.loads(path.read_text())["search"]["method"] == method


def test_a_net_is_scored_once_for_all_luts_and_targets(request_: DeriveRequest, search: Path) -> None:
    both = replace(request_, luts=(PIXEL, replace(PIXEL, metadata=replace(PIXEL.metadata, device="twin"))))
    first = derive_nets(both, CPU, QUIET)
    assert {part.device for part in first.parts} == {"pixel", "twin"}
    again = derive_nets(both, CPU, QUIET)
    assert again.scored == 0
    assert [part.nets for part in again.parts] == [part.nets for part in first.parts]
    nets = {one.net.choice for part in first.parts for one in part.nets}
    assert first.scored <= len(nets) < (search / SCORES).read_bytes().count(b"\n")


def test_the_searchs_own_scores_are_taken(request_: DeriveRequest, search: Path) -> None:
    lines = (search / SCORES).read_text().splitlines()[1:]
    known = {json.loads(line)["net"]: json.loads(line)["loss"] for line in lines}
    own = derive_nets(replace(request_, method="theta"), CPU, QUIET)
    for part in own.parts:
        for one in part.nets:
            if one.net.candidates_text in known:
                assert one.score.loss == known[one.net.candidates_text]


def beside(search: Path, folder: Path, threads: int) -> DeriveRequest:
    """A request on a copy of the search that has no scores, with so many processes where there are as many cores."""
    folder.mkdir()
    shutil.copy(search / CHECKPOINT, folder / CHECKPOINT)
    return DeriveRequest(
        search=folder,
        luts=(PIXEL, HOST),
        targets_ms=(target_ms(HOST, 1.5),),
        folder=folder / "nets",
        scored=10,
        views=0,
        computing=Computing(threads=threads),
    )


@pytest.fixture(scope="module")
def alone(search: Path, tmp_path_factory: pytest.TempPathFactory) -> DerivedNets:
    """What one process finds."""
    return derive_nets(beside(search, tmp_path_factory.mktemp("alone") / "search", 1), CPU, QUIET)


@pytest.fixture
def two_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _process: {0, 1})


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere one process scores")
@pytest.mark.usefixtures("two_cores")
def test_processes_beside_each_other_find_what_one_finds(search: Path, tmp_path: Path, alone: DerivedNets) -> None:
    events: list[Event] = []
    asked = beside(search, tmp_path / "two", 2)
    two = derive_nets(asked, CPU, events.append)
    assert [part.nets for part in two.parts] == [part.nets for part in alone.parts]  # scores to the last bit
    assert two.scored == alone.scored == (asked.search / SCORES).read_bytes().count(b"\n") - 1
    assert [path.name for part in two.parts for path in part.paths if path.exists()] == [
        path.name for part in alone.parts for path in part.paths
    ]
    steps = [event for event in events if isinstance(event, StepProgress)]
    assert [step.done for step in steps] == [*range(1, len(steps) + 1)]
    assert {step.detail.split(":")[0] for step in steps} == {f"{d}, {asked.targets_ms[0]:g} ms" for d in DEVICES}


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere one process scores")
@pytest.mark.usefixtures("two_cores")
def test_ctrl_c_while_processes_score_keeps_what_was_scored_and_leaves_none_behind(
    search: Path, tmp_path: Path, alone: DerivedNets, left_behind: LeftBehind
) -> None:
    asked = beside(search, tmp_path / "stopped", 2)
    stop_after = 3

    def stop(event: Event) -> None:
        if isinstance(event, StepProgress) and event.done == stop_after:
            signal.raise_signal(signal.SIGINT)

    with pytest.raises(InterruptedRunError, match="the same command goes on"):
        derive_nets(asked, CPU, stop)
    assert not left_behind()
    kept = (asked.search / SCORES).read_bytes().count(b"\n") - 1
    assert kept >= stop_after
    whole = derive_nets(asked, CPU, QUIET)
    assert whole.scored == alone.scored - kept
    assert [part.nets for part in whole.parts] == [part.nets for part in alone.parts]


FEW_TOML = CHOOSING_TOML.replace("layers = 2\n", "").replace("2.25..0.75", "1.5..0.75")


@pytest.mark.parametrize("mode", ["mixed", "elastic"])
def test_nets_with_channels_and_a_resolution_of_their_own(mode: str, tmp_path: Path) -> None:
    """Of a supernet of masks, whichever way it was trained: for a device and budgets that it has never heard of."""
    own, other = lut_of(FEW_TOML, 0, "host"), lut_of(FEW_TOML, 3, "pixel")
    space = parse_space(FEW_TOML, Path("few.toml"))
    model = latency_model(other, space.scaled(32, 1.0))
    low_us, high_us = model.net_us(model.fastest), model.net_us(model.slowest)
    schedule = {"epochs": 1, "warmup": 0, "batch_size": 64}
    asked = search_request(
        own, folder=tmp_path, data="shapes:100@16", schedule=schedule, mode=mode, draws=2, rounds=1,
        nets=1, views=0, threads=1, targets_ms=(0.35,),
    )  # fmt: skip
    assert find_nets(asked, CPU, QUIET) is not None
    targets_ms = tuple((low_us + share * (high_us - low_us)) / 1000 for share in (0.3, 0.7))
    derived = DeriveRequest(
        search=tmp_path, luts=(other,), targets_ms=targets_ms, folder=tmp_path / "nets", scored=8, views=0,
        computing=Computing(threads=1),
    )  # fmt: skip
    shapes = set()
    for part in derive_nets(derived, CPU, QUIET).parts:
        read = read_architecture(part.paths[0])
        assert WINDOW * part.target_ms < read.predicted_us["pixel"] / 1000 <= part.target_ms
        assert predict(other, read.net).latency_us == pytest.approx(read.predicted_us["pixel"], abs=0.001)
        assert read.net.candidates_text.startswith("r") and read.net.space.widest == space.scaled(32, 1.0)
        shapes |= {one.net.candidates_text.split(",")[0] for one in part.nets}
    assert len(shapes) > 2
    fixed = lut_of(FEW_TOML, 4, "fixed", resolution=24)  # whose nets have one resolution: another space
    with pytest.raises(CheckpointError, match=r"resolutions 16/24/32, .* and the LUT of choosing@24x1\.0, channels"):
        derive_nets(replace(derived, luts=(fixed,)), CPU, QUIET)
    with pytest.raises(UsageError, match="choose their resolution from 16, 24, 32; leave --resolution out"):
        derive_nets(replace(derived, resolution=24), CPU, QUIET)


def test_a_lut_of_another_resolution_will_do_and_of_another_space_will_not(request_: DeriveRequest) -> None:
    larger = lut_of(TINY_TOML, 5, "larger", resolution=64)
    found = derive_nets(replace(request_, luts=(larger,), targets_ms=(target_ms(larger, 1.3),)), CPU, QUIET)
    assert read_architecture(found.parts[0].paths[0]).net.space.resolution == 64
    other = lut_of(OTHER_TOML, 6, "other")
    with pytest.raises(CheckpointError, match=r"its supernet is of space tiny@32x1.0, .* and the LUT of tiny@32x1.0"):
        derive_nets(replace(request_, luts=(other,)), CPU, QUIET)


def test_what_is_wrong_is_said_before_anything_is_scored(request_: DeriveRequest, search: Path, tmp_path: Path) -> None:
    before = (search / SCORES).read_bytes()
    with pytest.raises(UsageError, match="the fastest takes"):
        derive_nets(replace(request_, targets_ms=(target_ms(PIXEL, 1.2), 1e-6)), CPU, QUIET)
    with pytest.raises(UsageError, match="no target is given"):
        derive_nets(replace(request_, targets_ms=()), CPU, QUIET)
    with pytest.raises(CheckpointError, match="there is no checkpoint"):
        derive_nets(replace(request_, search=tmp_path / "none"), CPU, QUIET)
    with pytest.raises(CheckpointError, match="other images: images was 1438 and is 100"):
        derive_nets(replace(request_, data="shapes:100@16"), CPU, QUIET)
    assert (search / SCORES).read_bytes() == before


def test_a_search_that_has_not_come_to_its_end_is_refused(
    request_: DeriveRequest, search: Path, tmp_path: Path
) -> None:
    import torch

    kept = torch.load(search / CHECKPOINT, weights_only=True)
    kept["state"]["history"] = []
    torch.save(kept, tmp_path / CHECKPOINT)
    with pytest.raises(CheckpointError, match="has come to 0 of 1 epochs; start its command again"):
        derive_nets(replace(request_, search=tmp_path), CPU, QUIET)


@pytest.mark.parametrize("damage", ["job", "space", "classes", "net", "text"])
def test_a_damaged_checkpoint_is_one_error(request_: DeriveRequest, search: Path, tmp_path: Path, damage: str) -> None:
    import torch

    kept = torch.load(search / CHECKPOINT, weights_only=True)
    if damage == "net":
        kept["state"]["net"].popitem()
    else:
        kept["identity"][damage if damage != "text" else "data"] = "x" if damage != "text" else "imagefolder:/x"
    torch.save(kept, tmp_path / CHECKPOINT)
    with pytest.raises(LutbenchError) as caught:
        derive_nets(replace(request_, search=tmp_path), CPU, QUIET)
    assert "\n" not in str(caught.value)
    assert ("give them as --data" in str(caught.value)) == (damage == "text")
