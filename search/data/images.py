"""Where pixels come from: an array, or files decoded in worker processes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image, UnidentifiedImageError
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from lutbench.children import end_with_parent
from lutbench.errors import DataError
from lutbench.private.torch_calls import iterated
from lutbench.search.data.split import IntArray

CHECKED_AT_ONCE = 64
# what Pillow raises; a header may claim a size that no memory holds
BROKEN = (OSError, ValueError, SyntaxError, MemoryError, Image.DecompressionBombError)


@dataclass(frozen=True)
class ArrayImages:
    """(N, C, H, W) uint8, in memory or mapped from a file."""

    pixels: npt.NDArray[np.uint8]

    def read(self, batches: Sequence[IntArray]) -> Iterator[Tensor]:
        for batch in batches:
            yield torch.from_numpy(self.pixels[batch])


@dataclass(frozen=True)
class Broken:
    """An image that cannot be read. It crosses process borders as a value: an exception would come as a traceback."""

    where: str
    reason: str


Items = list[Tensor | Broken]
T = TypeVar("T")
Opener = Callable[[int], Image.Image]  # position -> the image, not decoded yet; it crosses process borders


@dataclass(frozen=True)
class DecodedImages(Dataset[Tensor | Broken]):
    """Photographs, each decoded and brought to a square of RGB.

    name_of: what to call a position in an error.
    size: of the squares; 0 while it is not chosen.
    """

    open_image: Opener
    name_of: Callable[[int], str]
    workers: int
    size: int = 0

    def side(self, position: int) -> int:
        """The shorter side of an image, from its header; 0 where it cannot be opened."""
        try:
            with self.open_image(position) as image:
                return min(image.size)
        except BROKEN:
            return 0

    def __getitem__(self, position: int) -> Tensor | Broken:
        try:
            with self.open_image(position) as image:
                return torch.from_numpy(square(image, self.size))
        except BROKEN as error:
            return Broken(self.name_of(position), _reason(error))

    def read(self, batches: Sequence[IntArray]) -> Iterator[Tensor]:
        """(n, 3, S, S) uint8 for each batch; DataError, with the image's name, for one that cannot be read."""
        for images in self._decoded(batches, _together):
            if isinstance(images, Broken):
                raise DataError(f"not a readable image: {images.reason}", path=images.where)
            yield images

    def broken(self, positions: IntArray) -> Iterator[tuple[int, list[tuple[int, Broken]]]]:
        """Decodes every image once, some at a time: how many, and the positions of those that cannot be read."""
        lots = [positions[start : start + CHECKED_AT_ONCE] for start in range(0, len(positions), CHECKED_AT_ONCE)]
        for lot, found in zip(lots, self._decoded(lots, _broken_ones), strict=True):
            yield len(lot), [(int(lot[place]), image) for place, image in found]

    def _decoded(self, batches: Sequence[IntArray], joined: Callable[[Items], T]) -> Iterator[T]:
        """What is made of each batch's images, in the process that decoded them: one image after the other takes a
        main process longer to receive than a GPU to learn from."""
        sampler = [[int(position) for position in batch] for batch in batches]
        workers = min(self.workers, len(sampler))
        loader = DataLoader(
            self,
            batch_sampler=sampler,
            num_workers=workers,
            collate_fn=joined,
            worker_init_fn=end_with_parent if workers else None,
        )
        with decoders_explained():
            yield from iterated(loader)


@contextmanager
def decoders_explained() -> Iterator[None]:
    """DataError where a process that decodes died: torch raises that in whatever line its parent happens to be."""
    try:
        yield
    except RuntimeError as error:
        if not str(error).startswith("DataLoader worker"):
            raise
        problem = "a process that decodes images died, as the system does where memory runs out"
        raise DataError(problem, remedy="fewer --workers, then the same command again") from error


def _reason(error: Exception) -> str:
    if isinstance(error, UnidentifiedImageError):  # its text repeats the path, or an address in memory
        return "no image of a known format"
    if isinstance(error, MemoryError):
        return "decoding it takes more memory than there is"
    return " ".join(str(error).split()) or type(error).__name__


def _together(items: Items) -> Tensor | Broken:
    """(n, 3, S, S), or the first that cannot be read."""
    broken = next((item for item in items if isinstance(item, Broken)), None)
    return broken or torch.stack([item for item in items if isinstance(item, Tensor)])


def _broken_ones(items: Items) -> list[tuple[int, Broken]]:
    """Those that cannot be read, with their places."""
    return [(place, item) for place, item in enumerate(items) if isinstance(item, Broken)]


def square(image: Image.Image, size: int) -> npt.NDArray[np.uint8]:
    """The image's central square, (3, size, size) RGB."""
    image.draft("RGB", (size, size))  # a JPEG is decoded at the smallest of its scales that is no smaller than this
    with image.convert("RGB") as picture:
        width, height = picture.size
        side = min(width, height)
        left, top = (width - side) / 2, (height - side) / 2
        resized = picture.resize((size, size), Image.Resampling.BILINEAR, (left, top, left + side, top + side))
    return np.array(resized).transpose(2, 0, 1).copy()
