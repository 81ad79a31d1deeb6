"""Training: it learns, is the same for the same seed, goes on bit for bit after a kill, stops at what is no number."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from lutbench.errors import CheckpointError, TrainingError, UsageError
from lutbench.events import Event, StepProgress
from lutbench.nn.workload import branch_norms, empty_net
from lutbench.search.checkpoint import CHECKPOINT, load_weights
from lutbench.search.data.find import find_data
from lutbench.search.data.options import DataOptions
from lutbench.search.epochs import METRICS
from lutbench.search.recipe import Recipe
from lutbench.search.train import (
    TrainSetup,
    dropout_before_classifier,
    evaluate,
    start_net,
    train,
)
from lutbench.space.zoo import find_whole_net, retargeted

RECIPE = Recipe(epochs=4, batch_size=64, learning_rate=0.1, milestones=(0.75,))


def quiet(_event: Event) -> None:
    pass


def tiny_net() -> nn.Module:
    layers: list[nn.Module] = []
    for c_in, c_out in ((3, 8), (8, 16)):
        layers += [nn.Conv2d(c_in, c_out, 3, 2, 1, bias=False), nn.BatchNorm2d(c_out), nn.ReLU()]
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(256, 10))


def setup(folder: Path, **changes: object) -> TrainSetup:
    data = find_data("digits", DataOptions(resolution=16))
    return replace(TrainSetup(net=tiny_net(), name="tiny", data=data, recipe=RECIPE, folder=folder), **changes)  # type: ignore[arg-type]


def weights(net: nn.Module) -> list[Tensor]:
    return [value.clone() for value in net.state_dict().values()]


def same(one: list[Tensor], other: list[Tensor]) -> bool:
    return all(torch.equal(a, b) for a, b in zip(one, other, strict=True))


def test_a_net_learns_and_its_score_is_its_own(tmp_path: Path) -> None:
    asked = setup(tmp_path)
    result = train(asked, quiet)
    assert result.test.accuracy > 0.7
    assert not asked.net.training
    assert evaluate(asked.net, asked.data.test_batches(100)).accuracy == pytest.approx(result.test.accuracy)
    assert result.test.images == 359
    assert result.epochs == 4
    assert [record["learning_rate"] for record in result.history] == pytest.approx([0.1, 0.1, 0.1, 0.01])
    assert result.history[-1]["loss"] < result.history[0]["loss"]


def test_a_training_may_be_tested_at_its_end_alone_and_comes_to_the_same(tmp_path: Path) -> None:
    whole = train(setup(tmp_path / "whole"), quiet)
    late = train(setup(tmp_path / "late", tests_at_end_only=True), quiet)
    assert ["test_accuracy" in record for record in late.history] == [False, False, False, True]
    assert late.test == whole.test


def test_metrics_are_a_json_line_per_epoch(tmp_path: Path) -> None:
    result = train(setup(tmp_path), quiet)
    records = [json.loads(line) for line in (tmp_path / METRICS).read_text().splitlines()]
    assert [record["epoch"] for record in records] == [1, 2, 3, 4]
    assert records == list(result.history)


def test_progress_says_how_far_it_is(tmp_path: Path) -> None:
    events: list[Event] = []
    train(setup(tmp_path), events.append)
    steps = [event for event in events if isinstance(event, StepProgress)]
    assert [event.done for event in steps] == sorted(event.done for event in steps)
    assert (steps[-1].done, steps[-1].total, steps[-1].unit) == (4, 4, "epochs")
    assert "test accuracy" in steps[-1].detail
    assert steps[-1].remaining_s == 0


def test_the_same_seed_gives_the_same_weights_whatever_torch_s_state(tmp_path: Path) -> None:
    nets = [tiny_net() for _ in range(3)]
    for number, (net, seed) in enumerate(zip(nets, (1, 1, 2), strict=True)):
        torch.manual_seed(number)
        train(setup(tmp_path / str(number), net=net, seed=seed), quiet)
    assert same(weights(nets[0]), weights(nets[1]))
    assert not same(weights(nets[0]), weights(nets[2]))


KILLED = """
import os, signal, sys
from pathlib import Path
import torch
from tests.search.test_train import setup
from lutbench.search.train import train

