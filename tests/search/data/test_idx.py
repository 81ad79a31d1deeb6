"""Folders in MNIST's format, and Fashion-MNIST where Debian's package is installed."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pytest
import torch

from lutbench.errors import DataError, UsageError
from lutbench.search.data import idx as idx_module
from lutbench.search.data.find import find_data
from lutbench.search.data.options import DataOptions
from lutbench.search.data.source import SplitSource
from tests.reading.test_idx import packed

CLASSES = 5


def images_of(labels: np.ndarray, side: int = 12) -> np.ndarray:
    """An image's brightness is its class: what is read can be checked."""
    return np.broadcast_to((labels * 40).astype(np.uint8)[:, None, None], (len(labels), side, side)).copy()


def made(
    folder: Path, train: str = "train-{}-idx{}-ubyte", test: str = "t10k-{}-idx{}-ubyte", *, squeezed: bool = False
) -> Path:
    folder.mkdir(exist_ok=True)
    for name, count in ((train, 60), (test, 20)):
        labels = (np.arange(count) % CLASSES).astype(np.uint8)
        for what, dimensions, array in (("images", 3, images_of(labels)), ("labels", 1, labels)):
            data = packed(array)
            (folder / name.format(what, dimensions)).write_bytes(gzip.compress(data) if squeezed else data)
    return folder


def source_of(text: str, **options: int) -> SplitSource:
    return find_data(text, DataOptions(**options))


def brightness(images: torch.Tensor, source: SplitSource) -> torch.Tensor:
    mean, std = (torch.tensor(values).reshape(1, 3, 1, 1) for values in source.normalisation)
    return ((images * std + mean) * 255).mean(dim=(1, 2, 3)).round()


@pytest.mark.parametrize(
    ("train", "test", "squeezed"),
    [
        ("train-{}-idx{}-ubyte", "t10k-{}-idx{}-ubyte", False),
        ("train-{}-idx{}-ubyte.gz", "t10k-{}-idx{}-ubyte.gz", True),
        ("train-{}.idx{}-ubyte", "t10k-{}.idx{}-ubyte", False),  # as some programs unpack them
        ("emnist-balanced-train-{}-idx{}-ubyte", "emnist-balanced-test-{}-idx{}-ubyte", False),
        ("TRAIN-{}-IDX{}-UBYTE", "t10k-{}-idx{}-ubyte.GZ", True),  # packed, whatever its name says
    ],
)
def test_the_names_that_such_sets_have(tmp_path: Path, train: str, test: str, squeezed: bool) -> None:
    made(tmp_path / "set", train, test, squeezed=squeezed)
    source = source_of(f"idx:{tmp_path / 'set'}")
    assert (source.classes, source.resolution, source.count("all"), source.count("test")) == (CLASSES, 12, 60, 20)
    for images, labels in (*source.test_batches(8), *source.plain_batches(8, "w")):
        assert torch.equal(brightness(images, source), labels * 40.0)


def test_images_keep_their_size_unless_another_is_asked_for(tmp_path: Path) -> None:
    made(tmp_path)
    (images, _), *_ = source_of(f"idx:{tmp_path}", resolution=20).train_batches(8, 0, 0, "all")
    assert images.shape == (8, 3, 20, 20)


def test_some_classes(tmp_path: Path) -> None:
    made(tmp_path)
    source = source_of(f"idx:{tmp_path}", classes=2, seed=3)
    assert source.classes == 2 and source.count("all") == 24
    wanted = {int(name) * 40 for name in source.class_names}
    assert {int(b) for images, _ in source.test_batches(8) for b in brightness(images, source)} == wanted


def test_labels_as_qmnist_and_emnist_have_them(tmp_path: Path) -> None:
    made(tmp_path)
    for part, count in (("train", 60), ("t10k", 20)):
        labels = (np.arange(count) % CLASSES + 1).astype(np.int32)  # EMNIST's letters count from 1
        table = np.stack([labels, *[np.full(count, 7, np.int32)] * 7], axis=1)  # QMNIST: the writer and so on behind
        (tmp_path / f"{part}-labels-idx1-ubyte").unlink()
        (tmp_path / f"{part}-labels-idx2-int.gz").write_bytes(gzip.compress(packed(table)))
    source = source_of(f"idx:{tmp_path}")
    assert source.class_names == ("1", "2", "3", "4", "5")
    assert {int(label) for _, labels in source.test_batches(8) for label in labels} == set(range(5))


