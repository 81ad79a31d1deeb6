"""Photographs of any kind as a source: every image is decoded once before the first use, so that a damaged one is known
before a search and not hours into it. The outcome is kept in the cache folder."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass, replace
from statistics import median_low

import numpy as np

from lutbench.errors import DataError
from lutbench.events import Note, Report, StepProgress
from lutbench.files import default_cache_folder, write_atomically
from lutbench.reading.files import read_bytes
from lutbench.reading.json_text import parse_json
from lutbench.reading.kinds import CACHE_NOTE
from lutbench.search.data.augment import PhotoAugmentation, SmallAugmentation, stored_size
from lutbench.search.data.images import Broken, DecodedImages
from lutbench.search.data.options import MIN_RESOLUTION, DataOptions
from lutbench.search.data.source import LabelledImages, SplitSource
from lutbench.search.data.split import IntArray, name_some

DEFAULT_RESOLUTION = 224
SMALL = 64  # images with a shorter side below this are used at their own size
LOOKED_AT = 64  # images, to tell a set's size
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # ImageNet's


@dataclass(frozen=True)
class Photos:
    """A set before it is checked, its images' size not chosen yet.

    labels: (N,), of the images at positions.
    signature: changes with any image.
    """

    what: str
    images: DecodedImages
    labels: IntArray
    positions: IntArray
    signature: str


@dataclass(frozen=True)
class PhotoSizes:
    """The sizes of photographs on their way to a net.

    resolution: of what nets are given.
    stored: side of the squares that are decoded, from which a crop is taken.
    """

    resolution: int
    stored: int

    @property
    def is_own(self) -> bool:
        """Whether images are decoded at the size they have."""
        return self.resolution == self.stored


def choose_sizes(photos: Photos, options: DataOptions, report: Report) -> PhotoSizes:
    """Photographs are brought to 224, or what is asked for; small images stay as they are unless another is asked for.

    Made larger, small images would cost a search or a training fifty times the work and show nothing more.
    """
    own = own_size(photos)
    is_small = MIN_RESOLUTION <= own < SMALL
    if is_small and options.resolution in (None, own):
        if options.resolution is None:
            report(Note(f"{photos.what} have {own} pixels on the shorter side (median) and are used at {own} x {own}"))
        return PhotoSizes(own, own)
    resolution = options.resolution or DEFAULT_RESOLUTION
    return PhotoSizes(resolution, stored_size(resolution))


def own_size(photos: Photos) -> int:
    """The median of the shorter sides of some images, spread over the set; 0 where none can be opened."""
    step = max(1, len(photos.positions) // LOOKED_AT)
    sides = [side for position in photos.positions[::step][:LOOKED_AT] if (side := photos.images.side(int(position)))]
    return int(median_low(sides)) if sides else 0


def photo_source(
    name: str, class_names: tuple[str, ...], train: Photos, test: Photos, options: DataOptions, report: Report
) -> SplitSource:
    """The source; DataError where images cannot be read (unless they are to be skipped) or a class has too few."""
    sizes = choose_sizes(train, options, report)
    train, test = (replace(photos, images=replace(photos.images, size=sizes.stored)) for photos in (train, test))
    whole_train, whole_test = (_without_broken(photos, options, report) for photos in (train, test))
    empty = [c for number, c in enumerate(class_names) if number not in whole_test.labels]
    if empty:
        raise DataError(
            f"{len(empty)} of {len(class_names)} classes have no image to test with ({name_some(empty)})", path=name
        )
    augmentation = SmallAugmentation if sizes.is_own else PhotoAugmentation
    return SplitSource(
        name,
        class_names,
        sizes.resolution,
        whole_train,
        whole_test,
        augmentation(sizes.resolution),
        seed=options.seed,
        mean=MEAN,
        std=STD,
        device=options.device,
    )


def _without_broken(photos: Photos, options: DataOptions, report: Report) -> LabelledImages:
    broken = _broken(photos, report)
    if not broken:
        return LabelledImages(photos.images, photos.labels, photos.positions)
    names = name_some([f"{image.where}: {image.reason}" for image in broken.values()])
    problem = f"{len(broken):,} of {len(photos.positions):,} {photos.what} cannot be read ({names})"
    if not options.skip_broken:
        raise DataError(problem, remedy="mend or remove them; --skip-broken leaves them out")
    report(Note(f"{problem}; left out", warning=True))
    whole = ~np.isin(photos.positions, list(broken))
    return LabelledImages(photos.images, photos.labels[whole], photos.positions[whole])


def _broken(photos: Photos, report: Report) -> dict[int, Broken]:
    """Position -> why, of the images that cannot be read; from the cache where these images were checked before."""
    path = default_cache_folder() / "data" / f"checked-{photos.signature}.json"
    try:
        return {
            int(position): Broken(*image)
            for position, image in parse_json(read_bytes(path, CACHE_NOTE), path, CACHE_NOTE).items()
        }
    except (CACHE_NOTE.error, ValueError, TypeError, AttributeError):  # not checked yet, or the file is damaged
        pass
    found: dict[int, Broken] = {}
    done, total, started = 0, len(photos.positions), time.monotonic()
    for count, lot in photos.images.broken(photos.positions):
        found |= dict(lot)
        done += count
        left_s = (time.monotonic() - started) / done * (total - done)
        report(StepProgress(f"checking {photos.what}", done, total, "images", f"{len(found)} broken", left_s))
    kept = {str(position): [image.where, image.reason] for position, image in found.items()}
    write_atomically(path, json.dumps(kept).encode())
    return found
