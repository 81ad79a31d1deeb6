"""What the shell of each Android release offers: the commands that it lists, and how the older ones behaved.

COMMANDS are AOSP's lists. Where no old toybox can be had, small scripts in `old` stand before the present one and do
what it did.
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path

HERE = Path(__file__).parent
RELEASES = ("7", "8", "9", "13")
# in every release beside the listed ones: the shell, and the system's own
ALWAYS = ("sh", "toybox", "getprop", "dumpsys")
# release -> those of its commands that behave otherwise than the present toybox's
OLD = {"7": ("tar", "date", "ps", "grep"), "8": ("tar", "grep"), "9": ("tar", "grep"), "13": ()}


def listed(release: str) -> frozenset[str]:
    """The commands that a release has, by AOSP's list, with the shell and the system's own."""
    lines = (HERE / "commands" / release).read_text().splitlines()
    names = (line.split(":", 1)[1].split() for line in lines if not line.startswith("#"))
    return frozenset(name for words in names for name in words) | frozenset(ALWAYS)


def fill_bin(
    folder: Path, release: str, available: Sequence[str], scripts: Path, shell: str = "/system/bin/sh"
) -> None:
    """A /system/bin of a release: its commands as links to `toybox` there, the old ones' scripts, and the system's.

    available: the commands that this toybox has; scripts: a folder of the system's own; shell: runs the scripts.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for name in sorted(listed(release) & set(available)):
        (folder / name).symlink_to("toybox")
    for path in (*(HERE / "old" / name for name in OLD[release]), *scripts.iterdir()):
        if path.name not in listed(release):
            continue
        target = folder / path.name
        target.unlink(missing_ok=True)
        target.write_text(path.read_text().replace("#!/system/bin/sh", f"#!{shell}", 1))
        shutil.copymode(path, target)
