"""Images in MNIST's format: a folder with the images and labels to train and to test with, packed with gzip or not.

Fashion-MNIST (70,000 photographs of clothes, 28 x 28; H. Xiao and others, arXiv:1708.07747) is found where Debian's
package puts it, so that a search on real images needs no download when it runs.
"""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import numpy.typing as npt

from lutbench.errors import DataError, UsageError
from lutbench.reading.idx import read_idx
from lutbench.reading.kinds import IMAGES
from lutbench.search.data.augment import ShiftAugmentation, SmallAugmentation
from lutbench.search.data.images import ArrayImages
from lutbench.search.data.options import MIN_RESOLUTION, DataOptions
from lutbench.search.data.source import Augmentation, LabelledImages, SplitSource
from lutbench.search.data.split import IntArray, choose_classes, draw_of_each

FASHION_FOLDER = Path("/usr/share/datasets/fashion-mnist")
FASHION_CLASSES = (
    *("T-shirt/top", "trouser", "pullover", "dress", "coat"),
    *("sandal", "shirt", "sneaker", "bag", "ankle boot"),
)
FASHION_IMAGES = 60_000  # to train with; 10,000 more to test with
FASHION_MISSING = "apt-get install dataset-fashion-mnist (Debian, Ubuntu), or --data idx:FOLDER with its four files"
LAYOUT = "the folder holds train-images-idx3-ubyte, train-labels-idx1-ubyte and the same two with t10k, or each as .gz"
# MNIST's names, those that unpackers make of them (train-images.idx3-ubyte), EMNIST's, and .gz of them all
_NAME = re.compile(
    r"(?P<set>.*?)(?P<part>train|t10k|test)[-_.](?P<what>images|labels)[-_.]idx\d-[a-z]+(?P<packed>\.gz)?",
    re.IGNORECASE,
)
_PARTS = {"train": "train", "t10k": "test", "test": "test"}
_MOST_CLASSES = 10_000


def idx(folder: Path, options: DataOptions) -> SplitSource:
    """The folder's images at their own size, or resized; they are shifted, and not mirrored: they may be letters."""
    parts = _read(folder)
    numbers = np.unique(parts["train"][1])
    names = tuple(str(number) for number in numbers)
    return _source(f"idx:{folder}", parts, numbers, names, ShiftAugmentation, options)


def fashion(images: int | None, options: DataOptions) -> SplitSource:
    """Fashion-MNIST, or so many of its images to train with, as many of each class; 10,000 to test with."""
    if images is not None and not 2 * len(FASHION_CLASSES) <= images <= FASHION_IMAGES:
        raise UsageError(
            f"Fashion-MNIST has {FASHION_IMAGES:,} images to train with, not {images:,}",
            remedy=f"ask for {2 * len(FASHION_CLASSES)} to {FASHION_IMAGES:,}",
        )
    if not FASHION_FOLDER.is_dir():
        raise DataError("Fashion-MNIST is not there", path=FASHION_FOLDER, remedy=FASHION_MISSING)
    parts = _read(FASHION_FOLDER)
    name = "fashion-mnist" if images is None else f"fashion-mnist:{images}"
    numbers = np.arange(len(FASHION_CLASSES))
    return _source(name, parts, numbers, FASHION_CLASSES, SmallAugmentation, options, images)


Part = tuple[npt.NDArray[np.uint8], IntArray]  # images (N, 1, S, S), labels (N,)


def _source(
    name: str,
    parts: dict[str, Part],
    numbers: IntArray,
    names: tuple[str, ...],
    augmentation: type[ShiftAugmentation | SmallAugmentation],
    options: DataOptions,
    images: int | None = None,
) -> SplitSource:
    chosen = numbers[choose_classes(names, options.classes, options.seed, name)]

    def part(pixels: npt.NDArray[np.uint8], labels: IntArray) -> LabelledImages:
        own = np.flatnonzero(np.isin(labels, chosen))
        return LabelledImages(ArrayImages(pixels), np.searchsorted(chosen, labels[own]), own)

    train, test = (part(*parts[which]) for which in ("train", "test"))
    if images is not None:
        positions = draw_of_each(train.labels, images, options.seed)
        train = LabelledImages(train.images, train.labels[positions], train.positions[positions])
    missing = sorted(set(range(len(chosen))) - set(test.labels.tolist()))
    if missing:
        raise DataError(f"class {names[missing[0]]} has no image to test with", path=name)
    pixels = parts["train"][0]
    mean, std = float(pixels.mean()) / 255, float(pixels.std()) / 255
    resolution = options.resolution or pixels.shape[-1]
    steps: Augmentation = augmentation(resolution)
    return SplitSource(
        name,
        tuple(names[number] for number in np.searchsorted(numbers, chosen)),
        resolution,
        train,
        test,
        steps,
        seed=options.seed,
        mean=(mean,) * 3,
        std=(max(std, 1 / 255),) * 3,
        device=options.device,
    )


