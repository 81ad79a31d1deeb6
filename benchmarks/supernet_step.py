"""What a training step of the supernet costs: FBNet's space, batch 16, the plain loop over modules and the fast one.

python benchmarks/supernet_step.py [--resolution 32] [--threads 2] [--steps 15] [--clip 0]

Variants take turns step by step, so that a busy machine is busy for all of them. Printed: the median of the wall time,
the least wall time, the median of the processor's time (user + system, all threads), and the peak of memory in a
process of its own. --clip: the norm to which w's gradient is scaled down, as a search does below 20,000 images (1).
"""

from __future__ import annotations

import argparse
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from statistics import median

import torch
from _machine import machine
from torch import nn

from lutbench.search.gates import MODES, Mode, draw
from lutbench.search.supernet import Supernet
from lutbench.space.fbnet import fbnet

BATCH, CLASSES, TEMPERATURE = 16, 100, 5.0


class Steps:
    """A supernet with its data and optimisers; step["w"] and step["theta"] train it."""

    def __init__(self, resolution: int, fast: bool, mode: Mode, clip: float) -> None:
        self._mode, self._clip = mode, clip
        self._net = Supernet(fbnet(224, 1.0), CLASSES, resolution, seed=0, fast=fast).train()
        self._rng = torch.Generator().manual_seed(0)
        self._images = torch.randn(BATCH, 3, resolution, resolution, generator=self._rng)
        self._labels = torch.randint(CLASSES, (BATCH,), generator=self._rng)
        self._weights = list(self._net.weights())
        self._w = torch.optim.SGD(self._weights, 0.01, 0.9, weight_decay=1e-4, fused=True)
        for weight in self._weights:
            self._w.state[weight]["momentum_buffer"] = torch.zeros_like(weight)
        self._theta = torch.optim.Adam([self._net.theta], 0.01, weight_decay=5e-4)
        self.step: dict[str, Callable[[], None]] = {"w": self._step_w, "theta": self._step_theta}

    def _step_w(self) -> None:
        gates = draw(self._net.theta.detach(), self._net.mask, TEMPERATURE, self._mode, self._rng)
        loss = nn.functional.cross_entropy(self._net(self._images, gates), self._labels)
        self._w.zero_grad()
        loss.backward()
        if self._clip:
            nn.utils.clip_grad_norm_(self._weights, self._clip)
        self._w.step()

    def _step_theta(self) -> None:
        for weight in self._weights:
            weight.requires_grad_(False)
        gates = draw(self._net.theta, self._net.mask, TEMPERATURE, self._mode, self._rng)
        loss = nn.functional.cross_entropy(self._net(self._images, gates), self._labels)
        self._theta.zero_grad()
        loss.backward()
        self._theta.step()
        for weight in self._weights:
            weight.requires_grad_(True)


def timed(step: Callable[[], None]) -> tuple[float, float]:
    """Wall and processor seconds of one step."""
    wall_s, cpu_s = time.perf_counter(), time.process_time()
    step()
    return time.perf_counter() - wall_s, time.process_time() - cpu_s


def peak_mb(arguments: argparse.Namespace, kind: str, mode: Mode) -> float:
    """The peak of a process that makes two steps of w and two of theta, 10 of each in hard mode; MB."""
    command = [sys.executable, __file__, "--resolution", str(arguments.resolution), "--threads", str(arguments.threads)]
    command += ["--clip", str(arguments.clip)]
    found = subprocess.run([*command, "--memory", kind, mode], check=True, capture_output=True, text=True)
    return float(found.stdout)


def print_peak(arguments: argparse.Namespace, kind: str, mode: Mode) -> None:
    steps = Steps(arguments.resolution, kind == "fast", mode, arguments.clip)
    for _ in range(2 if mode == "soft" else 10):
        for step in steps.step.values():
            step()
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--resolution", type=int, default=32)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--steps", type=int, default=15)
    parser.add_argument("--clip", type=float, default=0.0)
    parser.add_argument("--memory", nargs=2, metavar=("KIND", "MODE"), help="print the peak of one variant, MB")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    if arguments.memory:
        print_peak(arguments, *arguments.memory)
        return
    print(f"{machine()}; {arguments.threads} threads, {arguments.resolution} x {arguments.resolution}, batch {BATCH}")
    for mode in MODES:  # first, for a process starts with the peak of the one that started it
        for kind in ("plain", "fast"):
            print(f"{mode} {kind:5} peak {peak_mb(arguments, kind, mode):.0f} MB", flush=True)
    for mode in MODES:
        variants = {
            kind: Steps(arguments.resolution, kind == "fast", mode, arguments.clip) for kind in ("plain", "fast")
        }
        taken: dict[tuple[str, str], list[tuple[float, float]]] = {}
        for number in range(arguments.steps + 1):
            for kind, steps in variants.items():
                for part, step in steps.step.items():
                    found = timed(step)
                    if number:  # the first warms up
                        taken.setdefault((kind, part), []).append(found)
        del variants
        for (kind, part), times in taken.items():
            walls, cpus = zip(*times, strict=True)
            print(
                f"{mode} {kind:5} {part:5}  wall {median(walls):.3f} s, least {min(walls):.3f} s,"
                f" processor {median(cpus):.3f} s",
                flush=True,
            )


if __name__ == "__main__":
    main()
