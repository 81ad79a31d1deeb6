"""What a person may say about the data, whatever kind it is."""

from __future__ import annotations

import os
from dataclasses import dataclass

from lutbench.errors import UsageError

MIN_RESOLUTION, MAX_RESOLUTION = 8, 1024
MAX_WORKERS = 8  # by default: more decode no faster than one process can take in


@dataclass(frozen=True)
class DataOptions:
    """What decides the images that are read.

    resolution, classes: None means the data's own.
    workers: processes that decode, 0 for none beside this one.
    seed: of the choice of classes, the split into parts, and shapes.
    device: where batches lie and are augmented.
    """

    resolution: int | None = None
    classes: int | None = None
    seed: int = 0
    workers: int | None = None
    skip_broken: bool = False
    device: str = "cpu"

    def __post_init__(self) -> None:
        if self.resolution is not None and not MIN_RESOLUTION <= self.resolution <= MAX_RESOLUTION:
            raise UsageError(
                f"a resolution of {self.resolution} cannot be used",
                remedy=f"it is between {MIN_RESOLUTION} and {MAX_RESOLUTION}",
            )
        if self.classes is not None and self.classes < 2:
            raise UsageError(f"{self.classes} classes cannot be told apart", remedy="ask for 2 or more")
        if self.seed < 0 or (self.workers or 0) < 0:
            raise UsageError("a seed and a number of workers are 0 or more")

    @property
    def decoders(self) -> int:
        return min(MAX_WORKERS, os.cpu_count() or 1) if self.workers is None else self.workers
