"""Locks on what two runs must not share: a device of this machine, a journal, a folder that a run writes.

A lock is the system's, on a file (flock): it goes with the process, however that ends. Who holds it is written into the
file, for the refusal to say. Devices are the machine's, so their locks lie where all its users find them.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import re
import shlex
import stat
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from lutbench.errors import DeviceError, LutbenchError, OutputError

LOCKS_VARIABLE = "LUTBENCH_LOCKS"
FOLDER_LOCK = ".lutbench.lock"
_SHARED = Path("/tmp")  # not $TMPDIR, which each user may have of his own
_MODE = 0o644
_TIME = "%Y-%m-%d %H:%M:%S"
_MOST_SHOWN = 160  # characters of a command
_MOST_DIGITS = 12  # of a process number
_MOST_BYTES = 2000  # of a holder's own words


def locks_folder() -> Path:
    """The folder in which devices' locks lie: $LUTBENCH_LOCKS, or /tmp, which every user of a machine shares."""
    return Path(os.environ.get(LOCKS_VARIABLE) or _SHARED)


@contextmanager
def device_lock(lock_name: str, device: str) -> Iterator[None]:
    """Holds the device for this process; DeviceError at once where another process of any user holds it."""
    path = _made(locks_folder()) / f"lutbench-{lock_name}.lock"
    with _held(path, path, _refuse_device(device)):
        yield


@contextmanager
def folder_lock(folder: Path) -> Iterator[None]:
    """Holds a folder, which is made where it is not there; OutputError at once where another process holds it."""
    with _held(_made(folder) / FOLDER_LOCK, folder, _refuse_output):
        yield


def _made(folder: Path) -> Path:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"cannot be made: {error.strerror or error}", path=folder) from error
    return folder


def lock_open_file(descriptor: int, path: Path) -> None:
    """Holds an open file as long as it is open; OutputError at once where another process holds it."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        raise _refusal(error, descriptor, path, _refuse_output) from error


def _refuse_device(device: str) -> Any:
    def refuse(holder: str, _path: Path) -> LutbenchError:
        return DeviceError(
            f"another lutbench is measuring on this device ({holder})",
            device=device,
            remedy="two at once would disturb each other: wait for it or stop it",
        )

    return refuse


def _refuse_output(holder: str, path: Path) -> LutbenchError:
    return OutputError(
        f"another lutbench is writing there ({holder})", path=path, remedy="wait for it, stop it, or write elsewhere"
    )


@contextmanager
def _held(path: Path, shown: Path, refuse: Any) -> Iterator[None]:
    """shown: what an error names."""
    descriptor = _open(path)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise _refusal(error, descriptor, shown, refuse) from error
        _write_holder(descriptor)
        yield
    finally:
        os.close(descriptor)


def _open(path: Path) -> int:
    """The lock's file; another user's is opened for reading, which is enough to lock it.

    In a folder that everybody may write, a name may have been put there to do harm: a link is not followed, and what
    is no plain file, or has a second name, is refused. Nothing is ever written to another user's file.
    """
    flags = os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
    try:
        for _ in range(3):
            try:
                descriptor = os.open(path, os.O_RDONLY | flags)
            except FileNotFoundError:
                try:  # O_EXCL: systems refuse to open others' files in such a folder where they might be made
                    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | flags, _MODE)
                    os.fchmod(descriptor, _MODE)  # whatever the umask: others must be able to lock it
                except FileExistsError:
                    continue
            return _checked(descriptor, path)
    except OSError as error:
        reason = "is a symbolic link" if error.errno == errno.ELOOP else error.strerror or str(error)
        raise OutputError(f"cannot be used as a lock: {reason}", path=path, remedy=_elsewhere(path)) from error
    raise OutputError("cannot be used as a lock: it comes and goes", path=path, remedy=_elsewhere(path))


def _checked(descriptor: int, path: Path) -> int:
    state = os.fstat(descriptor)
    if not stat.S_ISREG(state.st_mode) or state.st_nlink > 1:
        os.close(descriptor)
        raise OutputError("cannot be used as a lock: it is no plain file", path=path, remedy=_elsewhere(path))
    if state.st_uid != os.geteuid():
        return descriptor
    writable = os.open(path, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
    own = os.fstat(writable)
    if (own.st_dev, own.st_ino) != (state.st_dev, state.st_ino):
        os.close(writable)
        return descriptor
    os.close(descriptor)
    return writable


def _elsewhere(path: Path) -> str:
    if path.name == FOLDER_LOCK:
        return "remove it, or write elsewhere"
    return f"remove it, or name another folder that all users share in ${LOCKS_VARIABLE}"


def _write_holder(descriptor: int) -> None:
    """Who holds the lock, in three lines, where the file is this user's; else the system alone can tell."""
    if fcntl.fcntl(descriptor, fcntl.F_GETFL) & os.O_ACCMODE == os.O_RDWR:
        command = shlex.join(_command(os.getpid()) or sys.argv)
        text = f"{os.getpid()}\n{time.strftime(_TIME)}\n{command}"
        with contextlib.suppress(OSError):  # a full disk: the lock holds without a name
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, text.encode(errors="replace")[:_MOST_BYTES], 0)