def _read(folder: Path) -> dict[str, Part]:
    """Images and labels by part, "train" and "test"; DataError where a file is missing or does not fit the others."""
    files = _files(folder)
    parts = {}
    for part in ("train", "test"):
        paths = files[part, "images"], files[part, "labels"]
        pixels, labels = _images(paths[0]), _labels(paths[1])
        if len(pixels) != len(labels):
            raise DataError(f"has {len(labels):,} labels for {len(pixels):,} images", path=paths[1])
        parts[part] = pixels, labels
    sides = {part: pixels.shape[-1] for part, (pixels, _) in parts.items()}
    if sides["train"] != sides["test"]:
        raise DataError(
            f"the images to train with have {sides['train']} pixels, those to test {sides['test']}", path=folder
        )
    return parts


def _files(folder: Path) -> dict[tuple[str, str], Path]:
    """(part, "images" or "labels") -> file; one that is there packed and unpacked is read unpacked."""
    try:
        paths = sorted(folder.iterdir(), reverse=True)  # x.gz before x, which then stands
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else "that cannot be a name"
        raise DataError(f"cannot be opened: {reason}", path=folder, remedy=LAYOUT) from None
    found: dict[tuple[str, str], Path] = {}
    sets = set()
    for path in paths:
        if match := _NAME.fullmatch(path.name):
            found[_PARTS[match["part"].lower()], match["what"].lower()] = path
            sets.add(match["set"])
    if len(sets) > 1:
        raise DataError(
            f"holds the files of {len(sets)} sets ({', '.join(f'{name}train-images' for name in sorted(sets))})",
            path=folder,
            remedy="put the four files of one into a folder of their own",
        )
    missing = [
        f"{what} of {part}" for part in ("train", "test") for what in ("images", "labels") if (part, what) not in found
    ]
    if missing:
        raise DataError(f"the {missing[0]} are missing", path=folder, remedy=LAYOUT)
    return found


def _images(path: Path) -> npt.NDArray[np.uint8]:
    """(N, C, S, S), C 1 or 3: the central square of what is (N, H, W), or (N, H, W, 3)."""
    array = read_idx(path, IMAGES)
    if array.ndim == 4 and array.shape[3] == 3:
        pixels = array.transpose(0, 3, 1, 2)
    elif array.ndim == 3:
        pixels = array[:, None]
    else:
        raise DataError(f"holds numbers of {array.ndim} dimensions, and images are N x H x W", path=path)
    if pixels.dtype != np.uint8:
        raise DataError("holds numbers that are no bytes, and pixels are 0 to 255", path=path)
    height, width = pixels.shape[2:]
    side = min(height, width)
    if side < MIN_RESOLUTION or not len(pixels):
        raise DataError(f"holds {len(pixels):,} images of {height} x {width} pixels: too few or too small", path=path)
    top, left = (height - side) // 2, (width - side) // 2
    return np.ascontiguousarray(pixels[:, :, top : top + side, left : left + side])


def _labels(path: Path) -> IntArray:
    """(N,). QMNIST's tables of eight numbers an image have the class in the first."""
    array = read_idx(path, IMAGES)
    labels = array[:, 0] if array.ndim == 2 and array.shape[1] else array
    if labels.ndim != 1 or labels.dtype.kind not in "ui":
        raise DataError("holds no labels: they are whole numbers, one an image", path=path)
    if len(labels) and (labels.min() < 0 or len(np.unique(labels)) > _MOST_CLASSES):
        raise DataError(f"its numbers are no classes: below 0, or more than {_MOST_CLASSES:,}", path=path)
    return labels.astype(np.int64)
