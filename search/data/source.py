"""What a search reads its images from: the contract, and the one source that meets it for every kind of images.

Images are (N, 3, R, R) float32, labels (N,) int64. Everything is drawn from (seed, epoch, part, batch number), so a
run that goes on from a checkpoint sees the batches it would have seen.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from lutbench.errors import DataError
from lutbench.search.data.split import PARTS, IntArray, stratified_split
from lutbench.search.seeding import seeded

Batches = Iterator[tuple[Tensor, Tensor]]
PLAIN_SEED = 0  # of the order in which images without augmentation come: the same in every run


class DataSource(Protocol):
    """Labelled images in batches. part: "all" of the training set, or its share "w" (80 %) or "theta" (20 %)."""

    @property
    def name(self) -> str: ...

    @property
    def classes(self) -> int: ...

    @property
    def resolution(self) -> int: ...

    @property
    def seed(self) -> int:
        """The seed of the choice of classes, of the split and of drawn images."""
        ...

    def count(self, part: str) -> int:
        """Images of a part of the training set, or of the "test" set."""
        ...

    def train_batches(self, batch_size: int, epoch: int, seed: int, part: str) -> Batches:
        """The part once, augmented, in an order of its own for each seed and epoch; a last batch of one is left out.

        So is one that leaves a process with fewer than two images.
        """
        ...

    def plain_batches(self, batch_size: int, part: str) -> Batches:
        """The part once as test images are: not augmented, in one fixed random order. To rank nets and to calibrate."""
        ...

    def test_batches(self, batch_size: int) -> Batches:
        """The test set once, in order."""
        ...

    def share(self, rank: int, processes: int) -> DataSource:
        """A process's share of every batch; counts and sizes of batches stay those of all processes together."""
        ...


class Images(Protocol):
    """A store of images, read by position.

    They may be larger than the source's resolution, where the augmentation crops.
    """

    def read(self, batches: Sequence[IntArray]) -> Iterator[Tensor]:
        """Yields the images of each array of n positions: (n, C, H, W) uint8, C 1 or 3."""
        ...


class Augmentation(Protocol):
    """(n, 3, H, W) float32 in 0 to 1 -> (n, 3, R, R); train draws from torch's default generators."""

    def train(self, images: Tensor) -> Tensor: ...

    def plain(self, images: Tensor) -> Tensor: ...


@dataclass(frozen=True)
class LabelledImages:
    """Images and their labels, (N,) int64; positions chooses some of them, and is what labels stand for."""

    images: Images
    labels: IntArray
    positions: IntArray

    def __post_init__(self) -> None:
        if len(self.labels) != len(self.positions):
            raise DataError(f"{len(self.labels)} labels for {len(self.positions)} images")

    def read(self, batches: Sequence[IntArray]) -> Iterator[tuple[Tensor, Tensor]]:
        """Each batch's images, (n, C, H, W) uint8, and labels; a batch holds numbers from 0 to N - 1."""
        pixels = self.images.read([self.positions[batch] for batch in batches])
        for batch, images in zip(batches, pixels, strict=True):
            yield images, torch.from_numpy(self.labels[batch])


