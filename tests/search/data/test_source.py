"""Batches: shapes, the same ones for the same (seed, epoch, part), every image once, and no trace on torch's state."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import chain, zip_longest

import numpy as np
import pytest
import torch
from torch import Tensor

from lutbench.search.data.augment import ShapesAugmentation
from lutbench.search.data.calibration import calibration_images
from lutbench.search.data.find import find_data
from lutbench.search.data.images import ArrayImages
from lutbench.search.data.options import DataOptions
from lutbench.search.data.source import DataSource, LabelledImages, SplitSource


@pytest.fixture(params=["digits", "shapes:160@24"])
def source(request: pytest.FixtureRequest) -> DataSource:
    found: DataSource = find_data(request.param, DataOptions())
    return found


def numbered(count: int = 60, classes: int = 3) -> SplitSource:
    """A source whose images are flat and as bright as their number, so that each is known in a batch."""
    pixels = np.broadcast_to(np.arange(count, dtype=np.uint8)[:, None, None, None], (count, 1, 8, 8))
    images = LabelledImages(ArrayImages(pixels), np.arange(count) % classes, np.arange(count))
    names = tuple(str(n) for n in range(classes))
    return SplitSource("numbered", names, 8, images, images, ShapesAugmentation(8), mean=(0,) * 3, std=(1 / 255,) * 3)


def numbers(batches: Iterator[tuple[Tensor, Tensor]]) -> list[int]:
    return [round(float(value)) for images, _labels in batches for value in images[:, 0, 0, 0]]


def equal(one: Iterator[tuple[Tensor, Tensor]], other: Iterator[tuple[Tensor, Tensor]]) -> bool:
    pairs = list(zip(one, other, strict=True))
    return all(a.equal(c) and b.equal(d) for (a, b), (c, d) in pairs)


@pytest.mark.parametrize("part", ["all", "w", "theta"])
def test_training_batches_are_float_images_and_labels(source: DataSource, part: str) -> None:
    batches = list(source.train_batches(32, epoch=0, seed=0, part=part))
    size = source.resolution
    for images, labels in batches:
        assert images.shape == (len(labels), 3, size, size)
        assert (images.dtype, labels.dtype) == (torch.float32, torch.int64)
        assert bool(torch.isfinite(images).all())
        assert 0 <= int(labels.min()) <= int(labels.max()) < source.classes
    assert source.count(part) - 1 <= sum(len(labels) for _, labels in batches) <= source.count(part)


def test_test_batches_are_all_of_the_test_set_in_order(source: DataSource) -> None:
    batches = list(source.test_batches(32))
    assert sum(len(labels) for _, labels in batches) == source.count("test")
    assert equal(source.test_batches(32), iter(batches))
    assert set(torch.cat([labels for _, labels in batches]).tolist()) == set(range(source.classes))


def test_images_are_about_normal(source: DataSource) -> None:
    images = torch.cat([images for images, _ in source.test_batches(64)])
    assert abs(float(images.mean())) < 0.5
    assert 0.5 < float(images.std()) < 1.5


def test_batches_depend_on_seed_epoch_and_part_alone(source: DataSource) -> None:
    batches = source.train_batches(32, epoch=3, seed=5, part="w")
    torch.manual_seed(12345)
    assert equal(batches, source.train_batches(32, epoch=3, seed=5, part="w"))
    for epoch, seed in ((4, 5), (3, 6)):
        assert not equal(source.train_batches(32, 3, 5, "w"), source.train_batches(32, epoch, seed, "w"))


def test_batches_can_be_interleaved(source: DataSource) -> None:
    """What another part draws, or the caller, changes nothing: each batch has random numbers of its own."""
    alone = list(source.train_batches(32, 1, 0, "w"))
    mixed = source.train_batches(32, 1, 0, "w")
    other = source.train_batches(8, 1, 0, "theta")
    for images, _labels in alone:
        assert next(mixed)[0].equal(images)
        next(other, None)
        torch.rand(3)


def test_torch_s_generator_is_left_alone(source: DataSource) -> None:
    torch.manual_seed(7)
    expected = torch.rand(4)
    torch.manual_seed(7)
    list(source.train_batches(64, 0, 0, "theta"))
    assert torch.rand(4).equal(expected)


def test_a_part_comes_once_and_parts_do_not_meet() -> None:
    source = numbered()
    w, theta, every = (numbers(source.train_batches(7, 0, 0, part)) for part in ("w", "theta", "all"))
    assert sorted(w + theta) == sorted(every) == list(range(60))
    assert (len(w), len(theta)) == (source.count("w"), source.count("theta")) == (48, 12)
    assert numbers(source.train_batches(7, 1, 0, "w")) != w


def test_the_split_is_the_same_in_every_epoch_and_for_every_seed_of_batches() -> None:
    source = numbered()
    assert set(numbers(source.train_batches(7, 0, 0, "w"))) == set(numbers(source.train_batches(7, 9, 4, "w")))


def test_a_last_batch_of_one_is_left_out_in_training_only() -> None:
    source = numbered()
    assert [len(labels) for _, labels in source.train_batches(59, 0, 0, "all")] == [59]
    assert [len(labels) for _, labels in source.plain_batches(59, "all")] == [59, 1]


def test_plain_batches_are_not_augmented_and_shuffled_once() -> None:
    source = numbered()
    order = numbers(source.plain_batches(16, "theta"))
    assert order == numbers(source.plain_batches(5, "theta"))
    assert sorted(order) == sorted(numbers(source.train_batches(16, 0, 0, "theta")))
    assert order != sorted(order)


def test_a_part_that_is_none_is_a_mistake_of_the_caller() -> None:
    with pytest.raises(ValueError, match="'test' is no part of a training set"):
        list(numbered().train_batches(4, 0, 0, "test"))


def test_calibration_takes_training_images_as_tested() -> None:
    source = numbered()
    images = calibration_images(source, 10)
    assert images.shape == (10, 3, 8, 8)
    assert images.dtype == np.float32
    assert sorted({float(i.max()) for i in images}) == sorted(float(i.min()) for i in images)  # flat: not augmented
    assert len(calibration_images(source, 1000)) == 60


def test_augmentation_changes_training_images_only() -> None:
    source = find_data("digits")
    one, other = (next(source.train_batches(1438, epoch, 0, "all")) for epoch in (0, 1))
    plain = {image.numpy().tobytes() for images, _ in source.plain_batches(500, "all") for image in images}
    assert not any(image.numpy().tobytes() in plain for images in (one[0][:50], other[0][:50]) for image in images)


def test_digits_hold_out_the_same_test_images_whatever_the_seed() -> None:
    one, other = (find_data("digits", DataOptions(seed=seed)) for seed in (0, 1))
    assert equal(one.test_batches(400), other.test_batches(400))
    assert one.count("test") == 359
    assert one.count("all") == 1438
    counts = np.bincount(torch.cat([labels for _, labels in one.test_batches(400)]).numpy())
    assert counts.max() - counts.min() <= 3


def test_a_choice_of_digits() -> None:
    source = find_data("digits", DataOptions(classes=4, resolution=16))
    assert (source.classes, source.resolution) == (4, 16)
    assert len(source.class_names) == 4
    assert 0.35 < source.count("all") / 1438 < 0.45


@pytest.mark.parametrize("processes", [2, 3])
def test_shares_of_a_batch_are_the_batch(processes: int) -> None:
    source = numbered(count=61)
    shares = [source.share(rank, processes) for rank in range(processes)]
    assert [share.count("all") for share in shares] == [61] * processes

    def together(batches: Callable[[SplitSource], Iterator[tuple[Tensor, Tensor]]]) -> list[list[int]]:
        own = [[numbers(iter([batch])) for batch in batches(share)] for share in shares]
        return [sorted(chain.from_iterable(parts)) for parts in zip_longest(*own, fillvalue=[])]

    plain = together(lambda share: share.plain_batches(20, "all"))  # the last image is a share alone
    assert plain == [sorted(numbers(iter([batch]))) for batch in source.plain_batches(20, "all")]
    trained = together(lambda share: share.train_batches(20, 0, 0, "all"))
    assert trained == [sorted(numbers(iter([batch]))) for batch in source.train_batches(20, 0, 0, "all")]
    shorter = list(source.share(0, 4).train_batches(18, 0, 0, "all"))  # the last 7 are fewer than 2 for each of 4
    assert len(shorter) == 3


def test_a_sample_of_the_test_set_is_of_every_class_and_always_the_same() -> None:
    source = find_data("digits", DataOptions())
    images, labels = next(source.test_sample(100, 100))
    assert len(set(labels.tolist())) == 10 and torch.equal(images, next(source.test_sample(100, 100))[0])
    assert sum(len(labels) for _, labels in source.test_sample(50, 10**6)) == source.count("test")


def test_normalisation_can_be_undone() -> None:
    source = find_data("digits", DataOptions())
    mean, std = source.normalisation
    images, _ = next(source.test_batches(50))
    pixels = images * torch.tensor(std)[:, None, None] + torch.tensor(mean)[:, None, None]
    assert pixels.min() == pytest.approx(0, abs=1e-6) and pixels.max() == pytest.approx(1, abs=1e-6)
