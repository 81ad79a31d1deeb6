from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import get_args

import pytest
import torch

from lutbench.errors import CheckpointError, TrainingError, UsageError
from lutbench.events import Event, StepProgress
from lutbench.search.dnas import SEARCH_MODES, Paths, SearchMode, SearchResult, SearchSetup, search
from lutbench.search.epochs import Begin
from lutbench.search.gates import Gates, candidate_mask
from lutbench.search.latency import latency_model
from lutbench.search.objective import budget, product
from lutbench.search.schedule import Schedule
from lutbench.search.supernet import Supernet
from tests.search.made import SMALL, Blobs, made_lut

SCHEDULE = Schedule(epochs=3, warmup=1, batch_size=16, w_rate=0.05, theta_rate=0.05)
NO_THETA = ("elastic", "theta")  # theta learns nothing in this mode
SMALL_MASK = candidate_mask(SMALL)
ROOT = Path(__file__).parents[2]


def setup(folder: Path, **changes: object) -> SearchSetup:
    models = (latency_model(made_lut(), SMALL),)
    base = SearchSetup(models=models, data=Blobs(), objective=product(models), schedule=SCHEDULE, folder=folder)
    return replace(base, **changes)  # type: ignore[arg-type]


def quiet(_event: Event) -> None:
    pass


def lines(folder: Path) -> list[dict[str, float]]:
    return [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]


def same(one: SearchResult, other: SearchResult) -> bool:
    states = one.supernet.state_dict(), other.supernet.state_dict()
    return all(torch.equal(value, states[1][name]) for name, value in states[0].items())


class StopError(Exception):
    pass


def stop_in(epoch: int, part: str) -> Callable[[Event], None]:
    def report(event: Event) -> None:
        if isinstance(event, StepProgress) and event.done == epoch and event.stage.endswith(part):
            raise StopError

    return report


@pytest.mark.parametrize("mode", SEARCH_MODES)
def test_it_learns_and_writes_a_line_per_epoch(mode: SearchMode, tmp_path: Path) -> None:
    schedule = replace(SCHEDULE, epochs=8, w_rate=0.1)
    found = search(setup(tmp_path, mode=mode, schedule=schedule, data=Blobs(images=400)), quiet)
    written = lines(tmp_path)
    assert [record["epoch"] for record in written] == list(range(1, 9)) and len(found.history) == 8
    assert written[-1]["w_accuracy"] > 0.5 > written[0]["w_accuracy"] and written[-1]["w_loss"] < written[0]["w_loss"]
    assert "theta_loss" not in written[0]  # the first epoch trains w alone, and an elastic search all of them
    assert ("theta_loss" in written[1]) == (mode != "elastic")
    assert written[1]["temperature"] == pytest.approx(5 * 0.956, rel=1e-3)


