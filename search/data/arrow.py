"""Arrow data sets through the library `datasets`: a folder it saved, an .arrow or .parquet file, or a name it knows."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from lutbench.errors import DataError, UsageError
from lutbench.events import Note, Report
from lutbench.private.datasets_calls import identity
from lutbench.search.data.images import DecodedImages
from lutbench.search.data.options import DataOptions
from lutbench.search.data.photos import Photos, photo_source
from lutbench.search.data.source import SplitSource
from lutbench.search.data.split import IntArray, choose_classes, hold_out

TEST_NAMES = ("validation", "val", "valid", "test")  # the first of them that is there
_NAME = re.compile(r"[A-Za-z0-9][\w.-]*(/[A-Za-z0-9][\w.-]*)?", re.ASCII)  # of a data set on the hub or in its cache
TEST_SHARE = 0.2  # where the data has no split of its own


@dataclass(frozen=True)
class _OpenRow:
    rows: Any
    column: str

    def __call__(self, position: int) -> Image.Image:
        image = self.rows[position][self.column]
        if not isinstance(image, Image.Image):
            raise ValueError("the row has no image")  # noqa: TRY004 - a broken image, as others are
        return image


@dataclass(frozen=True)
class _NameRow:
    where: str

    def __call__(self, position: int) -> str:
        return f"{self.where} row {position}"


def arrow(where: str, options: DataOptions, report: Report) -> SplitSource:
    """The data set's images and labels; DataError where they cannot be found or read."""
    tables = _load(where)
    train = tables.get("train") if len(tables) > 1 else next(iter(tables.values()))
    if train is None:
        raise DataError(f"has no split called train, but {', '.join(tables)}", path=where)
    test = next((tables[name] for name in TEST_NAMES if name in tables and tables[name] is not train), None)
    image, label, names = _columns(train, where)
    chosen = choose_classes(names, options.classes, options.seed, where)

    def photos(table: Any, part: str, rows: IntArray | None = None) -> Photos:
        return _photos(table, f"{where} ({part})", image, label, chosen, options, rows)

    if test is None:
        kept, held = hold_out(_labels(train, label, where), TEST_SHARE, options.seed)
        report(Note(f"{where} has no {' or '.join(TEST_NAMES)} split: a fifth of each class is held out to test with"))
        parts = photos(train, "train", kept), photos(train, "held out", held)
    else:
        parts = photos(train, "train"), photos(test, "test")
    return photo_source(f"hf:{where}", tuple(names[n] for n in chosen), *parts, options, report)


def _load(where: str) -> dict[str, Any]:
    """Split name -> table."""
    try:
        import datasets
    except ImportError:
        raise UsageError(
            "hf: reads through the library datasets, which is not installed", remedy="pip install 'lutbench[arrow]'"
        ) from None
    try:
        found = _loader(where, datasets)()
        tables = dict(found) if isinstance(found, dict) else {"train": found}
        for table in tables.values():
            # neither library looks at offsets before it follows them, and a damaged one leads anywhere in memory
            table.data.table.validate(full=True)
    except DataError:
        raise
    except Exception as error:  # whatever the library, Arrow or the network raise: the data is no use
        raise DataError(f"datasets cannot read it: {_first_line(error)}", path=where) from error
    return tables


def _loader(where: str, datasets: Any) -> Callable[[], Any]:
    """What reads it. A folder is never searched: the library would go through everything below it."""
    path = Path(where)
    if any((path / name).exists() for name in ("dataset_dict.json", "state.json")):
        return lambda: datasets.load_from_disk(where)
    if path.is_file():
        if path.suffix == ".parquet":
            return lambda: datasets.load_dataset("parquet", data_files=where)
        return lambda: datasets.Dataset.from_file(where)
    if path.is_dir():
        raise DataError("is no data set that `datasets` saved", path=path, remedy="name its folder, or a file")
    if not _NAME.fullmatch(where):
        raise DataError("is not there", path=path)
    return lambda: datasets.load_dataset(where)


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]


def _columns(table: Any, where: str) -> tuple[str, str, list[str]]:
    """The columns of images and labels, and the classes' names."""
    import datasets

    features = table.features
    images = [name for name, feature in features.items() if isinstance(feature, datasets.Image)]
    labels = [name for name, feature in features.items() if isinstance(feature, datasets.ClassLabel)]
    if not images or not labels:
        lacking = "images (datasets.Image)" if not images else "classes (datasets.ClassLabel)"
        raise DataError(f"has no column of {lacking}; it has {', '.join(features) or 'none'}", path=where)
    label = "label" if "label" in labels else labels[0]
    return images[0], label, list(features[label].names)


def _labels(table: Any, label: str, where: str) -> IntArray:
    if label not in table.features:
        raise DataError(f"the test split has no column {label}", path=where)
    values = table.with_format("numpy")[label][:]
    return np.asarray(values, np.int64)


def _photos(
    table: Any, where: str, image: str, label: str, chosen: list[int], options: DataOptions, rows: IntArray | None
) -> Photos:
    labels = _labels(table, label, where)
    positions = np.arange(len(labels)) if rows is None else rows
    positions = positions[np.isin(labels[positions], chosen)]
    signature = hashlib.sha256(f"{identity(table)} {len(positions)} {positions.tolist()}".encode()).hexdigest()
    return Photos(
        what=f"images of {where}",
        images=DecodedImages(_OpenRow(table, image), _NameRow(where), options.decoders),
        labels=np.searchsorted(chosen, labels[positions]),
        positions=positions,
        signature=signature[:32],
    )
