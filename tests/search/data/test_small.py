"""Small images, in folders or Arrow sets, are used at their own size, unless another is asked for."""

from __future__ import annotations

from pathlib import Path

import datasets
import numpy as np
import pytest
from PIL import Image

from lutbench.events import Event, Note
from lutbench.search.data.augment import PhotoAugmentation, SmallAugmentation, stored_size
from lutbench.search.data.find import find_data
from lutbench.search.data.options import DataOptions
from lutbench.search.data.source import SplitSource

KINDS = ("imagefolder", "hf")


def picture(size: tuple[int, int], number: int, mode: str = "RGB") -> Image.Image:
    pixels = np.random.default_rng(number).integers(0, 255, (size[1], size[0], 3)).astype(np.uint8)
    return Image.fromarray(pixels).convert(mode)


def made(kind: str, folder: Path, sizes: list[tuple[int, int]], mode: str = "RGB") -> str:
    """A data set of two classes, an image of each of the sizes in both parts of both."""
    pictures = [picture(size, number, mode) for number, size in enumerate(sizes)]
    if kind == "imagefolder":
        for part in ("train", "val"):
            for name in ("a", "b"):
                (folder / part / name).mkdir(parents=True)
                for number, one in enumerate(pictures):
                    one.save(folder / part / name / f"{number}.png")
    else:
        features = datasets.Features({"image": datasets.Image(), "label": datasets.ClassLabel(names=["a", "b"])})
        rows = {"image": [*pictures, *pictures], "label": [0] * len(pictures) + [1] * len(pictures)}
        table = datasets.Dataset.from_dict(rows, features=features)
        datasets.DatasetDict({"train": table, "test": table}).save_to_disk(folder)
    return f"{kind}:{folder}"


@pytest.fixture(autouse=True)
def quiet(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    datasets.disable_progress_bars()
    monkeypatch.setenv("LUTBENCH_CACHE", str(tmp_path / "cache"))


def found(text: str, resolution: int | None = None) -> tuple[SplitSource, list[str]]:
    events: list[Event] = []
    source = find_data(text, DataOptions(resolution=resolution, workers=0), events.append)
    return source, [event.text for event in events if isinstance(event, Note)]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("size", "mode"), [(32, "RGB"), (28, "L"), (63, "RGB"), (8, "RGB")])
def test_small_images_keep_their_size_and_it_is_said(kind: str, size: int, mode: str, tmp_path: Path) -> None:
    source, notes = found(made(kind, tmp_path / "set", [(size, size)] * 4, mode))
    assert source.resolution == size
    (note,) = [text for text in notes if "shorter side" in text]
    assert f"are used at {size} x {size}" in note
    for images, _ in [*source.train_batches(4, 0, 0, "all"), *source.test_batches(4)]:
        assert images.shape[1:] == (3, size, size)


@pytest.mark.parametrize("kind", KINDS)
def test_test_images_come_bit_by_bit(kind: str, tmp_path: Path) -> None:
    """Decoded at their own size nothing is resized or cut."""
    source, _ = found(made(kind, tmp_path / "set", [(32, 32)] * 3))
    mean, std = (np.array(values).reshape(3, 1, 1) for values in source.normalisation)
    images, _ = next(iter(source.test_batches(6)))
    pixels = images.numpy() * std + mean
    expected = np.array(picture((32, 32), 0)).transpose(2, 0, 1) / 255
    assert min(np.abs(one - expected).max() for one in pixels) < 1e-5


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("sizes", "resolution", "stored"),
    [
        ([(64, 64)] * 3, 224, 256),  # no longer small
        ([(32, 32), (40, 32), (300, 200)], 32, 32),  # the median of the shorter sides
        ([(500, 375), (32, 32), (640, 480)], 224, 256),  # a small one among photographs
        ([(5, 5)] * 3, 224, 256),  # smaller than a net can be given
    ],
)
def test_what_counts_is_the_median(
    kind: str, sizes: list[tuple[int, int]], resolution: int, stored: int, tmp_path: Path
) -> None:
    source, notes = found(made(kind, tmp_path / "set", sizes))
    assert source.resolution == resolution
    assert any("shorter side" in note for note in notes) == (resolution == stored)
    assert stored in (resolution, stored_size(resolution))


@pytest.mark.parametrize("kind", KINDS)
def test_a_size_that_is_asked_for_is_taken(kind: str, tmp_path: Path) -> None:
    text = made(kind, tmp_path / "set", [(32, 32)] * 3)
    larger, notes = found(text, 48)
    assert larger.resolution == 48
    assert not [note for note in notes if "shorter side" in note]
    assert isinstance(larger._augmentation, PhotoAugmentation)
    own, _ = found(text, 32)  # as `export` asks for what a training had: the same pixels
    assert isinstance(own._augmentation, SmallAugmentation)
