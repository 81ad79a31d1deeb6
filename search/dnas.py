"""Differentiable architecture search: trains the supernet's weights and theta in turn (FBNet, section 3.3)."""

from __future__ import annotations

import contextlib
import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from lutbench.errors import UsageError
from lutbench.events import Report, StepProgress
from lutbench.search.ahead import Ahead, Told
from lutbench.search.checkpoint import restoring
from lutbench.search.epochs import CHECK_EVERY, Epochs, RunFolder, RunSetup, images_identity
from lutbench.search.gates import Gates, Mode, draw, fixed_path, probabilities
from lutbench.search.grid_costs import MACS, CostModel, count_model, is_latency
from lutbench.search.latency import check_same_space, expected_costs
from lutbench.search.masked import MaskedSupernet
from lutbench.search.masked_forms import check_masks
from lutbench.search.metrics import Record
from lutbench.search.objective import Objective
from lutbench.search.schedule import Schedule
from lutbench.search.seeding import generator
from lutbench.search.supernet import Supernet
from lutbench.search.tally import Tally
from lutbench.space.macro import Space
from lutbench.units import format_percent

SearchMode = Literal["soft", "hard", "mixed", "elastic"]
Paths = Literal["candidates", "stages", "weights"]
SHARED = "shared"  # what a checkpoint says of weights that a layer's candidates share
_PARTS = ("w", "theta")  # the position is the part's stream of random numbers
_W_SHARE = 0.8  # of an epoch's images, as the data are split


class Passes(NamedTuple):
    """The way in which passes for w run, and those for theta.

    w_equal: w's gates are drawn as if all candidates were equally probable.
    sandwich: a step of w trains the largest net, the smallest and some others, which learn from the largest
        (`_Search._sandwich`); theta learns nothing.
    """

    w: Mode
    theta: Mode
    w_equal: bool = False
    sandwich: bool = False


SEARCH_MODES: dict[SearchMode, Passes] = {
    "soft": Passes("soft", "soft"),
    "hard": Passes("hard", "hard"),
    "mixed": Passes("hard", "soft", w_equal=True),
    "elastic": Passes("hard", "soft", w_equal=True, sandwich=True),
}
Phase = tuple[float, int, tuple[float, float]]  # of an epoch: seconds, images, mean loss and accuracy
_OTHERS = 2  # nets of a sandwich beside the largest and the smallest


@dataclass(frozen=True, kw_only=True)
class SearchSetup(RunSetup):
    """What a search runs on.

    models: one per LUT, of one space, and counts, where they are held to a budget.
    objective: adapted in place.
    mode: soft, all candidates weighted (the paper); hard, one path; mixed, w by hard passes along paths equally
        probable whatever theta is, so that no net is trained more than another, and theta by soft ones, whose
        gradients say something of every candidate.
        elastic: every step trains nets of all sizes, and theta is left alone (`Passes`).
    shared: a layer's candidates share their weights (`Supernet`).
    compiled: is for soft passes; hard ones take another path each time.
    ahead: where w does not depend on theta, it is trained by a process of its own, which is an epoch ahead. What comes
        of it is the same to the last bit.
    paths: in mixed mode and without masks, what of a layer is equally probable in w's passes: its candidates; its
        weights, of which blocks that share theirs have one; or, with stages, weights where a stage begins and
        candidates elsewhere (`Supernet.equal_theta`).
    """

    models: tuple[CostModel, ...]
    objective: Objective
    schedule: Schedule
    mode: SearchMode = "soft"
    shared: bool = True
    ahead: bool = False
    paths: Paths = "candidates"


@dataclass(frozen=True)
class SearchResult:
    """What a search came to.

    history: metrics.jsonl's records, one per epoch.
    """

    supernet: Supernet | MaskedSupernet
    history: tuple[Record, ...] = field(repr=False)

    @property
    def probabilities(self) -> Tensor:
        """P_theta (decisions, options), on the CPU."""
        return self.supernet.probabilities


def _largest_and_smallest(space: Space) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """The nets of the most and of the fewest multiply-accumulates, as positions."""
    chain = count_model(space, MACS).chain
    return chain.extreme(largest=True), chain.extreme(largest=False)


def space_identity(space: Space) -> str:
    """What a checkpoint says of the space that its supernet is of."""
    sizes = f", resolutions {'/'.join(map(str, space.resolutions))}" if space.resolutions else ""
    widths = "|".join("/".join(map(str, stage.widths)) for stage in space.stages)
    channels = f", channels {widths}" if any(stage.options for stage in space.stages) else ""
    return f"{space.name}@{space.label}{sizes}{channels}, {'|'.join(c.name for c in space.candidates)}"


