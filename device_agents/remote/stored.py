"""Where an artifact and what belongs to it lie on a device: by their content, so that what is there is right."""

from __future__ import annotations

import hashlib
import posixpath
import re
from dataclasses import dataclass
from pathlib import Path

from lutbench.device_agents.runner.job import RunnerArtifact
from lutbench.export.artifact import Artifact

_PLAIN = re.compile(r"(?!\.\./)[A-Za-z0-9._/-]+")  # what may stand in a command of the phone's shell


@dataclass(frozen=True)
class StoredFile:
    """A file for the device.

    place: below the folder that lutbench has there, plain characters only.
    sha256: of its content.
    """

    path: Path
    place: str
    sha256: str
    size: int


def why_not_stored(artifact: Artifact) -> str:
    """Why an artifact cannot be brought to a phone; "" where it can."""
    companions = artifact.use.companions if artifact.use else ()
    for companion in companions:
        if not _PLAIN.fullmatch(posixpath.normpath(companion.place)):
            return f"its weights are in {companion.place!r}, a name that lutbench does not bring to a phone"
    return ""


def stored_files(artifact: Artifact) -> list[StoredFile]:
    """The artifact's file first, then the weights beside it and its inputs' values."""
    files = [StoredFile(artifact.path, _place(artifact), artifact.sha256, artifact.size_bytes)]
    if artifact.use is None:
        return files
    folder = posixpath.dirname(_place(artifact))
    for companion in artifact.use.companions:
        place = f"{folder}/{posixpath.normpath(companion.place)}"
        files.append(StoredFile(companion.path, place, companion.sha256, companion.size_bytes))
    for given in artifact.use.inputs:
        if given.values is not None:
            size = given.values.stat().st_size
            files.append(StoredFile(given.values, _values_place(given.values_sha256), given.values_sha256, size))
    return files


def runner_artifact(artifact: Artifact, root: str) -> RunnerArtifact:
    """The artifact in a job: where it lies below the phone's folder root."""
    inputs = artifact.use.inputs if artifact.use else ()
    values = {i.name: f"{root}/{_values_place(i.values_sha256)}" for i in inputs if i.values is not None}
    return RunnerArtifact(artifact.name, f"{root}/{_place(artifact)}", artifact.sha256, artifact.use, values)


def _place(artifact: Artifact) -> str:
    suffix = re.sub(r"[^a-z0-9.]", "", artifact.path.suffix)
    companions = artifact.use.companions if artifact.use else ()
    if not companions:
        return f"artifacts/{artifact.sha256}{suffix}"
    parts = [artifact.sha256, *(f"{one.place}={one.sha256}" for one in companions)]
    return f"artifacts/{hashlib.sha256(chr(10).join(parts).encode()).hexdigest()}/model{suffix}"


def _values_place(sha256: str) -> str:
    return f"inputs/{sha256}.bin"
