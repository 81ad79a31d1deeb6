"""Memory and time of a training step by the number of options: masks, and the same options as parallel candidates.

python benchmarks/masked_step.py [--resolution 32] [--batch 16] [--threads 2] [--steps 15] [--markdown]
    [--channels 1,2,4,8] [--resolutions 1,3,5]

The space is FBNetV2's stages with three expansions and two kernels; the widest option is the same however many there
are. A step trains w and then theta, all options weighted. Parallel: a block of its own for each choice of channels,
outputs padded to the widest. Each variant runs in a process of its own, which prints its peak of memory; variants take
turns, round by round, so that a busy machine is busy for all of them. Printed: medians and 95 % intervals of the
median's bootstrap, and ratios per doubling of the channel options.
"""

from __future__ import annotations

import argparse
import resource
import subprocess
import sys
import time
from pathlib import Path
from statistics import median

import numpy as np
import torch
from _machine import machine
from torch import Tensor, nn

from lutbench.search.gates import Gates, candidate_mask, draw
from lutbench.search.masked import MaskedSupernet
from lutbench.search.masked_block import MaskedBlock, resized
from lutbench.space.file import parse_space
from lutbench.space.macro import Space

CLASSES, TEMPERATURE = 100, 5.0
_STAGES = ((16, 1, 1), (32, 2, 2), (48, 3, 2), (80, 3, 2), (112, 2, 1), (208, 2, 2))  # channels, layers, stride


def space_of(channels: int, resolutions: int) -> Space:
    """channels options a stage, from half of the widest to it; resolutions from half of the largest to it."""
    sizes = ", ".join(str(round(size)) for size in np.linspace(112, 224, resolutions))
    lines = ['name = "step"', f"classes = {CLASSES}"]
    lines += [f"resolutions = [{sizes}]" if resolutions > 1 else "resolution = 224"]
    lines += ['candidates = ["k{3,5}_e{1.5..4.5..1.5}"]', "[stem]\nchannels = 16"]
    for widest, layers, stride in _STAGES:
        options = sorted({round(width) for width in np.linspace(widest / 2, widest, channels)})
        given = str(options) if channels > 1 else str(widest)
        lines.append(f"[[stage]]\nchannels = {given}\nlayers = {layers}\nstride = {stride}")
    return parse_space("\n".join([*lines, "[head]\nchannels = 512"]), Path("step.toml")).scaled(224, 1.0)


class Parallel(nn.Module):
    """The same choices of channels with a block for each of them."""

    def __init__(self, space: Space, resolution: int) -> None:
        super().__init__()
        self.base = MaskedSupernet(space, CLASSES, resolution, seed=0)
        self.theta, self.mask = self.base.theta, self.base.mask
        copies = []
        for block in self.base.layers:
            assert isinstance(block, MaskedBlock)
            copies.append(nn.ModuleList(MaskedBlock(block.rows, block.is_tied) for _ in block.outs))
        self.layers = nn.ModuleList(copies)
        self.base.layers = nn.ModuleList()
        self.last = self.base.tail

    def forward(self, images: Tensor, gates: Gates) -> Tensor:
        split = self.base.split(gates)
        x = self.base.stem(images)
        parts = zip(self.layers, split.inputs, split.outputs, split.candidates, strict=True)
        for blocks, given, gives, candidates in parts:
            made = []
            for number, block in enumerate(blocks):  # type: ignore[arg-type]
                one = torch.zeros_like(gives)
                one[number] = 1.0
                weights = block.weighted(None if block.is_tied else given, one, candidates)
                made.append(gives[number] * block.masked(x, weights))
            x = resized(sum(made[1:], start=made[0]), blocks[0].outs[-1])  # type: ignore[index, union-attr]
        found: Tensor = self.last(x)
        return found


def print_steps(arguments: argparse.Namespace) -> None:
    """A line with the seconds of a step whenever one is asked for on standard input; at the end the peak, MB."""
    torch.set_num_threads(arguments.threads)
    kind, channels, resolutions = arguments.worker
    space = space_of(int(channels), int(resolutions))
    net = (
        MaskedSupernet(space, CLASSES, arguments.resolution, seed=0)
        if kind == "masks"
        else Parallel(space, arguments.resolution)
    ).train()
    rng = torch.Generator().manual_seed(0)
    images = torch.randn(arguments.batch, 3, arguments.resolution, arguments.resolution, generator=rng)
    labels = torch.randint(CLASSES, (arguments.batch,), generator=rng)
    mask = candidate_mask(space)
    weights = [weight for weight in net.parameters() if weight is not net.theta]
    w = torch.optim.SGD(weights, 0.01, 0.9)
    theta = torch.optim.Adam([net.theta], 0.01)
    for _ in sys.stdin:
        started = time.perf_counter()
        for optimiser, logits in ((w, net.theta.detach()), (theta, net.theta)):
            gates = draw(logits, mask, TEMPERATURE, "soft", rng)
            loss = nn.functional.cross_entropy(net(images, gates), labels)
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
        print(
            time.perf_counter() - started, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6, flush=True
        )


