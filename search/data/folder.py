"""A folder of photographs as ImageNet's: train/CLASS/* and val/CLASS/*."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from lutbench.errors import DataError
from lutbench.events import Report
from lutbench.search.data.images import DecodedImages
from lutbench.search.data.options import DataOptions
from lutbench.search.data.photos import Photos, photo_source
from lutbench.search.data.source import SplitSource
from lutbench.search.data.split import choose_classes, name_some

SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".webp", ".bmp", ".gif", ".tif", ".tiff", ".ppm"})
LAYOUT = "the layout is train/CLASS/*.jpg and val/CLASS/*.jpg"


@dataclass(frozen=True)
class _OpenFile:
    files: tuple[Path, ...]

    def __call__(self, position: int) -> Image.Image:
        return Image.open(self.files[position])


@dataclass(frozen=True)
class _NameFile:
    files: tuple[Path, ...]

    def __call__(self, position: int) -> str:
        return str(self.files[position])


def imagefolder(folder: Path, options: DataOptions, report: Report) -> SplitSource:
    """The folder's images, of options.classes of its classes; DataError where something is missing or unreadable."""
    names = _class_names(folder)
    chosen = tuple(names[n] for n in choose_classes(names, options.classes, options.seed, str(folder)))
    train, test = (_photos(folder / part, chosen, options) for part in ("train", "val"))
    return photo_source(f"imagefolder:{folder}", chosen, train, test, options, report)


def _class_names(folder: Path) -> list[str]:
    train, val = (_subfolders(folder / part) for part in ("train", "val"))
    for here, there, part in ((train, val, "val"), (val, train, "train")):
        missing = sorted(set(here) - set(there))
        if missing:
            raise DataError(
                f"{len(missing)} of {len(here)} classes are missing ({name_some(missing)})",
                path=folder / part,
                remedy="train and val hold the same classes, a folder each",
            )
    if len(train) < 2:
        raise DataError(f"holds {len(train)} class, and 2 or more are needed", path=folder / "train", remedy=LAYOUT)
    return train


def _subfolders(folder: Path) -> list[str]:
    try:
        entries = [entry for entry in folder.iterdir() if not entry.name.startswith(".")]
    except FileNotFoundError:
        raise DataError("is not there", path=folder, remedy=LAYOUT) from None
    except OSError as error:
        raise DataError(f"cannot be read as a folder: {error.strerror or error}", path=folder, remedy=LAYOUT) from error
    found = sorted(entry.name for entry in entries if entry.is_dir())
    if not found:
        raise DataError("holds no folder of a class", path=folder, remedy=LAYOUT)
    return found


def _photos(folder: Path, classes: tuple[str, ...], options: DataOptions) -> Photos:
    by_class = [_images(folder / name) for name in classes]
    empty = [name for name, files in zip(classes, by_class, strict=True) if not files]
    if empty:
        raise DataError(
            f"{len(empty)} of {len(classes)} classes have no image ({name_some(empty)})",
            path=folder,
            remedy=f"images end in {', '.join(sorted(SUFFIXES))}",
        )
    files = tuple(file for found in by_class for file in found)
    return Photos(
        what=f"images of {folder}",
        images=DecodedImages(_OpenFile(files), _NameFile(files), options.decoders),
        labels=np.repeat(np.arange(len(classes)), [len(found) for found in by_class]),
        positions=np.arange(len(files)),
        signature=_signature(files),
    )


def _images(folder: Path) -> list[Path]:
    try:
        return sorted(
            path for path in folder.iterdir() if path.suffix.lower() in SUFFIXES and not path.name.startswith(".")
        )
    except OSError as error:
        raise DataError(f"cannot be read as a folder: {error.strerror or error}", path=folder) from error


def _signature(files: tuple[Path, ...]) -> str:
    """Changes when a file comes, goes or is written."""
    known = hashlib.sha256()
    for path in files:
        try:
            status = path.stat()
        except OSError as error:
            raise DataError(f"cannot be read: {error.strerror or error}", path=path) from error
        known.update(f"{path.absolute()}\0{status.st_size}\0{status.st_mtime_ns}\n".encode("utf-8", "surrogateescape"))
    return known.hexdigest()[:32]