class SplitSource:
    """A training set, split once by a seed, and a test set. Meets DataSource.

    mean, std: what images in 0 to 1 are normalised by.
    device: where batches lie and are augmented.
    made_of: whose work the images are made of, where they are drawn from others' (fonts): file, hash, licence.
    """

    def __init__(
        self,
        name: str,
        class_names: tuple[str, ...],
        resolution: int,
        train: LabelledImages,
        test: LabelledImages,
        augmentation: Augmentation,
        *,
        seed: int = 0,
        mean: tuple[float, float, float] = (0.5, 0.5, 0.5),
        std: tuple[float, float, float] = (0.25, 0.25, 0.25),
        device: str = "cpu",
        made_of: Sequence[Mapping[str, str]] = (),
    ) -> None:
        self.name = name
        self.made_of = tuple(made_of)
        self.class_names = class_names
        self.classes = len(class_names)
        self.resolution = resolution
        self.seed = seed
        self._train, self._test = train, test
        self._augmentation = augmentation
        self._device = torch.device(device)
        self._mean, self._std = (torch.tensor(v, device=device).reshape(1, 3, 1, 1) for v in (mean, std))
        self._parts = stratified_split(train.labels, class_names, seed)
        self._rank, self._processes = 0, 1

    def share(self, rank: int, processes: int) -> SplitSource:
        found = copy.copy(self)
        found._rank, found._processes = rank, processes
        return found

    def count(self, part: str) -> int:
        return len(self._test.labels) if part == "test" else len(self._positions(part))

    def train_batches(self, batch_size: int, epoch: int, seed: int, part: str) -> Batches:
        positions = self._positions(part)
        key = (seed, epoch, PARTS.index(part))
        batches = _batches(np.random.default_rng(key).permutation(positions), batch_size)
        if len(batches) > 1 and len(batches[-1]) < 2 * self._processes:  # batch norm cannot be trained on one image
            batches.pop()
        stream = (self._rank,) if self._processes > 1 else ()
        for number, (images, labels) in enumerate(self._train.read(self._own(batches))):
            with seeded(self._device, (*key, number, *stream)):
                augmented = self._normalised(images, self._augmentation.train)
            yield augmented, labels.to(self._device)

    def plain_batches(self, batch_size: int, part: str) -> Batches:
        order = np.random.default_rng(PLAIN_SEED).permutation(self._positions(part))
        yield from self._plain(self._train, order, batch_size)

    def test_batches(self, batch_size: int) -> Batches:
        yield from self._plain(self._test, np.arange(len(self._test.labels)), batch_size)

    def test_sample(self, batch_size: int, images: int) -> Batches:
        """So many of the test set, or all where it has fewer: the first of one fixed random order."""
        order = np.random.default_rng(PLAIN_SEED).permutation(len(self._test.labels))[:images]
        yield from self._plain(self._test, order, batch_size)

    @property
    def starts_processes(self) -> bool:
        """Whether reading images takes processes of their own, as decoding files does."""
        return getattr(self._train.images, "workers", 0) > 0

    @property
    def normalisation(self) -> tuple[list[float], list[float]]:
        """Mean and standard deviation of each channel, of images in 0 to 1."""
        mean, std = (values.flatten().tolist() for values in (self._mean, self._std))
        return mean, std

    def _plain(self, images: LabelledImages, order: IntArray, batch_size: int) -> Batches:
        for pixels, labels in images.read(self._own(_batches(order, batch_size))):
            yield self._normalised(pixels, self._augmentation.plain), labels.to(self._device)

    def _own(self, batches: Sequence[IntArray]) -> list[IntArray]:
        shares = (batch[self._rank :: self._processes] for batch in batches)
        return [share for share in shares if len(share)]

    def _positions(self, part: str) -> IntArray:
        if part not in self._parts:
            raise ValueError(f"{part!r} is no part of a training set: {', '.join(self._parts)}")
        return self._parts[part]

    def _normalised(self, pixels: Tensor, augment: Callable[[Tensor], Tensor]) -> Tensor:
        """(n, 1 or 3, H, W) uint8 -> (n, 3, R, R) float32"""
        images = pixels.to(self._device).float().div_(255)
        images = augment(images.expand(-1, 3, -1, -1))
        expected = (len(pixels), 3, self.resolution, self.resolution)
        if images.shape != expected:
            raise ValueError(f"{self.name}: a batch of {tuple(images.shape)} where {expected} is due")
        return (images - self._mean) / self._std


def _batches(order: IntArray, batch_size: int) -> list[IntArray]:
    if batch_size < 1:
        raise ValueError(f"a batch of {batch_size} images cannot be")
    return [order[start : start + batch_size] for start in range(0, len(order), batch_size)]
