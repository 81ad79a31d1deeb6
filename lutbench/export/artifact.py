"""Artifact: an exported operator or whole net for one runtime, and the recipe that decides its bytes."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from lutbench.export.quantisation import Quantisation


@dataclass(frozen=True)
class Recipe:
    """What decides an artifact's bytes.

    workload: its name.
    versions: of the exporter and of every package that takes part.
    """

    workload: str
    runtime: str
    dtype: str
    versions: Mapping[str, str]

    @property
    def key(self) -> str:
        """Content address in the cache, 64 hex digits."""
        plain = {
            "subject": self.workload,
            "runtime": self.runtime,
            "dtype": self.dtype,
            "versions": dict(self.versions),
        }
        return hashlib.sha256(json.dumps(plain, sort_keys=True).encode()).hexdigest()


@dataclass(frozen=True)
class Exported:
    """An exporter's result.

    check_error: root mean square error of its output against torch's, over torch's.
    undelegated: kernels that run outside the runtime's delegate, where it has one.
    delegated_share: the others' share, by number. Not kept with the artifact: notes, what a person should know of the
        export itself; input_quantisation and output_quantisation, what the integers mean that it takes and gives,
        where it does.
    """

    data: bytes
    check_error: float
    undelegated: tuple[str, ...] = ()
    delegated_share: float = 1.0
    notes: tuple[str, ...] = ()
    input_quantisation: Quantisation | None = None
    output_quantisation: Quantisation | None = None


@dataclass(frozen=True)
class ModelInput:
    """What one input of a user's model is timed with.

    dtype: numpy's name.
    values: a file of raw numbers in the machine's order; None: random ones.
    said: those values in a few words.
    assumed: the first size is a batch that nobody gave.
    """

    name: str
    dtype: str
    shape: tuple[int, ...]
    values: Path | None = None
    values_sha256: str = ""
    said: str = ""
    assumed: bool = False


@dataclass(frozen=True)
class Companion:
    """A file that the model reads by itself.

    place: relative to the model's folder, as the model names it.
    """

    place: str
    path: Path
    sha256: str
    size_bytes: int


@dataclass(frozen=True)
class ModelUse:
    """What a user's model is run with, where its file leaves that open.

    inputs: in the model's order.
    dimensions: names of open sizes that the runtime is told beforehand.
    companions: files that have to be beside it.
    """

    inputs: tuple[ModelInput, ...]
    dimensions: Mapping[str, int] = field(default_factory=dict)
    companions: tuple[Companion, ...] = ()


@dataclass(frozen=True)
class Artifact:
    """An exported and checked file.

    name: the operator's name or the net's key.
    sha256: of the file's bytes.
    undelegated, delegated_share, notes: as in Exported.
    use: of a user's model; None for what lutbench exported, whose inputs are fixed.
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
    use: ModelUse | None = None
