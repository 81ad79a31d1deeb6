"""Images that are drawn rather than found: how many and how large, and the file in the cache folder that keeps them."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import tempfile
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
import numpy.typing as npt

from lutbench.errors import DataError, OutputError, UsageError
from lutbench.events import Report, StepProgress
from lutbench.files import default_cache_folder
from lutbench.search.data.images import ArrayImages
from lutbench.search.data.options import MAX_RESOLUTION, MIN_RESOLUTION
from lutbench.search.data.source import LabelledImages
from lutbench.search.data.split import IntArray

MAX_IMAGES = 10_000_000
TEST_SHARE = 0.5  # of the training images, drawn beside them: enough to tell nets apart that differ by 2 %
_SIZE = re.compile(r"(?P<images>\d{1,9})?(?:@(?P<resolution>\d{1,5}))?", re.ASCII)


@dataclass(frozen=True)
class Drawing:
    """A kind of drawn images: what they are called, as in shapes:10000@64, and how many there are unless that is said.

    fewest: images that leave each class some.
    """

    name: str
    fewest: int
    images: int
    resolution: int


@dataclass(frozen=True)
class DrawnSize:
    """The number of images to train with, and their side in pixels."""

    images: int
    resolution: int

    @property
    def test_images(self) -> int:
        """The number of images to test with."""
        return round(self.images * TEST_SHARE)


def parse_size(text: str | None, kind: Drawing, resolution: int | None) -> DrawnSize:
    """ "N@RES", "N", "@RES" or None; UsageError for what cannot be drawn.

    resolution: what was asked for beside it.
    """
    match = _SIZE.fullmatch(text or "") if text != "" else None
    if match is None:
        remedy = f"as in {kind.name}:{kind.images}@{kind.resolution}"
        raise UsageError(f"{text!r} is no number and size of {kind.name}", remedy=remedy)
    side = int(match["resolution"] or resolution or kind.resolution)
    if resolution is not None and side != resolution:
        raise UsageError(
            f"{kind.name} of {side} x {side} are asked for, and a resolution of {resolution}", remedy="name one of them"
        )
    images = int(match["images"] or kind.images)
    if not kind.fewest <= images <= MAX_IMAGES:
        raise UsageError(f"{images:,} {kind.name} cannot be drawn", remedy=f"{kind.fewest} to {MAX_IMAGES:,} can")
    if not MIN_RESOLUTION <= side <= MAX_RESOLUTION:
        raise UsageError(
            f"{kind.name} of {side} x {side} cannot be drawn",
            remedy=f"the side is between {MIN_RESOLUTION} and {MAX_RESOLUTION}",
        )
    return DrawnSize(images, side)


class Recipe(Protocol):
    """All that decides the images of a part, "train" or "test". key: changes with anything that changes a pixel."""

    @property
    def images(self) -> int: ...

    @property
    def resolution(self) -> int: ...

    @property
    def part(self) -> str: ...

    @property
    def key(self) -> str: ...


def drawn_part(
    kind: Drawing, recipe: Recipe, labels: IntArray, draw: Callable[[], Iterable[npt.NDArray[np.uint8]]], report: Report
) -> LabelledImages:
    """A part of a source: what draw yields by the recipe, or what it drew before."""
    shape = (recipe.images, 3, recipe.resolution, recipe.resolution)
    what = f"{kind.name} to {recipe.part} with"
    pixels = drawn_once(f"{kind.name}-{recipe.key}", shape, draw, what, report)
    return LabelledImages(ArrayImages(pixels), labels, np.arange(recipe.images))


def drawn_once(
    name: str, shape: tuple[int, ...], draw: Callable[[], Iterable[npt.NDArray[np.uint8]]], what: str, report: Report
) -> npt.NDArray[np.uint8]:
    """(N, 3, R, R) of that shape, mapped from the cache; drawn first where they are not there, or the file is damaged.

    name: of the file, which changes with all that decides the images.
    what: for the bar, as in "shapes to train with".
    """
    path = default_cache_folder() / "data" / f"{name}.npy"
    with contextlib.suppress(FileNotFoundError, ValueError, EOFError):
        found = np.load(path, mmap_mode="r")
        if found.shape == shape and found.dtype == np.uint8:
            return np.asarray(found)
    try:
        _draw(path, shape, draw, what, report)
        return np.asarray(np.load(path, mmap_mode="r"))
    except OSError as error:
        raise OutputError(
            f"cannot keep the {what.split()[0]}: {error.strerror or error}",
            path=path,
            remedy="$LUTBENCH_CACHE names another folder",
        ) from error


def _draw(
    path: Path, shape: tuple[int, ...], draw: Callable[[], Iterable[npt.NDArray[np.uint8]]], what: str, report: Report
) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    needed, free = int(np.prod(shape)), shutil.disk_usage(path.parent).free
    if needed > free:
        raise DataError(
            f"{shape[0]:,} {what.split()[0]} take {needed / 1e9:.1f} GB, and {free / 1e9:.1f} GB are free",
            path=path.parent,
            remedy="ask for fewer or smaller ones; $LUTBENCH_CACHE names another folder",
        )
    descriptor, name = tempfile.mkstemp(prefix=".drawn-", suffix=".part", dir=path.parent)
    os.close(descriptor)
    try:
        pixels = np.lib.format.open_memmap(name, mode="w+", dtype=np.uint8, shape=shape)
        done = 0
        for chunk in draw():
            pixels[done : done + len(chunk)] = chunk
            done += len(chunk)
            report(StepProgress(f"drawing {what}", done, shape[0]))
        pixels.flush()
        Path(name).chmod(0o644)
        Path(name).replace(path)
    finally:
        Path(name).unlink(missing_ok=True)
