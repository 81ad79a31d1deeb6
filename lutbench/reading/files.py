"""Opens regular files only, up to a size: a pipe does not hang, /dev/zero does not fill the memory."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from lutbench.errors import LutbenchError
from lutbench.reading.kinds import GIB, KIB, MIB, Kind

_CHUNK_BYTES = 1 << 20
_SPECIAL = {
    stat.S_IFDIR: "a folder",
    stat.S_IFIFO: "a pipe",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
    stat.S_IFSOCK: "a socket",
}


def open_regular(path: Path, kind: Kind) -> tuple[int, int]:
    """A file descriptor to read from, which the caller closes, and the size in bytes.

    The kind's error where it is no regular file, too large, or cannot be opened. What was checked is what is read: the
    file is looked at through its descriptor, and opening does not wait for a pipe's other end.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY)
    except (OSError, ValueError) as error:
        raise unreadable(path, kind, error) from None
    try:
        found = os.fstat(descriptor)
        if not stat.S_ISREG(found.st_mode):
            special = _SPECIAL.get(stat.S_IFMT(found.st_mode), "no file")
            raise kind.error(f"is {special}, not {kind.name}", path=path)
        if found.st_size > kind.largest_bytes:
            raise _too_large(path, kind)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor, found.st_size


def is_there(path: Path) -> bool:
    """Whether something is at path. True where that cannot be told: opening it then says why."""
    try:
        os.stat(path)  # noqa: PTH116 - Path.exists raises for some paths and not for others
    except (FileNotFoundError, NotADirectoryError):
        return False
    except (OSError, ValueError):
        return True
    return True


def check_there(path: Path, kind: Kind) -> None:
    """The kind's error where nothing is at path, or its name cannot be one; what is there is not looked at."""
    try:
        os.stat(path)  # noqa: PTH116 - as above
    except (OSError, ValueError) as error:
        raise unreadable(path, kind, error) from None


def check_regular(path: Path, kind: Kind) -> int:
    """The size in bytes of a file that a library will open by its path; the kind's error as from open_regular."""
    descriptor, size = open_regular(path, kind)
    os.close(descriptor)
    return size


def read_bytes(path: Path, kind: Kind) -> bytes:
    """The whole file; the kind's error where it cannot be read or holds more than the kind may."""
    descriptor, size = open_regular(path, kind)
    with os.fdopen(descriptor, "rb", buffering=0) as file:
        chunks, left = [], kind.largest_bytes + 1  # the system's own files say 0 and hold more; a file may grow
        try:
            while left > 0 and (chunk := file.read(min(left, max(_CHUNK_BYTES, size + 1)))):
                chunks.append(chunk)
                left -= len(chunk)
        except OSError as error:
            raise unreadable(path, kind, error) from None
    if left <= 0:
        raise _too_large(path, kind)
    return b"".join(chunks)


def unreadable(path: Path, kind: Kind, error: OSError | ValueError) -> LutbenchError:
    """The kind's error for what the system says of a path."""
    if isinstance(error, FileNotFoundError):
        return kind.error("no such file", path=path, remedy=kind.missing)
    if isinstance(error, IsADirectoryError):
        return kind.error(f"is a folder, not {kind.name}", path=path)
    if isinstance(error, OSError):
        return kind.error(f"cannot be read: {error.strerror or error}", path=path)
    return kind.error("cannot be a file's name", path=path)  # a zero byte, or half a character


def format_size(size: int) -> str:
    """256 MiB, as the limits are written."""
    unit, word = next((u, w) for u, w in ((GIB, "GiB"), (MIB, "MiB"), (KIB, "KiB"), (1, "bytes")) if size >= u)
    return f"{size // unit} {word}"


def _too_large(path: Path, kind: Kind) -> LutbenchError:
    return kind.error(f"is larger than {format_size(kind.largest_bytes)}, which {kind.name} never is", path=path)
