"""What a reader is that is fuzzed."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parent.parent


@dataclass(frozen=True)
class Reader:
    """seeds: real files' bytes, given a folder to make them in. read: raises LutbenchErrors only.

    change: makes a file of the seeds where mutated bytes alone would not get past a checksum.
    """

    name: str
    suffix: str
    seeds: Callable[[Path], list[bytes]]
    read: Callable[[Path], object]
    change: Callable[[random.Random, Sequence[bytes]], bytes] | None = None
