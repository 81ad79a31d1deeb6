"""Drawn shapes as a source; drawn once and kept in the cache folder."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from lutbench.errors import DataError, OutputError, UsageError
from lutbench.events import Report, StepProgress
from lutbench.files import default_cache_folder
from lutbench.search.data.augment import ShapesAugmentation
from lutbench.search.data.images import ArrayImages
from lutbench.search.data.options import MAX_RESOLUTION, MIN_RESOLUTION, DataOptions
from lutbench.search.data.shapes import CLASS_NAMES, ShapesRecipe, draw_shapes, shape_labels
from lutbench.search.data.source import LabelledImages, SplitSource
from lutbench.search.data.split import choose_classes

DEFAULT_IMAGES, DEFAULT_RESOLUTION = 10_000, 64
MIN_IMAGES, MAX_IMAGES = 4 * len(CLASS_NAMES), 10_000_000
TEST_SHARE = 0.5  # of the training images, drawn beside them: enough to tell nets apart that differ by 2 %
_SIZE = re.compile(r"(?P<images>\d{1,9})?(?:@(?P<resolution>\d{1,5}))?", re.ASCII)


@dataclass(frozen=True)
class ShapesSize:
    """The number of images to train with, and their side in pixels."""

    images: int
    resolution: int

    def __post_init__(self) -> None:
        if not MIN_IMAGES <= self.images <= MAX_IMAGES:
            raise UsageError(f"{self.images:,} shapes cannot be drawn", remedy=f"{MIN_IMAGES} to {MAX_IMAGES:,} can")
        if not MIN_RESOLUTION <= self.resolution <= MAX_RESOLUTION:
            raise UsageError(
                f"shapes of {self.resolution} x {self.resolution} cannot be drawn",
                remedy=f"the side is between {MIN_RESOLUTION} and {MAX_RESOLUTION}",
            )


def parse_size(text: str | None, resolution: int | None) -> ShapesSize:
    """ "N@RES", "N", "@RES" or None.

    resolution: what was asked for beside it.
    """
    match = _SIZE.fullmatch(text or "") if text != "" else None
    if match is None:
        raise UsageError(f"{text!r} is no number and size of shapes", remedy="as in shapes:10000@64")
    side = int(match["resolution"] or resolution or DEFAULT_RESOLUTION)
    if resolution is not None and side != resolution:
        raise UsageError(
            f"shapes of {side} x {side} are asked for, and a resolution of {resolution}", remedy="name one of them"
        )
    return ShapesSize(int(match["images"] or DEFAULT_IMAGES), side)


def shapes(size: ShapesSize, options: DataOptions, report: Report) -> SplitSource:
    """size.images to train with, half as many to test with."""
    chosen = tuple(choose_classes(CLASS_NAMES, options.classes, options.seed, "shapes"))

    def part(name: str, images: int) -> LabelledImages:
        recipe = ShapesRecipe(images, size.resolution, options.seed, name, chosen)
        return LabelledImages(ArrayImages(_drawn(recipe, report)), shape_labels(recipe), np.arange(images))

    return SplitSource(
        f"shapes:{size.images}@{size.resolution}",
        tuple(CLASS_NAMES[number] for number in chosen),
        size.resolution,
        part("train", size.images),
        part("test", round(size.images * TEST_SHARE)),
        ShapesAugmentation(size.resolution),
        seed=options.seed,
        device=options.device,
    )


def _drawn(recipe: ShapesRecipe, report: Report) -> npt.NDArray[np.uint8]:
    """(N, 3, R, R), mapped from the cache; drawn first where they are not there, or the file is damaged."""
    path = default_cache_folder() / "data" / f"shapes-{recipe.key}.npy"
    shape = (recipe.images, 3, recipe.resolution, recipe.resolution)
    with contextlib.suppress(FileNotFoundError, ValueError, EOFError):
        found = np.load(path, mmap_mode="r")
        if found.shape == shape and found.dtype == np.uint8:
            return np.asarray(found)
    try:
        _draw(recipe, path, shape, report)
        return np.asarray(np.load(path, mmap_mode="r"))
    except OSError as error:
        raise OutputError(
            f"cannot keep the shapes: {error.strerror or error}",
            path=path,
            remedy="$LUTBENCH_CACHE names another folder",
        ) from error


def _draw(recipe: ShapesRecipe, path: Path, shape: tuple[int, ...], report: Report) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    needed, free = int(np.prod(shape)), shutil.disk_usage(path.parent).free
    if needed > free:
        raise DataError(
            f"{recipe.images:,} shapes take {needed / 1e9:.1f} GB, and {free / 1e9:.1f} GB are free",
            path=path.parent,
            remedy="ask for fewer or smaller ones; $LUTBENCH_CACHE names another folder",
        )
    descriptor, name = tempfile.mkstemp(prefix=".shapes-", suffix=".part", dir=path.parent)
    os.close(descriptor)
    try:
        pixels = np.lib.format.open_memmap(name, mode="w+", dtype=np.uint8, shape=shape)
        done = 0
        for chunk in draw_shapes(recipe):
            pixels[done : done + len(chunk)] = chunk
            done += len(chunk)
            report(StepProgress(f"drawing shapes to {recipe.part} with", done, recipe.images))
        pixels.flush()
        Path(name).chmod(0o644)
        Path(name).replace(path)
    finally:
        Path(name).unlink(missing_ok=True)
