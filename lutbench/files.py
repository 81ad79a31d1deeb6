"""Files that are whole or not there."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import tempfile
import time
from pathlib import Path

from lutbench.errors import OutputError

CACHE_VARIABLE = "LUTBENCH_CACHE"
_PART = ".part"
_PART_NAME = 40  # characters of a file's name in that of its part
_LEFTOVER_S = 3600.0
_TRIED_BYTES = 4096  # a full disk takes an empty file


def default_cache_folder() -> Path:
    """$LUTBENCH_CACHE, or the user's cache folder."""
    import platformdirs

    return Path(os.environ.get(CACHE_VARIABLE) or platformdirs.user_cache_dir("lutbench"))


def write_atomically(path: Path, data: bytes) -> None:
    """Puts data at path so that path is the old file or the new one, never a part."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.is_dir():
            raise OutputError("is a folder, not a file", path=path)
        _remove_leftovers(path)
        descriptor, name = tempfile.mkstemp(prefix=_part_prefix(path), suffix=_PART, dir=path.parent)
        part = Path(name)
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            part.chmod(0o644)
            part.replace(path)
        except BaseException:
            part.unlink(missing_ok=True)
            raise
    except OSError as error:
        raise cannot_write(error, path, "cannot write", "what was there before is unchanged") from error


def cannot_write(error: OSError, path: Path, problem: str, remedy: str = "") -> OutputError:
    """What to raise where writing failed."""
    found = OutputError(f"{problem}: {error.strerror or error}", path=path, remedy=remedy)
    found.is_full = error.errno in (errno.ENOSPC, errno.EDQUOT)
    return found


def _part_prefix(path: Path) -> str:
    return f".{path.name[:_PART_NAME]}."  # shorter than what it stands for: a name may be as long as names can be


def _remove_leftovers(path: Path) -> None:
    """Parts that a run left which was killed as it wrote this file; another run's are seconds old."""
    oldest_s = time.time() - _LEFTOVER_S
    prefix = _part_prefix(path)
    with os.scandir(path.parent) as entries:
        for entry in entries:
            if not (entry.name.startswith(prefix) and entry.name.endswith(_PART)):
                continue
            with contextlib.suppress(FileNotFoundError):
                if entry.stat(follow_symlinks=False).st_mtime < oldest_s:
                    Path(entry.path).unlink()


def check_writable(path: Path) -> None:
    """OutputError when path could not be written at the end of a run; better known before it."""
    folder = path.parent
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder) as file:
            file.write(b"\0" * _TRIED_BYTES)
            file.flush()
        with contextlib.suppress(FileNotFoundError):
            path.stat()  # a name that is too long, or a loop of links
    except OSError as error:
        raise cannot_write(error, path, "cannot write there", "give another -o") from error
    if path.is_dir():
        raise OutputError("is a folder, not a file", path=path, remedy="give -o a file name")


def put_aside(path: Path) -> Path | None:
    """Renames a file out of the way, for what took long to make is never deleted: a.pt becomes a.aside1.pt.

    None where there is none.
    """
    if not path.exists():
        return None
    number = 1
    while (target := path.with_suffix(f".aside{number}{path.suffix}")).exists():
        number += 1
    try:
        path.rename(target)
    except OSError as error:
        raise cannot_write(error, path, "cannot be renamed") from error
    return target


def file_sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
