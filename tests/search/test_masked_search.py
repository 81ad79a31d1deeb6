"""The search of masks: the same passes, checkpoints and ranking as of other spaces."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from lutbench.errors import CheckpointError, UsageError
from lutbench.events import Event, StepProgress
from lutbench.search.derive import Ranking, calibrate
from lutbench.search.dnas import SEARCH_MODES, SearchMode, SearchSetup, search
from lutbench.search.finders import FINDERS, Effort
from lutbench.search.finished import read_search
from lutbench.search.grid_costs import MACS, count_model
from lutbench.search.masked import MaskedSupernet
from lutbench.search.objective import budget, product
from lutbench.search.schedule import Schedule
from lutbench.search.train import evaluate
from lutbench.space.decisions import choice_positions
from lutbench.space.file import parse_space
from lutbench.space.sampling import random_nets
from tests.conftest import CHOOSING_TOML
from tests.search.made import Blobs

TOML = CHOOSING_TOML.replace("layers = 2\n", "").replace("2.25..0.75", "1.5..0.75")
SPACE = parse_space(TOML, Path("choosing.toml")).scaled(32, 1.0)
MODEL = count_model(SPACE, MACS)
TARGET = 200_000.0
SCHEDULE = Schedule(epochs=3, warmup=1, batch_size=16, w_rate=0.1, w_clip=1.0, theta_rate=0.05)


def setup(folder: Path, **changes: object) -> SearchSetup:
    objective = budget([MODEL], [TARGET])
    base = SearchSetup(models=(MODEL,), data=Blobs(), objective=objective, schedule=SCHEDULE, folder=folder)
    return replace(base, **changes)  # type: ignore[arg-type]


def quiet(_event: Event) -> None:
    pass


@pytest.mark.parametrize("mode", SEARCH_MODES)
def test_it_learns_and_the_budget_is_approached(mode: SearchMode, tmp_path: Path) -> None:
    schedule = replace(SCHEDULE, epochs=5, theta_rate=0.3)
    found = search(setup(tmp_path, mode=mode, schedule=schedule, data=Blobs(images=240)), quiet)
    first, *_, last = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    assert last["w_loss"] < first["w_loss"]
    if mode == "elastic":
        assert "theta_loss" not in last and not found.supernet.theta.count_nonzero()
        return
    key = "expected multiply-accumulates"
    assert abs(last[key] - TARGET) < abs(first[key] - TARGET)
    assert last[key] == pytest.approx(TARGET, rel=0.25)
    assert found.probabilities.std() > 0


def test_an_interrupted_search_goes_on_to_the_same_end(tmp_path: Path) -> None:
    class StopError(Exception):
        pass

    def stop(event: Event) -> None:
        if isinstance(event, StepProgress) and event.done == 2:
            raise StopError

    whole = search(setup(tmp_path / "whole"), quiet)
    with pytest.raises(StopError):
        search(setup(tmp_path / "cut"), stop)
    again = search(setup(tmp_path / "cut", begin="resume"), quiet)
    for name, value in whole.supernet.state_dict().items():
        assert torch.equal(value, again.supernet.state_dict()[name]), name
    other = parse_space(TOML.replace("[16, 24]", "[16, 32]"), Path("other.toml")).scaled(32, 1.0)
    model = count_model(other, MACS)
    changed = setup(tmp_path / "cut", models=(model,), objective=budget([model], [TARGET]), begin="resume")
    with pytest.raises(CheckpointError, match="is of another job"):
        search(changed, quiet)


def test_a_finished_search_is_opened_again(tmp_path: Path) -> None:
    found = search(setup(tmp_path), quiet).supernet
    finished = read_search(tmp_path)
    finished.check_space(SPACE)
    again = finished.supernet(SPACE, "cpu")
    assert isinstance(again, MaskedSupernet)
    images = torch.randn(2, 3, 16, 16)
    for net in random_nets(SPACE, 5, 0, "again"):
        positions = choice_positions(net)
        assert torch.equal(again.subnet(positions).eval()(images), found.subnet(positions).eval()(images))
    with pytest.raises(CheckpointError, match=r"its supernet is of space choosing@32x1\.0, resolutions 16/24/32"):
        finished.check_space(replace(SPACE, resolutions=(16, 32)))


@pytest.mark.parametrize("finder", FINDERS)
def test_every_finder_finds_nets_within_the_budget(finder: str, tmp_path: Path) -> None:
    found = search(setup(tmp_path, schedule=replace(SCHEDULE, epochs=1, warmup=0)), quiet)
    objective = budget([MODEL], [TARGET])
    ranking = Ranking(found.supernet, [MODEL], found.probabilities, Blobs(), 16, objective, quiet)
    nets = FINDERS[finder](ranking, Effort(5, 2, 0, [TARGET]))
    assert len({one.net.candidates_text for one in nets}) == len(nets) >= 5
    assert all(0.97 * TARGET < one.net.macs <= TARGET for one in nets)
    assert len({tuple(stage.channels for stage in one.net.space.stages) for one in nets}) > 1
    losses = [one.score.loss for one in nets]
    assert losses == sorted(losses)


def test_a_net_is_judged_with_statistics_of_its_own(tmp_path: Path) -> None:
    """Those that passes of all widths left behind are of no net: the loss is another, and worse."""
    schedule = replace(SCHEDULE, epochs=5, warmup=4)
    data = Blobs(images=240)
    found = search(setup(tmp_path, mode="mixed", schedule=schedule, data=data), quiet).supernet
    before, after = [], []
    for net in random_nets(SPACE, 12, 1, "judged"):
        alone = found.subnet(choice_positions(net)).eval()
        before.append(evaluate(alone, data.plain_batches(32, "theta"), "cpu").loss)
        calibrate(alone, data, 32)
        after.append(evaluate(alone, data.plain_batches(32, "theta"), "cpu").loss)
    assert sum(after) < sum(before)


def test_an_elastic_step_trains_the_largest_net_the_smallest_and_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    paths = []
    forward = MaskedSupernet.forward
    monkeypatch.setattr(
        MaskedSupernet, "forward", lambda self, images, gates: paths.append(gates.path) or forward(self, images, gates)
    )
    search(setup(tmp_path, mode="elastic", schedule=replace(SCHEDULE, epochs=1, warmup=0)), quiet)
    steps = [paths[start : start + 4] for start in range(0, len(paths), 4)]
    largest, smallest = choice_positions(MODEL.slowest), choice_positions(MODEL.fastest)
    assert len(steps) == 4 and all(step[:2] == [largest, smallest] for step in steps)
    assert len({path for step in steps for path in step[2:]}) == 8
    macs = [net.macs for net in random_nets(SPACE, 50, 0, "between")]
    assert MODEL.fastest.macs <= min(macs) <= max(macs) <= MODEL.slowest.macs


def test_the_largest_net_learns_the_labels_and_the_others_what_it_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[tuple[torch.Tensor, torch.Tensor]] = []
    cross_entropy = torch.nn.functional.cross_entropy

    def recorded(outputs: torch.Tensor, told: torch.Tensor) -> torch.Tensor:
        calls.append((outputs, told))
        return cross_entropy(outputs, told)

    monkeypatch.setattr("lutbench.search.dnas.F.cross_entropy", recorded)
    search(setup(tmp_path, mode="elastic", schedule=replace(SCHEDULE, epochs=1, warmup=0)), quiet)
    steps = [calls[start : start + 4] for start in range(0, len(calls), 4)]
    assert len(steps) == 4
    for (outputs, labels), *others in steps:
        assert labels.dtype == torch.int64 and len(others) == 3
        for other, told in others:
            assert torch.equal(told, outputs.softmax(1)) and not told.requires_grad
            assert other.requires_grad and not torch.equal(other, outputs)


def test_the_loss_without_a_target_takes_multiply_accumulates(tmp_path: Path) -> None:
    found = search(setup(tmp_path, objective=product([MODEL]), schedule=replace(SCHEDULE, epochs=2)), quiet)
    assert found.history[-1]["expected multiply-accumulates"] > 0


def test_weights_of_each_candidates_own_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="one block serves all candidates"):
        search(setup(tmp_path, shared=False), quiet)