def test_images_that_are_not_square_are_cut_to_their_middle_and_colours_are_kept(tmp_path: Path) -> None:
    made(tmp_path)
    for part, count in (("train", 60), ("t10k", 20)):
        pixels = np.zeros((count, 10, 30, 3), np.uint8)
        pixels[:, :, 10:20] = (10, 20, 30)
        (tmp_path / f"{part}-images-idx3-ubyte").write_bytes(packed(pixels))
    source = source_of(f"idx:{tmp_path}")
    (images, _), *_ = source.test_batches(4)
    mean, std = (torch.tensor(values).reshape(1, 3, 1, 1) for values in source.normalisation)
    assert source.resolution == 10
    assert torch.equal(((images * std + mean) * 255).round()[0, :, 5, 5], torch.tensor([10.0, 20.0, 30.0]))


def damage(folder: Path, kind: str) -> None:
    images, labels = folder / "train-images-idx3-ubyte", folder / "train-labels-idx1-ubyte"
    if kind == "missing":
        labels.unlink()
    elif kind == "fewer labels":
        labels.write_bytes(packed(np.zeros(59, np.uint8)))
    elif kind == "swapped":
        images.write_bytes(labels.read_bytes())
    elif kind == "real labels":
        labels.write_bytes(packed(np.zeros(60, np.float32)))
    elif kind == "two sets":
        made(folder, "emnist-letters-train-{}-idx{}-ubyte", "emnist-letters-test-{}-idx{}-ubyte")
    elif kind == "other size":
        images.write_bytes(packed(images_of(np.arange(60) % CLASSES, side=14)))
    elif kind == "tiny":
        images.write_bytes(packed(images_of(np.arange(60) % CLASSES, side=4)))
    elif kind == "a class without test":
        labels.write_bytes(packed((np.arange(60) % 6).astype(np.uint8)))
    elif kind == "wide pixels":
        images.write_bytes(packed(images_of(np.arange(60) % CLASSES).astype(np.int16)))


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("missing", "the labels of train are missing"),
        ("fewer labels", "has 59 labels for 60 images"),
        ("swapped", "numbers of 1 dimensions, and images are N x H x W"),
        ("real labels", "holds no labels"),
        ("two sets", "the files of 2 sets (train-images, emnist-letters-train-images)"),
        ("other size", "the images to train with have 14 pixels, those to test 12"),
        ("tiny", "images of 4 x 4 pixels: too few or too small"),
        ("a class without test", "class 5 has no image to test with"),
        ("wide pixels", "pixels are 0 to 255"),
    ],
)
def test_what_is_wrong_is_said(tmp_path: Path, kind: str, message: str) -> None:
    damage(made(tmp_path), kind)
    with pytest.raises(DataError) as caught:
        source_of(f"idx:{tmp_path}")
    assert message in str(caught.value) and "\n" not in str(caught.value)


def test_no_folder(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="No such file"):
        source_of(f"idx:{tmp_path / 'none'}")


def test_fashion_mnist_says_how_it_is_installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(idx_module, "FASHION_FOLDER", tmp_path / "none")
    with pytest.raises(DataError, match="apt-get install dataset-fashion-mnist"):
        source_of("fashion-mnist")


@pytest.mark.parametrize("text", ["fashion-mnist:", "fashion-mnist:x", "fashion-mnist:-1", "fashion-mnist:60001"])
def test_numbers_of_images_that_cannot_be(text: str) -> None:
    with pytest.raises(UsageError):
        source_of(text)


@pytest.mark.skipif(not idx_module.FASHION_FOLDER.is_dir(), reason="Debian's dataset-fashion-mnist is not installed")
def test_fashion_mnist_as_debian_ships_it() -> None:
    source = source_of("fashion-mnist:1000", seed=2)
    assert (source.classes, source.resolution, source.count("all"), source.count("test")) == (10, 28, 1000, 10_000)
    labels = torch.cat([labels for _, labels in source.plain_batches(500, "all")])
    assert torch.bincount(labels).tolist() == [100] * 10
    mean, _ = source.normalisation
    assert mean[0] == pytest.approx(0.2860, abs=1e-4)  # the figure that everybody normalises it by
