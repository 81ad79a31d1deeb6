"""The folder of an export: whose files it holds, and export.json, which lists all of them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from lutbench.errors import ExportError, UsageError
from lutbench.events import Note, Report
from lutbench.files import file_sha256, write_atomically
from lutbench.reading.files import check_regular, is_there, read_bytes
from lutbench.reading.json_text import parse_json
from lutbench.reading.kinds import ARTIFACT, EXPORT_SUMMARY
from lutbench.reading.plain import changes

SUMMARY = "export.json"
IDENTITY = ("net", "input", "weights", "data")  # of export.json: files of one folder share these


class ExportFolder:
    """A folder that this export may write into.

    own: what export.json says of every file here, `IDENTITY` among it, as JSON has it (lists, no tuples).
    names: the files to write.
    overwrite: replace what is not of this export; without it UsageError where the folder holds files of another net,
        other weights or other images, or files that no export.json speaks of.

    Files that an earlier export of the same net made, for another runtime say, stay listed.
    """

    def __init__(
        self, path: Path, own: Mapping[str, Any], names: Sequence[str], overwrite: bool, report: Report
    ) -> None:
        self._path, self._own, self._report = path, own, report
        found = self._earlier(names, overwrite)
        self._kept = self._whole(found, names)
        self.describe(
            {"files": []}
        )  # whose folder this is stands there before its files do: an export that is killed goes on

    def _earlier(self, names: Sequence[str], overwrite: bool) -> list[Mapping[str, Any]]:
        """The files that an earlier export of the same wrote; what is not of this export is refused, or given up."""
        path = self._path / SUMMARY
        if not is_there(path):
            if not overwrite:
                _check_free(self._path, names)
            return []
        try:
            return _files_of_same(path, self._own)
        except (ExportError, UsageError):
            if not overwrite:
                raise
            self._report(Note(f"{path} was of another export; it lists this one's files alone now", warning=True))
            return []

    def describe(self, summary: Mapping[str, Any]) -> None:
        """Writes export.json: what is said here of this export, its files before those that were there."""
        about = {**self._own, **summary, "files": [*summary["files"], *self._kept]}
        write_atomically(self._path / SUMMARY, (json.dumps(about, indent=2) + "\n").encode())

    def _whole(self, files: Sequence[Mapping[str, Any]], names: Sequence[str]) -> list[Mapping[str, Any]]:
        """What is listed, is not written anew, and is still what it was."""
        kept = []
        for file in files:
            if file["file"] in names:
                continue
            path = self._path / file["file"]
            if _is_file_there(path) and file_sha256(path) == file["sha256"]:
                kept.append(file)
            else:
                self._report(Note(f"{path} is not what was exported; {SUMMARY} no longer lists it", warning=True))
        return kept


def _files_of_same(path: Path, own: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The files that an export.json lists; UsageError where they are another export's, ExportError where it is none."""
    found = parse_json(read_bytes(path, EXPORT_SUMMARY), path, EXPORT_SUMMARY)
    files = found.get("files") if isinstance(found, dict) else None
    if not isinstance(files, list) or not all(_is_file(file) for file in files):
        raise ExportError("is no summary of an export", path=path, remedy="give another -o, or --overwrite")
    if differing := changes({key: found.get(key) for key in IDENTITY}, {key: own[key] for key in IDENTITY}):
        raise UsageError(
            f"the folder holds another export's files ({differing})",
            path=path,
            remedy="give another -o, or --overwrite to replace them",
        )
    return files


def _is_file(value: object) -> bool:
    """Whether it is an entry of the list of files, whose name is that of a file in the folder."""
    if not isinstance(value, dict) or not isinstance(value.get("file"), str):
        return False
    return value["file"] == Path(value["file"]).name and isinstance(value.get("sha256"), str)


def _is_file_there(path: Path) -> bool:
    """False for what is no regular file, and for a name that none can have."""
    try:
        check_regular(path, ARTIFACT)
    except ExportError:
        return False
    return True


def _check_free(folder: Path, names: Sequence[str]) -> None:
    for name in names:
        if is_there(folder / name):
            raise UsageError(
                f"is there, and no {SUMMARY} beside it says what it is",
                path=folder / name,
                remedy="give another -o, or --overwrite to replace it",
            )
