"""Files that are whole or not there."""

from __future__ import annotations

import hashlib
import os
import tempfile
from pathlib import Path

from lutbench.errors import OutputError

CACHE_VARIABLE = "LUTBENCH_CACHE"


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
        descriptor, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".part", dir=path.parent)
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
        raise OutputError(
            f"cannot write: {error.strerror or error}", path=path, remedy="what was there before is unchanged"
        ) from error


def check_writable(path: Path) -> None:
    """OutputError when path could not be written at the end of a run; better known before it."""
    folder = path.parent
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise OutputError(
            f"cannot write there: {error.strerror or error}", path=path, remedy="give another -o"
        ) from error
    if path.is_dir():
        raise OutputError("is a folder, not a file", path=path, remedy="give -o a file name")


def file_sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
