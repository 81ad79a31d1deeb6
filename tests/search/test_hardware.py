"""Several processes, started by torchrun over gloo, do what one does; one is left as it is."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from lutbench.errors import UsageError
from lutbench.events import Event
from lutbench.search.dnas import SearchSetup, search
from lutbench.search.gates import MODES, draw
from lutbench.search.hardware import Hardware
from lutbench.search.latency import latencies_us, latency_model, stacked_costs_us
from lutbench.search.objective import product
from lutbench.search.recipe import Recipe
from lutbench.search.schedule import Schedule
from lutbench.search.seeding import generator
from lutbench.search.supernet import Supernet
from lutbench.search.train import TrainSetup, start_net, train
from tests.conftest import made_once
from tests.search.made import SMALL, Blobs, made_lut

ROOT = Path(__file__).parents[2]
PROCESSES = 2
# one step of w and one of theta; 67 and 17 images: the processes' shares differ by one
SCHEDULE = Schedule(epochs=1, warmup=0, batch_size=80, w_rate=0.05, theta_rate=0.05)
RECIPE = Recipe(epochs=1, batch_size=84, learning_rate=0.1, milestones=(), dropout=0.0)
DATA = Blobs(images=84)


def tiny_net() -> nn.Module:
    conv = nn.Conv2d(3, 8, 3, 2, 1, bias=False)
    return nn.Sequential(conv, nn.BatchNorm2d(8), nn.ReLU(), nn.Flatten(), nn.Linear(512, 4))


def quiet(_event: Event) -> None:
    pass


def searched(folder: Path, mode: Any, **changes: object) -> SearchSetup:
    models = (latency_model(made_lut(), SMALL),)
    base = SearchSetup(models=models, data=DATA, objective=product(models), schedule=SCHEDULE, folder=folder, mode=mode)
    return replace(base, **changes)  # type: ignore[arg-type]


def run_here(folder: Path) -> None:
    """What each of the processes does: both jobs, their weights kept by rank."""
    torch.set_num_threads(1)
    hardware = Hardware()
    for mode in MODES:
        found = search(searched(folder / mode, mode, hardware=hardware), quiet)
        torch.save([found.supernet.state_dict(), list(found.history)], folder / f"{mode}{hardware.rank}.pt")
    net = tiny_net()
    asked = TrainSetup(net=net, name="tiny", data=DATA, recipe=RECIPE, folder=folder / "train", hardware=hardware)
    result = train(asked, quiet)
    torch.save([net.state_dict(), list(result.history)], folder / f"train{hardware.rank}.pt")


@pytest.fixture(scope="session")
def distributed(run_folder: Path) -> Path:
    """A folder with what two processes made."""
    return made_once(run_folder, "distributed", _distribute)


def _distribute(folder: Path) -> None:
    code = f"import sys; from pathlib import Path; from {__name__} import run_here; run_here(Path(sys.argv[1]))"
    script = folder / "job.py"
    script.write_text(code)
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(PROCESSES)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [*torchrun, str(script), str(folder)], cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def kept(folder: Path, job: str) -> list[tuple[dict[str, Tensor], list[dict[str, float]]]]:
    return [torch.load(folder / f"{job}{rank}.pt", weights_only=True) for rank in range(PROCESSES)]


def whole_batch(part: str, batch_size: int) -> tuple[Tensor, Tensor]:
    (batch,) = DATA.train_batches(batch_size, 0, 0, part)
    return batch


def mean_loss(net: Any, images: Tensor, labels: Tensor, *more: object) -> Tensor:
    """Of the whole batch by one process, each share through batch norm by itself."""
    losses = []
    for rank in range(PROCESSES):
        own = slice(rank, None, PROCESSES)
        losses.append(cross_entropy(net(images[own], *more), labels[own], reduction="sum"))
    return torch.stack(losses).sum() / len(labels)


def close(one: dict[str, Tensor], other: dict[str, Tensor]) -> None:
    for name, value in one.items():
        if value.is_floating_point() and "running" not in name:
            assert torch.allclose(value, other[name], rtol=1e-4, atol=1e-5), name


def same_gradients(here: torch.optim.Optimizer, there: dict[str, Any], moment: str) -> None:
    """After one step an optimiser's moment is the gradient but for a factor; a weight without one has none, or 0."""
    own = here.state_dict()["state"]
    scale = max(state[moment].abs().max().item() for state in own.values())
    for number, kept_there in there["state"].items():
        expected = own[number][moment] if number in own else torch.zeros_like(kept_there[moment])
        assert torch.allclose(kept_there[moment], expected, rtol=1e-4, atol=1e-5 * scale), number


