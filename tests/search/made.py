"""LUTs, spaces and data sets that tests of the search make for themselves."""

from __future__ import annotations

import copy
import random
from collections.abc import Iterator
from pathlib import Path

import torch
from torch import Tensor

from lutbench.lut.metadata import ContextSection, Metadata, space_section
from lutbench.lut.row import Row, identity_row
from lutbench.lut.table import Lut
from lutbench.measure.spill import Spill
from lutbench.measure.warmth import Warmth
from lutbench.space.candidate import parse_candidate
from lutbench.space.file import parse_space
from lutbench.space.macro import Space, Stage
from tests.conftest import CHOOSING_TOML

HELD = Spill()  # a cache keeps all weights
# nets of SMALL take 50 to 500 us; small ones save something, or pay
COLD, WARM, PAYING, SHARP = Warmth(), Warmth(0.6, 400.0), Warmth(-0.3, 400.0), Warmth(0.4, 250.0, 3.0)

SMALL = Space(
    name="small",
    resolution=32,
    width=1.0,
    stem_channels=8,
    stem_kernel=3,
    stem_stride=2,
    stages=(Stage(8, 2, 1), Stage(16, 2, 2, (parse_candidate("k3_e1"), parse_candidate("k5_e3")))),
    candidates=tuple(parse_candidate(name) for name in ("k3_e1", "k3_e2_g2", "k5_e2", "skip")),
    head_channels=32,
    classes=10,
)

CHOOSING = parse_space(CHOOSING_TOML, Path("choosing.toml")).scaled(32, 1.0)
# so few nets that all can be looked at
FEW = parse_space(
    CHOOSING_TOML.replace('"k{3,5}_e{0.75..2.25..0.75}_{relu,hswish}{,_se0.25}"', '"k3_e1.5"').replace(
        "channels = 24\n", "channels = [16, 24]\n"
    ),
    Path("few.toml"),
).scaled(32, 1.0)


def made_lut(
    space: Space = SMALL,
    seed: int = 0,
    device: str = "host",
    scale: float = 1.0,
    operator_us: float = 0.0,
    warmth: Warmth = COLD,
    spill: Spill = HELD,
) -> Lut:
    """A LUT of random latencies, 12 to 102 us, above an overhead of 2 us."""
    rng = random.Random(seed)
    rows = []
    for operator in space.operators:
        latency_us = 2.0 if operator.kind == "overhead" else 12 + 90 * rng.random()
        row = Row(operator.name, *(latency_us,) * 6, samples=36, rounds=12)
        rows.append(row if operator.is_measured else identity_row(operator.name))
    context = ContextSection(
        scale=scale,
        scale_ci_low=scale,
        scale_ci_high=scale,
        operator_us=operator_us,
        warm_share=warmth.share,
        warm_size_us=warmth.size_us,
        warm_power=warmth.power,
        spill_us_per_million=spill.us_per_million,
        spill_beyond=spill.beyond,
        spill_million_per_ms=spill.million_per_ms,
    )
    metadata = Metadata(device, "onnxruntime 1", "int8", 1, space_section([space]), context=context)
    return Lut(metadata, tuple(rows), Path("luts") / f"{device}.csv")


class Blobs:
    """A data set in memory: class k is a bright spot in a place of its own, under noise. Meets DataSource."""

    name = "blobs"
    classes = 4
    seed = 0

    def __init__(self, resolution: int = 16, images: int = 80, poison: bool = False) -> None:
        self.resolution = resolution
        rng = torch.Generator().manual_seed(0)
        self._labels = torch.arange(images) % self.classes
        self._images = torch.randn(images, 3, resolution, resolution, generator=rng)
        half = resolution // 2
        for number, label in enumerate(self._labels.tolist()):
            top, left = (label // 2) * half, (label % 2) * half
            self._images[number, :, top : top + half, left : left + half] += 1.5
        self._poison = poison
        self._rank, self._processes = 0, 1

    def count(self, part: str) -> int:
        return len(self._part(part))

    def train_batches(self, batch_size: int, epoch: int, seed: int, part: str) -> Iterator[tuple[Tensor, Tensor]]:
        order = random.Random(f"{seed}/{epoch}/{part}").sample(self._part(part), self.count(part))
        for images, labels in self._batches(order, batch_size):
            yield images * (float("nan") if self._poison and epoch else 1.0), labels

    def plain_batches(self, batch_size: int, part: str) -> Iterator[tuple[Tensor, Tensor]]:
        yield from self._batches(self._part(part), batch_size)

    def test_batches(self, batch_size: int) -> Iterator[tuple[Tensor, Tensor]]:
        yield from self._batches(self._part("theta"), batch_size)

    def share(self, rank: int, processes: int) -> Blobs:
        found = copy.copy(self)
        found._rank, found._processes = rank, processes
        return found

    def _part(self, part: str) -> list[int]:
        count = len(self._labels)
        first, last = {"all": (0, count), "w": (0, count * 4 // 5)}.get(part, (count * 4 // 5, count))
        return list(range(first, last))

    def _batches(self, order: list[int], batch_size: int) -> Iterator[tuple[Tensor, Tensor]]:
        for start in range(0, len(order), batch_size):
            positions = order[start : start + batch_size][self._rank :: self._processes]
            yield self._images[positions], self._labels[positions]