def _refusal(error: OSError, descriptor: int, path: Path, refuse: Any) -> LutbenchError:
    if error.errno != errno.EAGAIN:
        return OutputError(
            f"cannot be locked: {error.strerror or error}", path=path, remedy="a local file system can lock files"
        )
    found: LutbenchError = refuse(_holder(descriptor), path)
    return found


def _holder(descriptor: int) -> str:
    """Process, command and since when, as far as they can be known; without control characters."""
    pid = _locking_process(descriptor)
    said, since, command = _said(descriptor)
    if pid is not None and pid != said:
        since, command = _began(pid), shlex.join(_command(pid))
    elif pid is None and said is not None and not _lives(said):
        said = None
    holder = pid or said
    if holder is None:
        return "a process of another user or machine"
    parts = (f"process {holder}", command[:_MOST_SHOWN], f"since {since[:_MOST_SHOWN]}" if since else "")
    return re.sub(r"[\x00-\x1f\x7f-\x9f]", "?", ", ".join(part for part in parts if part))


def _said(descriptor: int) -> tuple[int | None, str, str]:
    """What the last holder wrote: process, since when, command; (None, "", "") where nobody did."""
    try:
        lines = os.pread(descriptor, _MOST_BYTES, 0).decode(errors="replace").split("\n", 2)
    except OSError:  # a journal, open for writing only
        return None, "", ""
    if len(lines) < 3 or not (lines[0].isascii() and lines[0].isdigit() and len(lines[0]) < _MOST_DIGITS):
        return None, "", ""
    return int(lines[0]), lines[1], lines[2]


def _locking_process(descriptor: int) -> int | None:
    """By Linux's list of locks; None where it does not say."""
    state = os.fstat(descriptor)
    place = f"{os.major(state.st_dev):02x}:{os.minor(state.st_dev):02x}:{state.st_ino}"
    try:
        lines = Path("/proc/locks").read_text().splitlines()
    except OSError:
        return None
    holders = [line.split() for line in lines if "->" not in line]
    found = [int(words[4]) for words in holders if len(words) > 5 and words[1] == "FLOCK" and words[5] == place]
    return found[0] if found and found[0] > 0 else None


def _command(pid: int) -> list[str]:
    try:
        data = Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return []
    return data.decode(errors="replace").rstrip("\0").split("\0")


def _began(pid: int) -> str:
    """When a process began, by Linux's count of ticks since the machine did."""
    try:
        ticks = int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19])
        booted = next(line for line in Path("/proc/stat").read_text().splitlines() if line.startswith("btime "))
    except (OSError, ValueError, IndexError, StopIteration):
        return ""
    began_s = int(booted.split()[1]) + ticks / os.sysconf("SC_CLK_TCK")
    return time.strftime(_TIME, time.localtime(began_s))


def _lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except PermissionError:
        return True
    except (OSError, OverflowError):
        return False
    return True