def report(event):
    seen.append(event)
    if len(seen) == 5:  # two an epoch: in the middle of the third
        os.kill(os.getpid(), signal.SIGKILL)

torch.set_num_threads(1)
seen = []
train(setup(Path(sys.argv[1])), report)
"""


def test_a_killed_training_goes_on_bit_for_bit(tmp_path: Path) -> None:
    whole = setup(tmp_path / "whole")
    expected = train(whole, quiet)
    killed = subprocess.run([sys.executable, "-c", KILLED, str(tmp_path / "cut")], check=False, env=dict(os.environ))
    assert killed.returncode == -signal.SIGKILL
    written = (tmp_path / "cut" / METRICS).read_text().splitlines()
    assert len(written) == 2
    (tmp_path / "cut" / METRICS).write_text("\n".join([*written, '{"epoch": 2, "los']))  # as a kill may leave it
    resumed = setup(tmp_path / "cut", begin="resume")
    result = train(resumed, quiet)
    assert same(weights(resumed.net), weights(whole.net))
    assert result.test == expected.test
    records = [json.loads(line) for line in (tmp_path / "cut" / METRICS).read_text().splitlines()]
    assert [record["epoch"] for record in records] == [1, 2, 3, 4]
    assert [record["loss"] for record in records] == [record["loss"] for record in expected.history]


def test_a_finished_training_resumes_to_its_result(tmp_path: Path) -> None:
    first = train(setup(tmp_path), quiet)
    again = setup(tmp_path, begin="resume")
    assert train(again, quiet) == first
    assert evaluate(again.net, again.data.test_batches(100)).accuracy == pytest.approx(first.test.accuracy)


def test_the_same_training_started_again_goes_on(tmp_path: Path) -> None:
    first = train(setup(tmp_path), quiet)
    before = (tmp_path / CHECKPOINT).read_bytes()
    assert train(setup(tmp_path), quiet) == first
    assert (tmp_path / CHECKPOINT).read_bytes() == before


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"seed": 3}, "seed was 0 and is 3"),
        ({"name": "other"}, "net was tiny and is other"),
        ({"recipe": replace(RECIPE, epochs=9)}, "epochs was 4 and is 9"),
    ],
)
def test_a_checkpoint_of_another_training_is_refused(tmp_path: Path, change: dict[str, object], message: str) -> None:
    train(setup(tmp_path), quiet)
    with pytest.raises(CheckpointError, match=message):
        train(setup(tmp_path, **change), quiet)


def test_nothing_to_resume_from_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="there is no checkpoint; leave --resume out"):
        train(setup(tmp_path, begin="resume"), quiet)


def test_a_loss_that_is_no_number_stops_at_its_step_and_keeps_what_was_good(tmp_path: Path) -> None:
    asked = setup(tmp_path)
    steps = 0

    def spoil(_part: nn.Module, _given: tuple[Tensor, ...], output: Tensor) -> Tensor:
        nonlocal steps
        steps += asked.net.training
        return output * float("nan") if steps > 25 else output  # an epoch has 23 steps

    asked.net.register_forward_hook(spoil)
    with pytest.raises(TrainingError, match=r"the loss is nan at step 3 of epoch 2; .*epoch 1 is kept in"):
        train(asked, quiet)
    kept = torch.load(tmp_path / CHECKPOINT, weights_only=True)["state"]
    assert all(bool(torch.isfinite(value).all()) for value in kept["net"].values())
    assert len(kept["history"]) == 1


def test_weights_that_only_the_last_step_spoilt_are_not_saved(tmp_path: Path) -> None:
    asked = setup(tmp_path)
    (*_, classifier) = asked.net.children()
    assert isinstance(classifier, nn.Linear)
    steps = 0

    def spoil(gradient: Tensor) -> Tensor:
        nonlocal steps
        steps += 1
        return gradient * float("inf") if steps == 23 else gradient

    classifier.bias.register_hook(spoil)
    with pytest.raises(TrainingError, match="weights are no longer numbers after epoch 1"):
        train(asked, quiet)
    assert not (tmp_path / CHECKPOINT).exists()


def test_a_rate_far_too_high_ends_in_one_line(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match="a lower learning rate may help"):
        train(setup(tmp_path, recipe=replace(RECIPE, learning_rate=1e30)), quiet)


def test_tensorboard_gets_the_figures(tmp_path: Path) -> None:
    train(setup(tmp_path, tensorboard=True, recipe=replace(RECIPE, epochs=1)), quiet)
    assert list((tmp_path / "tensorboard").glob("events.out.*"))


def test_tensorboard_missing_is_said_before_training(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    with pytest.raises(UsageError, match=r"pip install 'lutbench\[tensorboard\]'"):
        train(setup(tmp_path, tensorboard=True), quiet)
    assert not (tmp_path / CHECKPOINT).exists()


def test_a_clipped_step_is_no_longer_than_it_may_be(tmp_path: Path) -> None:
    """Plain SGD of one step: the weights move by the rate times the gradient, whose norm is clipped."""
    plain = Recipe(epochs=1, batch_size=2000, learning_rate=0.5, momentum=0.0, weight_decay=0.0, milestones=())

    def moved(name: str, clip: float) -> float:
        before, after = tiny_net(), tiny_net()
        start_net(before, 0)
        train(setup(tmp_path / name, net=after, recipe=replace(plain, clip=clip)), quiet)
        pairs = zip(before.parameters(), after.parameters(), strict=True)
        return sum((new - old).detach().square().sum().item() for old, new in pairs) ** 0.5 / 0.5

    free = moved("free", 0.0)
    assert moved("clipped", free / 3) == pytest.approx(free / 3, rel=1e-3)
    assert moved("loose", free * 3) == pytest.approx(free, rel=1e-6)


def test_dropout_stands_before_the_classifier_while_training() -> None:
    net, images = tiny_net(), torch.randn(4, 3, 16, 16)
    alone = net.eval()(images)
    names = list(net.state_dict())
    with dropout_before_classifier(net, 0.5):
        assert torch.equal(net.eval()(images), alone)
        net.train()
        assert not torch.equal(net(images), net(images))
    assert torch.equal(net(images), net(images))
    assert list(net.state_dict()) == names


def test_dropout_without_a_classifier_is_an_error() -> None:
    with pytest.raises(UsageError, match="use dropout 0"), dropout_before_classifier(nn.Conv2d(3, 3, 1), 0.2):
        pass


def test_initial_weights_depend_on_the_seed_alone() -> None:
    nets = [tiny_net() for _ in range(3)]
    for net, seed in zip(nets, (0, 0, 1), strict=True):
        start_net(net, seed)
    assert same(weights(nets[0]), weights(nets[1]))
    assert not same(weights(nets[0]), weights(nets[2]))


def test_evaluate_leaves_the_net_as_it_was() -> None:
    net = tiny_net().train()
    before = weights(net)
    score = evaluate(net, iter([(torch.randn(8, 3, 16, 16), torch.zeros(8, dtype=torch.int64))]))
    assert net.training
    assert same(weights(net), before)
    assert score.images == 8


@pytest.mark.parametrize("name", ["fbnet_96_035_1", "mobilenet_v2@32x0.35"])
def test_residual_branches_start_at_nothing(name: str) -> None:
    net = empty_net(retargeted(find_whole_net(name, ()), 32, 10))
    start_net(net, 0)
    norms = list(branch_norms(net))
    assert norms and all(bool((norm.weight == 0).all()) for norm in norms)
    others = [part for part in net.modules() if isinstance(part, nn.BatchNorm2d) and part not in norms]
    assert others and all(bool((norm.weight == 1).all()) for norm in others)
    with torch.no_grad():
        images = torch.randn(2, 3, 32, 32)
        full = net.eval()(images)
        assert full.shape == (2, 10)
        for norm in norms:
            norm.bias.zero_()
        assert torch.equal(net(images), full)


def test_the_last_weights_are_kept_and_layout_is_a_choice(tmp_path: Path) -> None:
    one = train(setup(tmp_path / "one"), quiet)
    other = train(setup(tmp_path / "other", channels_last=False), quiet)
    state = load_weights(one.weights).state
    assert state["0.weight"].is_contiguous(memory_format=torch.channels_last)
    assert load_weights(other.weights).state["0.weight"].is_contiguous()
    assert abs(one.test.accuracy - other.test.accuracy) < 0.2
