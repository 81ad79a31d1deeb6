"""The bundle: a folder with the runner, the runtimes' libraries and a manifest that says what each file is."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from lutbench.errors import RunnerBuildError
from lutbench.files import file_sha256, write_atomically
from lutbench.reading.files import read_bytes
from lutbench.reading.json_text import parse_json
from lutbench.reading.kinds import BUNDLE
from lutbench.reading.plain import show

MANIFEST = "manifest.json"
FORMAT = 1
FOLDER = "{folder}"  # in a start command: where the bundle lies on the device


@dataclass(frozen=True)
class BundleFile:
    """One file of the bundle's folder.

    engines: those that need it.
    """

    name: str
    sha256: str
    size_bytes: int
    executable: bool
    engines: tuple[str, ...]

    def __post_init__(self) -> None:
        if not self.name or "/" in self.name or self.name.startswith("."):
            raise ValueError(f"not a plain file name: {self.name!r}")


@dataclass(frozen=True)
class Bundle:
    """A built runner.

    target: as `lutbench runner build --target` has it.
    abi: machine and C library it runs on.
    libc: that library's version, where it is in the bundle.
    runtimes: engine -> name and version of its runtime.
    start: engine -> command with FOLDER in it.
    libraries: engine -> file to open at run time.
    """

    folder: Path
    target: str
    abi: str
    libc: str
    runner: str
    runtimes: Mapping[str, str]
    start: Mapping[str, Sequence[str]]
    libraries: Mapping[str, str]
    files: tuple[BundleFile, ...]

    def needed(self, engine: str) -> tuple[BundleFile, ...]:
        """What has to be on the device for an engine."""
        self._check(engine)
        return tuple(file for file in self.files if engine in file.engines)

    def command(self, engine: str, folder: str) -> list[str]:
        """The runner's command line on the device, where the bundle lies in folder; its options follow."""
        self._check(engine)
        return [word.replace(FOLDER, folder) for word in self.start[engine]]

    def library(self, engine: str, folder: str) -> str | None:
        """The job's `library` for an engine; None where the runtime is linked in."""
        self._check(engine)
        return f"{folder}/{self.libraries[engine]}" if engine in self.libraries else None

    def said(self, engine: str) -> str:
        """What a LUT says of it."""
        libc = f", {self.libc}" if self.libc else ""
        return f"{self.target} ({self.abi}{libc}), runner {self.runner}, {self.runtimes[engine]}"

    def digest(self, engine: str) -> str:
        """A content address of what an engine needs, 64 hex digits."""
        parts = [(file.name, file.sha256, file.executable) for file in self.needed(engine)]
        return hashlib.sha256(json.dumps(parts).encode()).hexdigest()

    def _check(self, engine: str) -> None:
        if engine not in self.runtimes:
            raise RunnerBuildError(
                f"the bundle for {self.target} has no runtime {engine} (it has: {', '.join(self.runtimes)})",
                path=self.folder,
            )


_PLAIN_NAME = re.compile(r"[\w+@-][\w.+@-]{0,199}", re.ASCII)


def write_manifest(bundle: Bundle) -> None:
    """Writes the bundle's manifest into its folder."""
    entry = {"bundle": FORMAT, **asdict(bundle)}
    del entry["folder"]
    write_atomically(bundle.folder / MANIFEST, json.dumps(entry, indent=2).encode() + b"\n")


def read_bundle(folder: Path, sha256: Callable[[Path], str] = file_sha256) -> Bundle:
    """The bundle in a folder, its files checked against the manifest; RunnerBuildError where it is not whole."""
    path = folder / MANIFEST
    try:
        bundle = _bundle_of(folder, parse_json(read_bytes(path, BUNDLE), path, BUNDLE))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise RunnerBuildError("not a bundle's manifest", path=path) from error
    for file in bundle.files:
        if not _PLAIN_NAME.fullmatch(file.name):  # it is joined to folders, here and on the device
            raise RunnerBuildError(f"{show(file.name)} is no name of a file in a bundle", path=path)
        if not (folder / file.name).is_file() or sha256(folder / file.name) != file.sha256:
            raise RunnerBuildError(
                "missing, or not the file that the manifest names",
                path=folder / file.name,
                remedy="build the bundle again",
            )
    return bundle


def describe_file(path: Path, engines: Sequence[str], executable: bool) -> BundleFile:
    """The manifest's entry for a file that lies in the bundle's folder."""
    return BundleFile(path.name, file_sha256(path), path.stat().st_size, executable, tuple(engines))


def _bundle_of(folder: Path, entry: dict[str, Any]) -> Bundle:
    if entry["bundle"] != FORMAT:
        raise ValueError(f"format {entry['bundle']}")
    files = [BundleFile(**{**file, "engines": tuple(file["engines"])}) for file in entry["files"]]
    return Bundle(
        folder,
        str(entry["target"]),
        str(entry["abi"]),
        str(entry["libc"]),
        str(entry["runner"]),
        {str(engine): str(runtime) for engine, runtime in entry["runtimes"].items()},
        {str(engine): [str(word) for word in words] for engine, words in entry["start"].items()},
        {str(engine): str(name) for engine, name in entry["libraries"].items()},
        tuple(files),
    )
