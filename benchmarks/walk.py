"""The walk of somebody new, timed: from a clone to a net that was found with this machine's own LUT, as int8, benched.

    python benchmarks/walk.py [--installed] [--folder FOLDER]

The commands are those of docs/tutorials/lut-to-int8.md, in an empty folder and with an empty cache. The package is
installed from a clone of this repository into a new environment first, as the README says; --installed leaves that out
and takes the environment that runs this. Exit status 1 where a command fails.
"""

from __future__ import annotations

import argparse
import os
import re
import shlex
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from _machine import machine

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "tutorials" / "lut-to-int8.md"


@dataclass(frozen=True)
class Timed:
    command: str
    took_s: float


def timed(words: list[str], folder: Path, environment: dict[str, str]) -> Timed:
    """Runs one command; SystemExit with its output where it fails."""
    began = time.monotonic()
    done = subprocess.run(words, cwd=folder, env=environment, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(
            f"{shlex.join(words)}: exit status {done.returncode}\n{done.stdout[-2000:]}{done.stderr[-2000:]}"
        )
    found = Timed(shlex.join([Path(words[0]).name, *words[1:]]), time.monotonic() - began)
    print(f"{found.took_s:6.1f} s  {found.command}", file=sys.stderr, flush=True)
    return found


def installed(folder: Path, environment: dict[str, str]) -> tuple[list[Timed], Path]:
    """Clones and installs as the README says; returns what that took, and the folder of the commands."""
    clone, venv = folder / "lutbench", folder / "lutbench" / ".venv"
    steps = [
        timed(["git", "clone", "--quiet", str(ROOT), str(clone)], folder, environment),
        timed([sys.executable, "-m", "venv", str(venv)], clone, environment),
        timed([str(venv / "bin" / "pip"), "install", "-q", "-c", "constraints.txt", "."], clone, environment),
    ]
    return steps, venv / "bin"


def page_commands() -> list[list[str]]:
    """The tutorial's commands, as words."""
    return [shlex.split(line) for line in re.findall(r"^\$ (lutbench .*)$", PAGE.read_text(), re.MULTILINE)]


def walk(folder: Path, is_installed: bool) -> list[Timed]:
    environment = {**os.environ, "LUTBENCH_CACHE": str(folder / "cache"), "LUTBENCH_CONFIG": str(folder / "config")}
    steps, programs = ([], Path(sys.executable).parent) if is_installed else installed(folder, environment)
    empty = folder / "walk"
    empty.mkdir()
    return [*steps, *(timed([str(programs / words[0]), *words[1:]], empty, environment) for words in page_commands())]


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--installed", action="store_true", help="take this environment, and time the commands alone")
    parser.add_argument("--folder", type=Path, help="walk in this empty folder, and keep what comes out")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = (arguments.folder or Path(temporary)).resolve()
        folder.mkdir(parents=True, exist_ok=True)
        steps = walk(folder, arguments.installed)
    print(f"{machine()}\n\n| step | seconds |\n|---|---|")
    for step in steps:
        print(f"| `{step.command}` | {step.took_s:.0f} |")
    print(f"| together | {sum(step.took_s for step in steps):.0f} |")


if __name__ == "__main__":
    main()