@pytest.mark.parametrize("mode", ["soft", "mixed"])
def test_compiled_passes_learn_the_same(mode: SearchMode, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plain = search(setup(tmp_path / "plain", mode=mode), quiet)
    graphs: list[int] = []

    def compiler(graph: torch.fx.GraphModule, _example: list[torch.Tensor]) -> Callable[..., object]:
        graphs.append(len(graph.graph.nodes))
        return graph.forward

    torch._dynamo.reset()
    monkeypatch.setattr(torch, "compile", partial(torch.compile, backend=compiler))
    compiled = search(setup(tmp_path / "compiled", mode=mode, compiled=True), quiet)
    assert max(graphs) > 100  # the whole supernet in one graph
    torch.testing.assert_close(compiled.supernet.theta, plain.supernet.theta, rtol=0, atol=1e-4)


def test_mixed_passes_train_every_net_alike(tmp_path: Path) -> None:
    """w does not depend on theta: a search for another device learns the same weights."""
    models = (latency_model(made_lut(), SMALL),)
    found = [
        search(setup(tmp_path / f"{beta}", mode="mixed", objective=product(models, 0.2, beta)), quiet).supernet
        for beta in (0.6, 30.0)
    ]
    assert not torch.equal(found[0].theta, found[1].theta)
    assert all(torch.equal(one, other) for one, other in zip(*(net.weights() for net in found), strict=True))


def test_paths_of_weights_skip_as_often_as_they_run_a_block(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    skipped: list[bool] = []

    def forward(net: Supernet, images: torch.Tensor, gates: Gates) -> torch.Tensor:
        if gates.path is not None:
            skipped.extend(SMALL.layers[layer].candidates[gates.path[layer]].name == "skip" for layer in (0, 1))
        return plain(net, images, gates)

    plain = Supernet.forward
    monkeypatch.setattr(Supernet, "forward", forward)
    shares = {}
    for paths in get_args(Paths):
        skipped.clear()
        search(setup(tmp_path / paths, mode="mixed", paths=paths, data=Blobs(images=1600)), quiet)
        shares[paths] = sum(skipped) / len(skipped)
    assert shares == {
        "candidates": pytest.approx(1 / 4, abs=0.07),
        "stages": pytest.approx(1 / 4, abs=0.07),  # these two layers begin no stage that changes the shape
        "weights": pytest.approx(1 / 2, abs=0.07),
    }
    with pytest.raises(CheckpointError, match="paths"):
        search(setup(tmp_path / "candidates", mode="mixed", paths="weights", data=Blobs(images=1600)), quiet)


def test_hard_passes_cannot_be_compiled(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="nothing to compile"):
        search(setup(tmp_path, mode="hard", compiled=True), quiet)


@pytest.mark.parametrize("mode", ["soft", "hard"])
def test_a_clipped_step_is_no_longer_than_it_may_be(mode: SearchMode, tmp_path: Path) -> None:
    """Plain SGD of one step: the weights move by the rate times the gradient, whose norm is clipped."""
    blobs = Blobs(images=20)  # 16 of them are w's: one step
    schedule = replace(SCHEDULE, epochs=1, warmup=0, batch_size=16, w_rate=0.5, w_momentum=0.0, w_decay=0.0)

    def moved(name: str, clip: float) -> float:
        clipped = replace(schedule, w_clip=clip)
        after = search(setup(tmp_path / name, mode=mode, schedule=clipped, data=blobs), quiet).supernet
        before = Supernet(SMALL, blobs.classes, blobs.resolution, 0)
        pairs = zip(before.weights(), after.weights(), strict=True)
        return sum((new - old).detach().square().sum().item() for old, new in pairs) ** 0.5 / 0.5

    free = moved("free", 0.0)
    assert moved("clipped", free / 3) == pytest.approx(free / 3, rel=1e-3)
    assert moved("loose", free * 3) == pytest.approx(free, rel=1e-6)


def test_warm_up_leaves_theta_alone_and_then_it_moves(tmp_path: Path) -> None:
    assert (search(setup(tmp_path / "whole"), quiet).supernet.theta[SMALL_MASK] != 0).all()
    with pytest.raises(StopError):
        search(setup(tmp_path / "warm"), stop_in(1, "w"))
    state = torch.load(tmp_path / "warm" / "checkpoint.pt", weights_only=True)["state"]
    assert (state["net"]["theta"] == 0).all()


def test_a_strong_pull_to_low_latency_makes_nets_fast(tmp_path: Path) -> None:
    base = setup(tmp_path / "a")
    schedule = Schedule(epochs=25, warmup=0, batch_size=16, w_rate=0.01, theta_rate=0.3)
    found = search(replace(base, schedule=schedule, objective=product(base.models, 0.2, 12.0)), quiet)
    model = base.models[0]
    low_us, high_us = model.net_us(model.fastest), model.net_us(model.slowest)
    assert found.history[-1]["expected_us host"] < low_us + 0.2 * (high_us - low_us)


@pytest.mark.parametrize("share", [0.2, 0.8])
def test_a_budget_is_met_in_one_run(share: float, tmp_path: Path) -> None:
    base = setup(tmp_path)
    model = base.models[0]
    target_us = model.net_us(model.fastest) + share * (model.net_us(model.slowest) - model.net_us(model.fastest))
    schedule = Schedule(epochs=25, warmup=1, batch_size=8, w_rate=0.02, theta_rate=0.1, cooling=0.1)
    found = search(replace(base, schedule=schedule, objective=budget(base.models, [target_us])), quiet)
    assert found.history[-1]["expected_us host"] / target_us == pytest.approx(0.985, abs=0.03)


@pytest.mark.parametrize(
    ("mode", "part"), [(mode, part) for mode in SEARCH_MODES for part in ("w", "theta") if (mode, part) != NO_THETA]
)
def test_an_interrupted_search_ends_where_an_uninterrupted_one_does(
    mode: SearchMode, part: str, tmp_path: Path
) -> None:
    models = (latency_model(made_lut(), SMALL),)

    def one(folder: str, begin: Begin = "auto") -> SearchSetup:
        return setup(tmp_path / folder, mode=mode, begin=begin, objective=budget(models, [480.0]))

    whole = search(one("whole"), quiet)
    with pytest.raises(StopError):
        search(one("parts"), stop_in(2, part))
    resumed = search(one("parts", begin="resume"), quiet)
    assert same(whole, resumed)
    keys = {"epoch", "w_loss", "theta_loss", "expected_us host", "summed"}
    for line, other in zip(lines(tmp_path / "whole"), lines(tmp_path / "parts"), strict=True):
        assert {k: v for k, v in line.items() if k in keys} == {k: v for k, v in other.items() if k in keys}


KILLED = """
import sys
from pathlib import Path
import torch
torch.set_num_threads(1)
from tests.search.test_dnas import quiet, setup
from lutbench.search.dnas import search
search(setup(Path(sys.argv[1]), mode="hard", begin=sys.argv[2]), quiet)
"""


def test_a_killed_search_goes_on_to_the_same_theta(tmp_path: Path) -> None:
    whole = search(setup(tmp_path / "whole", mode="hard"), quiet)
    command = [sys.executable, "-c", KILLED, str(tmp_path / "killed")]
    process = subprocess.Popen([*command, "auto"], cwd=ROOT)
    checkpoint = tmp_path / "killed" / "checkpoint.pt"
    while not checkpoint.exists():
        assert process.poll() is None
        time.sleep(0.001)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    subprocess.run([*command, "resume"], cwd=ROOT, check=True)
    state = torch.load(checkpoint, weights_only=True)["state"]
    assert torch.equal(state["net"]["theta"], whole.supernet.theta)
    assert len(lines(tmp_path / "killed")) == SCHEDULE.epochs


def test_a_loss_that_is_no_number_stops_and_keeps_the_last_good_checkpoint(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match=r"the loss is nan at step 1 in epoch 2, training w.*epoch 1 is kept"):
        search(setup(tmp_path, data=Blobs(poison=True)), quiet)
    state = torch.load(tmp_path / "checkpoint.pt", weights_only=True)["state"]
    assert len(state["history"]) == 1
    assert all(bool(torch.isfinite(value).all()) for value in state["net"].values())


def test_a_checkpoint_is_neither_overwritten_nor_taken_for_another_search(tmp_path: Path) -> None:
    first = search(setup(tmp_path), quiet)
    assert search(setup(tmp_path), quiet).history == first.history
    other = latency_model(made_lut(seed=9), SMALL)
    changes: list[dict[str, object]] = [
        {"mode": "hard"},
        {"seed": 1},
        {"schedule": replace(SCHEDULE, epochs=9)},
        {"models": (other,)},
        {"data": Blobs(resolution=32)},
        {"objective": product([other], 0.3)},
    ]
    for change in changes:
        with pytest.raises(CheckpointError, match="another job"):
            search(setup(tmp_path, **change), quiet)
    with pytest.raises(CheckpointError, match="there is no checkpoint"):
        search(setup(tmp_path / "empty", begin="resume"), quiet)


def test_progress_says_how_far_and_how_long(tmp_path: Path) -> None:
    events: list[Event] = []
    search(setup(tmp_path), events.append)
    steps = [event for event in events if isinstance(event, StepProgress)]
    assert {event.stage for event in steps} == {"searching, w", "searching, theta"}
    assert "expected host" in steps[0].detail and "accuracy" in steps[0].detail
    last = [event.remaining_s for event in steps if event.done == SCHEDULE.epochs - 1]
    assert all(left >= 0 for left in last) and last[-1] == 0
