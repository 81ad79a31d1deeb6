"""Artifact: an exported operator or whole net for one runtime, and the recipe that decides its bytes."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from lutbench.export.scale import Scale


@dataclass(frozen=True)
class Recipe:
    """What decides an artifact's bytes. versions: of the exporter and of every package that takes part."""

    subject: str
    runtime: str
    dtype: str
    versions: Mapping[str, str]

    @property
    def key(self) -> str:
        """Content address in the cache, 64 hex digits."""
        return hashlib.sha256(json.dumps(asdict(self), sort_keys=True).encode()).hexdigest()


@dataclass(frozen=True)
class Exported:
    """An exporter's result. check_error: root mean square error of its output against torch's, over torch's.

    undelegated: kernels that run outside the runtime's delegate, where it has one; delegated_share: the others' share,
    by number. Not kept with the artifact: notes, what a person should know of the export itself; input_scale and
    output_scale, what the integers mean that it takes and gives, where it does.
    """

    data: bytes
    check_error: float
    undelegated: tuple[str, ...] = ()
    delegated_share: float = 1.0
    notes: tuple[str, ...] = ()
    input_scale: Scale | None = None
    output_scale: Scale | None = None


@dataclass(frozen=True)
class Artifact:
    """An exported and checked file. name: the operator's name or the net's key; sha256: of the file's bytes.

    undelegated, delegated_share, notes: as in Exported.
    """

    name: str
    runtime: str
    dtype: str
    path: Path
    sha256: str
    size_bytes: int
    check_error: float
    undelegated: tuple[str, ...] = ()
    delegated_share: float = 1.0
    notes: tuple[str, ...] = ()