def interval(values: list[float]) -> tuple[float, float]:
    """95 % of the medians of samples drawn with replacement."""
    rng = np.random.default_rng(0)
    medians = np.median(rng.choice(values, (1000, len(values))), axis=1)
    return float(np.quantile(medians, 0.025)), float(np.quantile(medians, 0.975))


def measured(
    arguments: argparse.Namespace, variants: list[tuple[str, int, int]]
) -> dict[tuple[str, int, int], tuple[list[float], float]]:
    """Seconds of each step after the first, and the peak of memory, MB, by variant."""
    common = ["--resolution", str(arguments.resolution), "--batch", str(arguments.batch)]
    common += ["--threads", str(arguments.threads)]
    workers = {
        v: subprocess.Popen(
            [sys.executable, __file__, *common, "--worker", *map(str, v)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )
        for v in variants
    }  # fmt: skip
    found: dict[tuple[str, int, int], tuple[list[float], float]] = {v: ([], 0.0) for v in variants}
    for number in range(arguments.steps + 1):
        for v, worker in workers.items():
            assert worker.stdin and worker.stdout
            worker.stdin.write("step\n")
            worker.stdin.flush()
            taken_s, peak = map(float, worker.stdout.readline().split())
            times = found[v][0] + ([taken_s] if number else [])  # the first warms up
            found[v] = (times, peak)
    for worker in workers.values():
        worker.communicate()
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--resolution", type=int, default=32)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--steps", type=int, default=15)
    parser.add_argument("--channels", default="1,2,4,8")
    parser.add_argument("--resolutions", default="1,3,5")
    parser.add_argument("--plot", type=Path, help="draw time and memory by options into this file")
    parser.add_argument("--worker", nargs=3, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.worker:
        print_steps(arguments)
        return
    channels = [int(text) for text in arguments.channels.split(",")]
    sizes = [int(text) for text in arguments.resolutions.split(",")]
    variants = [("masks", count, 1) for count in channels] + [("parallel", count, 1) for count in channels]
    variants += [("masks", channels[0], count) for count in sizes if count > 1]
    found = measured(arguments, variants)
    print(f"{machine()}; {arguments.threads} threads, {arguments.resolution} x {arguments.resolution},", end=" ")
    print(f"batch {arguments.batch}, {arguments.steps} steps of w and theta each\n")
    print("| supernet | channel options | resolutions | step | 95 % interval | peak | step, per doubling |")
    print("|---|---|---|---|---|---|---|")
    for (kind, count, resolutions), (times, peak) in found.items():
        low, high = interval(times)
        base = median(found[kind, channels[0], 1][0])
        doublings = np.log2(count / channels[0])
        growth = f"{(median(times) / base) ** (1 / doublings):.3f}" if doublings else "-"
        row = [
            kind,
            count,
            resolutions,
            f"{median(times):.3f} s",
            f"{low:.3f} to {high:.3f} s",
            f"{peak:.0f} MB",
            growth,
        ]
        print("| " + " | ".join(map(str, row)) + " |")
    if arguments.plot:
        draw_plot(found, arguments.plot)


def draw_plot(found: dict[tuple[str, int, int], tuple[list[float], float]], path: Path) -> None:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 3.2), layout="constrained")
    for axes, label, pick in zip(
        figure.subplots(1, 2),
        ("step (s)", "peak of memory (MB)"),
        (lambda f: median(f[0]), lambda f: f[1]),
        strict=True,
    ):
        for kind in ("masks", "parallel"):
            points = [(count, pick(one)) for (k, count, sizes), one in found.items() if k == kind and sizes == 1]
            axes.plot(*zip(*points, strict=True), marker="o", label=kind)
        axes.set(xlabel="channel options of each stage", ylabel=label, ylim=(0, None))
        axes.legend()
    figure.savefig(path)


if __name__ == "__main__":
    main()