def make_supernet(
    space: Space, classes: int, resolution: int, seed: int, shared: bool = True
) -> Supernet | MaskedSupernet:
    """The supernet of a space: of masks where its nets choose channels or a resolution."""
    if not space.has_choices:
        return Supernet(space, classes, resolution, seed, shared=shared)
    check_masks(space, shared)
    return MaskedSupernet(space, classes, resolution, seed)


def search(setup: SearchSetup, report: Report) -> SearchResult:
    """Trains a supernet of the setup's space.

    Raises TrainingError where the loss stops being a number (the last good checkpoint stays), CheckpointError where
    the one in the folder is of another search, or there is none to resume from.
    """
    check_same_space(setup.models)
    return _Search(setup, report).run()


class _Search:
    """One search: supernet, optimisers and history."""

    def __init__(self, setup: SearchSetup, report: Report) -> None:
        self._hardware, self._device = setup.hardware, setup.hardware.device
        self._hardware.check_batch(setup.schedule.batch_size)
        self._setup, self._report = setup, self._hardware.reporting(report)
        self._shared_data = self._hardware.share(setup.data)
        data, schedule = setup.data, setup.schedule
        self._passes = SEARCH_MODES[setup.mode]
        space = setup.models[0].space
        self._net = make_supernet(space, data.classes, data.resolution, setup.seed, setup.shared).to(self._device)
        self._equal = torch.zeros_like(self._net.theta)
        if setup.paths != "candidates" and isinstance(self._net, Supernet):
            self._equal = self._net.equal_theta(everywhere=setup.paths == "weights")
        self._compiled: Callable[[Tensor, Tensor], Tensor] | None = None
        if setup.compiled:
            if setup.mode in ("hard", "elastic") or space.has_choices:
                raise UsageError(
                    "hard passes and those of masks take another path each time, and there is nothing to compile",
                    remedy="--mode soft or mixed, in a space of candidates alone, or leave --compile out",
                )
            self._compiled = torch.compile(self._soft_pass)
        self._costs = expected_costs(setup.models, self._device)
        self._weights = list(self._net.weights())
        self._w = torch.optim.SGD(
            self._weights, schedule.w_rate, schedule.w_momentum, weight_decay=schedule.w_decay, fused=True
        )
        for weight in self._weights:  # there from the start: a fused step cannot mix weights with and without one
            self._w.state[weight]["momentum_buffer"] = torch.zeros_like(weight)
        self._theta = torch.optim.Adam([self._net.theta], schedule.theta_rate, weight_decay=schedule.theta_decay)
        self._ends = _largest_and_smallest(space) if self._passes.sandwich else ()
        self._folder = RunFolder(setup.folder, "search", self._identity(), setup.tensorboard)
        self._epochs = Epochs(self._folder, self._hardware, schedule.epochs)
        self._ahead: Ahead | None = None
        self._told: Told | None = None  # in the process that trains w ahead

    def run(self) -> SearchResult:
        state = self._epochs.start(self._setup.begin, self._report)
        if state is not None:
            with restoring(self._folder.checkpoint):
                self._net.load_state_dict(state["net"])
                self._w.load_state_dict(state["w"])
                self._theta.load_state_dict(state["theta"])
                self._setup.objective.restore(state["objective"])
        self._net.train()
        with contextlib.ExitStack() as stack:
            if self._setup.ahead and self._passes.w_equal and not self._passes.sandwich:
                self._ahead = stack.enter_context(Ahead(self._train_ahead, self._w_state()))
            self._epochs.run(self._epoch, self._state)
        return SearchResult(self._net, tuple(self._epochs.history))

    def _state(self) -> dict[str, Any]:
        return {
            "net": self._net.state_dict(),
            "w": self._w.state_dict(),
            "theta": self._theta.state_dict(),
            "objective": self._setup.objective.state(),
        }

    def _identity(self) -> dict[str, Any]:
        """What must be the same for a resumed search to be the one that was interrupted."""
        setup = self._setup
        space = setup.models[0].space
        return {
            "job": "search",
            "space": space_identity(space),
            "devices": ", ".join(model.device for model in setup.models),
            "latencies": ", ".join(f"{model.total:.3f}" for model in setup.models),
            "objective": setup.objective.name,
            "mode": setup.mode,
            **({"paths": setup.paths} if setup.paths != "candidates" else {}),  # older checkpoints say nothing of it
            "weights": SHARED if setup.shared else "of each candidate's own",
            **images_identity(setup.data),
            "seed": setup.seed,
            "bf16": setup.hardware.bf16,
            **setup.schedule.to_dict(),
        }

    def _epoch(self, epoch: int) -> Record:
        """w on its share, then theta on its own; the random numbers depend on the seed and the epoch alone."""
        schedule = self._setup.schedule
        record: Record = {"epoch": epoch + 1, "temperature": schedule.temperature_at(epoch)}
        w_s, images, (loss, accuracy) = self._w_phase(epoch) if self._ahead is None else self._taken(epoch, self._ahead)
        record |= {"w_loss": loss, "w_accuracy": accuracy, "w_images_per_s": images / w_s}
        if epoch >= schedule.warmup and not self._passes.sandwich:
            for weight in self._weights:
                weight.requires_grad_(False)
            with _buffers_kept(self._net):  # batch norms' statistics are those of w's passes
                theta_s, images, (loss, accuracy) = self._phase(epoch, "theta", self._theta_step)
            for weight in self._weights:
                weight.requires_grad_(True)
            record |= {"theta_loss": loss, "theta_accuracy": accuracy, "theta_images_per_s": images / theta_s}
        self._hardware.average_buffers(self._net)
        self._epochs.require_finite(self._net)
        expected_us = self._expected_us().tolist()
        shares = probabilities(self._net.theta.detach(), self._net.mask)
        for model, cost in zip(self._setup.models, expected_us, strict=True):
            record |= {f"expected_us {model.device}" if is_latency(model) else f"expected {model.device}": cost}
        record |= {"certainty": shares.amax(1).mean().item(), **self._setup.objective.state()}
        return record

    def _w_phase(self, epoch: int) -> Phase:
        return self._phase(epoch, "w", self._w_step)

    def _train_ahead(self, told: Told) -> None:
        """What the process does that trains w: epoch by epoch what the search would, and tells it."""
        self._report = lambda _event: None
        self._told = told
        for epoch in range(len(self._epochs.history), self._setup.schedule.epochs):
            phase = self._w_phase(epoch)
            told("epoch", (phase, self._w.param_groups[0]["lr"]))
            self._epochs.history.append({})  # an error says how many epochs are kept

    def _taken(self, epoch: int, ahead: Ahead) -> Phase:
        """The epoch of w that the other process trained; its state is from now on this one's."""
        phase, rate = ahead.epoch(lambda told: self._say(epoch, "w", *told))
        self._w.param_groups[0]["lr"] = rate
        return cast(Phase, phase)

    def _w_state(self) -> list[Tensor]:
        """What training w changes, in place."""
        net = [value for name, value in self._net.state_dict().items() if name != "theta"]
        return [*net, *(self._w.state[weight]["momentum_buffer"] for weight in self._weights)]

    def _phase(
        self, epoch: int, part: str, step: Callable[[Tensor, Tensor, float, torch.Generator], tuple[Tensor, Tensor]]
    ) -> Phase:
        """One pass over a part."""
        setup, started = self._setup, time.monotonic()
        rng = generator(setup.seed, epoch, _PARTS.index(part))
        total = math.ceil(setup.data.count(part) / setup.schedule.batch_size)
        tally = Tally(self._hardware)
        batches = self._shared_data.train_batches(setup.schedule.batch_size, epoch, setup.seed, part)
        for number, (images, labels) in enumerate(batches):
            self._set_rate((epoch + number / total) / setup.schedule.epochs)
            images, labels = images.to(self._device), labels.to(self._device)
            loss, outputs = step(images, labels, setup.schedule.temperature_at(epoch), rng)
            tally.add(loss, outputs, labels)
            if (number + 1) % CHECK_EVERY == 0:
                self._look(epoch, part, tally)
                self._progress(epoch, part, number + 1, total, tally)
        self._look(epoch, part, tally)
        self._progress(epoch, part, total, total, tally)
        return time.monotonic() - started, tally.images, (tally.mean_loss, tally.accuracy)

    def _set_rate(self, progress: float) -> None:
        for group in self._w.param_groups:
            group["lr"] = self._setup.schedule.w_rate_at(progress)

    def _w_step(
        self, images: Tensor, labels: Tensor, temperature: float, rng: torch.Generator
    ) -> tuple[Tensor, Tensor]:
        theta = self._equal if self._passes.w_equal else self._net.theta.detach()
        if self._passes.sandwich:
            loss, outputs = self._sandwich(images, labels, theta, rng)
            self._hardware.step(self._w, loss, len(labels), self._setup.schedule.w_clip)
            return loss.detach(), outputs
        gates = draw(theta, self._net.mask, temperature, self._passes.w, rng)
        with self._hardware.autocast():
            outputs = self._outputs(images, gates)
        loss = F.cross_entropy(outputs.float(), labels)
        self._hardware.step(self._w, loss, len(labels), self._setup.schedule.w_clip)
        return loss.detach(), outputs.detach()

    def _sandwich(self, images: Tensor, labels: Tensor, theta: Tensor, rng: torch.Generator) -> tuple[Tensor, Tensor]:
        """The mean loss of nets of all sizes and the largest one's outputs (Yu and Huang, arXiv:1903.05134).

        The largest net learns the labels, the others what the largest says: distillation in place.
        """
        largest, smallest = (fixed_path(positions, self._net.mask) for positions in self._ends)
        others = [draw(theta, self._net.mask, 1.0, "hard", rng) for _ in range(_OTHERS)]
        with self._hardware.autocast():
            outputs = self._outputs(images, largest).float()
            told = outputs.detach().softmax(1)
            losses = [F.cross_entropy(outputs, labels)]
            losses += [F.cross_entropy(self._outputs(images, gates).float(), told) for gates in (smallest, *others)]
        return torch.stack(losses).mean(), outputs.detach()

    def _theta_step(
        self, images: Tensor, labels: Tensor, temperature: float, rng: torch.Generator
    ) -> tuple[Tensor, Tensor]:
        gates = draw(self._net.theta, self._net.mask, temperature, self._passes.theta, rng)
        with self._hardware.autocast():
            outputs = self._outputs(images, gates)
        cross_entropy = F.cross_entropy(outputs.float(), labels)
        drawn_us = self._costs(gates.relaxed)
        loss = self._setup.objective.loss(cross_entropy, drawn_us, self._expected_us(differentiable=True))
        self._hardware.step(self._theta, loss, len(labels))
        self._setup.objective.observe(self._expected_us())
        return loss.detach(), outputs.detach()

    def _outputs(self, images: Tensor, gates: Gates) -> Tensor:
        if self._compiled and gates.path is None:
            return self._compiled(images, gates.values)
        outputs: Tensor = self._net(images, gates)
        return outputs

    def _soft_pass(self, images: Tensor, values: Tensor) -> Tensor:
        outputs: Tensor = self._net(images, Gates(values, values))
        return outputs

    def _expected_us(self, differentiable: bool = False) -> Tensor:
        """The expected cost of a net drawn from P_theta, (models,): latencies in microseconds, and counts."""
        theta = self._net.theta if differentiable else self._net.theta.detach()
        return self._costs(probabilities(theta.double(), self._net.mask))

    def _look(self, epoch: int, part: str, tally: Tally) -> None:
        problem = tally.check()
        self._epochs.stop_where(f"{problem} in epoch {epoch + 1}, training {part}" if problem else "")

    def _progress(self, epoch: int, part: str, step: int, total: int, tally: Tally) -> None:
        figures = step, total, tally.mean_loss, tally.accuracy
        if self._told:
            self._told("progress", figures)
        self._say(epoch, part, *figures)

    def _say(self, epoch: int, part: str, step: int, total: int, loss: float, accuracy: float) -> None:
        schedule, models = self._setup.schedule, self._setup.models
        expected_us = self._expected_us().tolist()
        latencies = ", ".join(
            f"{m.device} {m.text(us)}" if is_latency(m) else m.text(us)
            for m, us in zip(models, expected_us, strict=True)
        )
        detail = f"loss {loss:.3f}, accuracy {format_percent(accuracy)}, expected {latencies}"
        share = step / total * _W_SHARE if part == "w" else _W_SHARE + step / total * (1 - _W_SHARE)
        left_s = self._epochs.left_s(epoch + share)
        self._report(StepProgress(f"searching, {part}", epoch, schedule.epochs, "epochs", detail, left_s))


@contextlib.contextmanager
def _buffers_kept(net: nn.Module) -> Iterator[None]:
    """After it the net's buffers are what they were before."""
    before = [(buffer, buffer.clone()) for buffer in net.buffers()]
    yield
    for buffer, value in before:
        buffer.copy_(value)
