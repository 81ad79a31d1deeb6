"""What training and searching are asked for alike: which images, where to write, how to compute."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lutbench.events import Report
from lutbench.files import write_atomically

if TYPE_CHECKING:
    from lutbench.search.data.options import DataOptions
    from lutbench.search.data.source import SplitSource
    from lutbench.search.epochs import Begin
    from lutbench.search.hardware import Hardware

MADE_OF = "made_of.json"


@dataclass(frozen=True, kw_only=True)
class Images:
    """Which images to learn from.

    resolution, classes: None means the data's own.
    data_seed: of the choice of classes, the split and shapes.
    workers: that decode photographs; None means one a core.
    """

    data: str = "digits"
    resolution: int | None = None
    classes: int | None = None
    data_seed: int = 0
    workers: int | None = None
    skip_broken: bool = False


@dataclass(frozen=True, kw_only=True)
class RunOutput:
    """The folder that a training or a search writes into.

    begin: with the checkpoint there, or anew (`Epochs.start`).
    """

    folder: Path
    begin: Begin = "auto"
    tensorboard: bool = False


@dataclass(frozen=True, kw_only=True)
class Computing:
    """What computes, and how.

    threads: of a CPU; None means as many as serve images of that size.
    compiled: by torch.compile.
    """

    threads: int | None = None
    compiled: bool = False


def check_images(images: Images) -> None:
    """UsageError for what can be no images, whatever lies on the disk: told before anything is loaded."""
    from lutbench.search.data.find import check_kind

    check_kind(images.data)
    _options(images)


def open_images(images: Images, computing: Computing, hardware: Hardware, report: Report) -> SplitSource:
    """The images, found by the first process; threads and memory are set for their size."""
    from lutbench.search.data.find import find_data
    from lutbench.search.memory import keep_freed

    options = _options(images, str(hardware.device))
    source = hardware.first_ahead(lambda: find_data(images.data, options, hardware.reporting(report)))
    hardware.set_threads(computing.threads, source.resolution)
    keep_freed(hardware, source.resolution)
    return source


def _options(images: Images, device: str = "cpu") -> DataOptions:
    from lutbench.search.data.options import DataOptions

    return DataOptions(
        resolution=images.resolution,
        classes=images.classes,
        seed=images.data_seed,
        workers=images.workers,
        skip_broken=images.skip_broken,
        device=device,
    )


def keep_makers(source: SplitSource, folder: Path) -> None:
    """Writes whose work drawn images are made of into a result's folder: fonts with their hashes and licences."""
    if source.made_of:
        write_atomically(folder / MADE_OF, (json.dumps(source.made_of, indent=1) + "\n").encode())


def in_parts(options: Mapping[str, Any], **kinds: type) -> dict[str, Any]:
    """Options with those that are a part's fields put into that part: kinds' name -> part; the others as they are.

    So a command line or a script names an option alone, and code that uses it gets the part it belongs to.
    """
    left = dict(options)
    parts = {
        name: kind(**{field.name: left.pop(field.name) for field in fields(kind) if field.name in left})
        for name, kind in kinds.items()
    }
    return {**left, **parts}
