"""The artifact cache: content-addressed, checked on the way out, safe under two runs at once.

An entry is KEY.<suffix> and KEY.json, which holds the file's sha256 and is written last. Both are put in place by
renaming, and two writers of one key write the same bytes, so the worst that a race does is work done twice.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

from lutbench.errors import OutputError
from lutbench.export.artifact import Artifact, Exported, Recipe
from lutbench.files import CACHE_VARIABLE, check_writable, write_atomically
from lutbench.reading.files import is_there, read_bytes
from lutbench.reading.json_text import parse_json
from lutbench.reading.kinds import CACHE_NOTE


class ArtifactCache:
    """Artifacts by recipe under a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "artifacts"

    def check_writable(self) -> None:
        """OutputError where nothing could be kept; better known before a runtime's exporter loads."""
        try:
            check_writable(self.folder / "key")
        except OutputError as error:
            remedy = f"${CACHE_VARIABLE} names another folder for the cache"
            raise OutputError(error.problem, path=self.folder, remedy=remedy) from error

    def get(self, recipe: Recipe, suffix: str) -> Artifact | None:
        """The artifact of a recipe; None where there is none, or where it is corrupt (then it is removed)."""
        payload, note = self._paths(recipe, suffix)
        if not is_there(note):
            return None
        try:
            entry = parse_json(read_bytes(note, CACHE_NOTE), note, CACHE_NOTE)
            artifact = _artifact(recipe, payload, entry)
        except (CACHE_NOTE.error, ValueError, KeyError, TypeError, OverflowError):
            artifact = None
        if artifact is None or not _is_whole(artifact):
            note.unlink(missing_ok=True)
            payload.unlink(missing_ok=True)
            return None
        return artifact

    def put(self, recipe: Recipe, suffix: str, exported: Exported) -> Artifact:
        """Stores an artifact; OutputError where the folder cannot be written."""
        payload, note = self._paths(recipe, suffix)
        entry = {
            "subject": recipe.workload,
            "sha256": hashlib.sha256(exported.data).hexdigest(),
            "size_bytes": len(exported.data),
            "check_error": exported.check_error,
            "undelegated": list(exported.undelegated),
            "delegated_share": exported.delegated_share,
        }
        write_atomically(payload, exported.data)
        write_atomically(note, json.dumps(entry).encode())
        return replace(_artifact(recipe, payload, entry), notes=exported.notes)

    def _paths(self, recipe: Recipe, suffix: str) -> tuple[Path, Path]:
        key = recipe.key
        folder = self.folder / key[:2]
        return folder / f"{key}{suffix}", folder / f"{key}.json"


def _artifact(recipe: Recipe, payload: Path, entry: dict[str, Any]) -> Artifact:
    return Artifact(
        name=recipe.workload,
        runtime=recipe.runtime,
        dtype=recipe.dtype,
        path=payload,
        sha256=str(entry["sha256"]),
        size_bytes=int(entry["size_bytes"]),
        check_error=float(entry["check_error"]),
        undelegated=tuple(str(kernel) for kernel in entry["undelegated"]),
        delegated_share=float(entry["delegated_share"]),
    )


def _is_whole(artifact: Artifact) -> bool:
    try:
        data = artifact.path.read_bytes()
    except OSError:
        return False
    return len(data) == artifact.size_bytes and hashlib.sha256(data).hexdigest() == artifact.sha256
