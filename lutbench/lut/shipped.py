"""The LUTs that come along, by their names: `s8` stands for s8.csv wherever a command takes a LUT.

Who installs with pip has no checkout, so the files travel in the package; a checkout has them in luts/ at its top.
"""

from __future__ import annotations

import re
from pathlib import Path

import lutbench
from lutbench.errors import LutError, UsageError

SHIPPED = ("iphonex", "s8")
OWN_FOLDER = Path("luts")  # where `profile` writes unless told otherwise
_PACKAGE = Path(lutbench.__file__).parent
_INSTALLED = _PACKAGE / "luts"
_CHECKOUT = _PACKAGE.parent / "luts"
_NAME = re.compile(r"[A-Za-z0-9][\w-]{0,199}")  # and what no file system has room for is a path, which says so


def find_lut(text: str) -> Path:
    """The file that a path or a name stands for; LutError where a name stands for none.

    A file that is there is taken as it is. A name (without folder and suffix) is a LUT of the folder luts/, where
    `profile` writes, or one that comes along. Everything else is a path, there or not.
    """
    path = Path(text)
    if not _NAME.fullmatch(text) or (path.exists() and not path.is_dir()):
        return path
    own = OWN_FOLDER / f"{text}.csv"
    if own.is_file():
        return own
    if text in SHIPPED:
        return shipped_folder() / f"{text}.csv"
    if path.is_dir():
        return path  # which says that it is a folder
    raise LutError(
        "no such file, and no LUT of that name",
        path=path,
        remedy=f"name a CSV file, one of {OWN_FOLDER}/, or one that comes along: {', '.join(SHIPPED)}",
    )


def shipped_folder() -> Path:
    """The folder in which the LUTs that come along lie: inside the installed package, or at the top of a checkout."""
    return _INSTALLED if _INSTALLED.is_dir() else _CHECKOUT


def check_own(path: Path) -> None:
    """UsageError for a LUT inside the installed package: what writes into a LUT needs one of the user's own."""
    if path.resolve().parent == _INSTALLED.resolve():
        raise UsageError("comes along and is not written to", path=path, remedy=f"copy it to {OWN_FOLDER}/ first")
