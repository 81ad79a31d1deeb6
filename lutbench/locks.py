"""One measuring run per device at a time."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from lutbench.errors import DeviceError, OutputError


@contextmanager
def device_lock(folder: Path, lock_name: str, device: str) -> Iterator[None]:
    """Holds the device for this process; DeviceError at once where another process holds it.

    The lock is the system's: it goes with the process, however that ends.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = FileLock(folder / f"{lock_name}.lock")
        lock.acquire(timeout=0)
    except Timeout:
        raise DeviceError(
            "another lutbench is measuring on this device",
            device=device,
            remedy="two at once would disturb each other: wait for it or stop it",
        ) from None
    except OSError as error:
        raise OutputError(f"cannot write the lock: {error.strerror or error}", path=folder) from error
    try:
        yield
    finally:
        lock.release()
