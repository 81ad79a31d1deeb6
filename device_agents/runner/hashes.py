"""SHA-256 of large files that were hashed before, and are the same since by size, time and place on the disk.

A phone hashes what it is sent, so a file that changed without any of them changing is noticed there.
"""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

from lutbench.errors import OutputError, RunnerBuildError
from lutbench.files import file_sha256, write_atomically
from lutbench.reading.files import read_bytes
from lutbench.reading.json_text import parse_json
from lutbench.reading.kinds import BUNDLE

_SETTLED_S = 2.0  # a file that was written less long ago may change again without its time changing
_MOST = 512  # files that are remembered


class Hashes:
    """What is remembered in a file of the cache; one that is damaged is as none."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._known: dict[str, Any] = {}
        self._is_new = False
        try:
            found = parse_json(read_bytes(path, BUNDLE), path, BUNDLE)
        except RunnerBuildError:
            return
        if isinstance(found, dict):
            self._known = found

    def sha256(self, path: Path) -> str:
        """The file's, as of lutbench.files.file_sha256."""
        about = path.stat()
        name, stamp = str(path.absolute()), [about.st_size, about.st_mtime_ns, about.st_ctime_ns, about.st_ino]
        match self._known.get(name):
            case [*known, str(digest)] if known == stamp:
                return digest
        digest = file_sha256(path)
        if max(about.st_mtime, about.st_ctime) < time.time() - _SETTLED_S:
            self._known[name] = [*stamp, digest]
            self._is_new = True
        return digest

    def keep(self) -> None:
        """Writes what is new, where that can be written."""
        if not self._is_new:
            return
        known = dict(list(self._known.items())[-_MOST:])
        try:
            write_atomically(self._path, json.dumps(known).encode())
        except OutputError:
            return
        self._is_new = False