@pytest.mark.parametrize("mode", MODES)
def test_a_search_s_steps_are_those_of_one_process_with_the_whole_batch(mode: Any, distributed: Path) -> None:
    (state, _), _ = kept(distributed, mode)
    net = Supernet(SMALL, DATA.classes, DATA.resolution, seed=0).train()
    before = {name: value.clone() for name, value in net.state_dict().items()}
    model = latency_model(made_lut(), SMALL)
    weights = list(net.weights())
    w = torch.optim.SGD(weights, SCHEDULE.w_rate, SCHEDULE.w_momentum, weight_decay=SCHEDULE.w_decay)
    gates = draw(net.theta.detach(), net.mask, SCHEDULE.temperature, mode, generator(0, 0, 0))
    mean_loss(net, *whole_batch("w", SCHEDULE.batch_size), gates).backward()
    w.step()
    theta = torch.optim.Adam([net.theta], SCHEDULE.theta_rate, weight_decay=SCHEDULE.theta_decay)
    gates = draw(net.theta, net.mask, SCHEDULE.temperature, mode, generator(0, 0, 1))
    loss = mean_loss(net, *whole_batch("theta", SCHEDULE.batch_size), gates)
    drawn_us = latencies_us((model,), stacked_costs_us((model,)), gates.relaxed)
    theta.zero_grad()
    product((model,)).loss(loss, drawn_us, drawn_us).backward()
    theta.step()
    close(net.state_dict(), state)
    optimisers = torch.load(distributed / mode / "checkpoint.pt", weights_only=True)["state"]
    same_gradients(w, optimisers["w"], "momentum_buffer")
    same_gradients(theta, optimisers["theta"], "exp_avg")
    assert not torch.allclose(state["theta"], before["theta"]) and len(whole_batch("w", 80)[1]) % 2


def test_a_training_step_is_that_of_one_process_with_the_whole_batch(distributed: Path) -> None:
    (state, history), _ = kept(distributed, "train")
    net = tiny_net().train()
    start_net(net, 0)
    images, labels = whole_batch("all", RECIPE.batch_size)
    loss = mean_loss(net, images, labels)
    loss.backward()
    optimiser = torch.optim.SGD(net.parameters(), 0.1, 0.9, weight_decay=RECIPE.weight_decay)
    optimiser.step()
    close(net.state_dict(), state)
    checkpoint = torch.load(distributed / "train" / "checkpoint.pt", weights_only=True)
    same_gradients(optimiser, checkpoint["state"]["optimiser"], "momentum_buffer")
    assert history[0]["loss"] == pytest.approx(loss.item(), rel=1e-4)
    net.load_state_dict(state)
    net.eval()
    tests = [(net(x).argmax(1) == y) for x, y in DATA.test_batches(84)]
    assert history[0]["test_accuracy"] == pytest.approx(torch.cat(tests).float().mean().item())


@pytest.mark.parametrize("job", [*MODES, "train"])
def test_processes_end_with_the_same_weights_and_figures(job: str, distributed: Path) -> None:
    (first, history), (second, other) = kept(distributed, job)
    assert all(torch.equal(value, second[name]) for name, value in first.items())
    for record, another in zip(history, other, strict=True):
        assert {k: v for k, v in record.items() if not k.endswith("_s")} == {
            k: v for k, v in another.items() if not k.endswith("_s")
        }
    lines = (distributed / job / "metrics.jsonl").read_text().splitlines()
    assert len(lines) == 1 and (distributed / job / "checkpoint.pt").exists()


def test_one_process_is_left_as_it_is() -> None:
    hardware, net = Hardware(), tiny_net()
    assert (hardware.rank, hardware.processes, hardware.is_first, hardware.device.type) == (0, 1, True, "cpu")
    assert hardware.share(DATA) is DATA
    mean_loss(net, *whole_batch("all", 84)).backward()
    before = [parameter.grad.clone() for parameter in net.parameters() if parameter.grad is not None]
    hardware.average_gradients(net.parameters(), 84)
    assert all(torch.equal(p.grad, g) for p, g in zip(net.parameters(), before, strict=True) if p.grad is not None)
    assert torch.get_autocast_dtype("cpu") is torch.bfloat16 and not torch.is_autocast_enabled("cpu")
    with hardware.autocast():
        assert not torch.is_autocast_enabled("cpu")
    with Hardware(bf16=True).autocast():
        assert torch.is_autocast_enabled("cpu")


def test_a_gpu_that_is_not_there_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(UsageError, match="no CUDA device"):
        Hardware("cuda")
    assert Hardware("auto").device.type == "cpu"


def test_bf16_trains_and_a_batch_too_small_is_refused(tmp_path: Path) -> None:
    asked = TrainSetup(
        net=tiny_net(), name="tiny", data=DATA, recipe=RECIPE, folder=tmp_path, hardware=Hardware(bf16=True)
    )
    assert train(asked, quiet).history[0]["loss"] > 0
    two = Hardware()
    two.processes = 2
    with pytest.raises(UsageError, match="too small for 2 processes"):
        two.check_batch(3)
