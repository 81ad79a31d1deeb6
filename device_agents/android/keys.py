"""This machine's adb keys: its own, made on first use, readable by its user only, and the one adb may have."""

from __future__ import annotations

import contextlib
import os
import tempfile
from pathlib import Path
from typing import Any

from lutbench.errors import DeviceError

_PRIVATE_MODE = 0o600


def signers(folder: Path) -> list[Any]:
    """adb-shell signers, lutbench's own first: that is the key a phone is asked to trust."""
    from adb_shell.auth.sign_cryptography import CryptographySigner

    own = key_path(folder)
    if not own.exists():
        _make_key(own)
    own.chmod(_PRIVATE_MODE)
    try:
        found = [CryptographySigner(str(own))]
    except (OSError, ValueError, TypeError) as error:
        raise DeviceError(
            f"the adb key {own} cannot be read: {error}", remedy="delete it: a new one is made"
        ) from error
    adbs = Path.home() / ".android" / "adbkey"  # phones that this machine's adb may talk to trust this one already
    with contextlib.suppress(OSError, ValueError, TypeError):  # adb was never used here
        found.append(CryptographySigner(str(adbs)))
    return found


def key_path(folder: Path) -> Path:
    return folder / "adbkey"


def _make_key(path: Path) -> None:
    """Both halves are made aside and renamed, the private one last: nobody ever sees a part."""
    from adb_shell.auth.keygen import keygen

    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=path.parent, prefix=".adbkey") as aside:
            private = Path(aside) / path.name
            os.close(os.open(private, os.O_CREAT | os.O_EXCL | os.O_WRONLY, _PRIVATE_MODE))  # keygen keeps the mode
            keygen(str(private))
            _public(private).rename(_public(path))
            private.rename(path)
    except OSError as error:
        raise DeviceError(f"the adb key {path} cannot be written: {error.strerror or error}") from error


def _public(private: Path) -> Path:
    return private.with_name(private.name + ".pub")
