"""A disk that fills up during a run: one line with status 2, what was done is kept, and the same command goes on."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from lutbench.lut.file import read_lut
from lutbench.space.architecture import Architecture, write_architecture
from lutbench.space.file import parse_space
from lutbench.space.sampling import random_nets
from tests.cli.running import START_TIMEOUT_S, run, started
from tests.conftest import TINY_TOML

DISK_MIB = 16


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A small file system of its own, with a space and a net on it."""
    folder = tmp_path / "disk"
    folder.mkdir()
    if os.geteuid() != 0 or shutil.which("mount") is None:
        pytest.skip("NOT TESTED: a full disk, for only root can mount a small file system")
    mount = ["mount", "-t", "tmpfs", "-o", f"size={DISK_MIB}m", "none", str(folder)]
    if (done := subprocess.run(mount, capture_output=True, text=True, check=False)).returncode:
        pytest.skip(f"NOT TESTED: a full disk, for none can be mounted here: {done.stderr.strip()}")
    try:
        (folder / "tiny.toml").write_text(TINY_TOML)
        (net,) = random_nets(parse_space(TINY_TOML, Path("tiny.toml")), 1, 0, "full")
        write_architecture(Architecture(net, {}, 0, TINY_TOML), folder / "net.json")
        yield folder
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


def fill(folder: Path) -> None:
    with (folder / "filler").open("wb", buffering=0) as file, contextlib.suppress(OSError):
        while file.write(b"\0" * 4096):
            pass


def filled(folder: Path, begun: Callable[[], bool], *command: str) -> str:
    """The line with which the command ends on a disk that is full since something had begun."""
    process = started(*command, cwd=folder)
    deadline = time.monotonic() + START_TIMEOUT_S
    while not begun() and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.005)
    assert process.poll() is None, process.communicate()
    fill(folder)
    output, errors = process.communicate(timeout=90)
    assert (process.returncode, output) == (2, ""), errors
    assert "Traceback" not in errors
    (line,) = [line for line in errors.splitlines() if line.startswith("lutbench: ")]
    assert "No space left on device" in line and "free some space" in line
    return line


def rounds(journal: Path) -> int:
    return journal.read_text().count('"end":') if journal.exists() else 0


def test_measuring(disk: Path) -> None:
    journal = disk / "out.journal" / "r1.jsonl"
    command = ("profile", "--space", "tiny.toml", "-o", "out.csv", "--max-rounds", "100", "--target", "0.0001")
    line = filled(disk, lambda: rounds(journal) > 1, *command)
    assert "the same command" in line
    kept = journal.read_bytes()
    whole = kept[: kept.rfind(b"\n") + 1]
    (disk / "filler").unlink()
    done = run(*command[:-4], "--max-rounds", "24", cwd=disk)
    assert done.returncode == 0, done.stderr
    assert "going on after" in done.stderr
    assert journal.read_bytes().startswith(whole)
    assert all(row.is_ok for row in read_lut(disk / "out.csv").rows)


def test_epochs(disk: Path) -> None:
    checkpoint = disk / "made" / "checkpoint.pt"
    command = ("train", "net.json", "-o", "made", "--epochs", "12", "--batch-size", "512")
    line = filled(disk, checkpoint.exists, *command)
    assert "the same command" in line
    (disk / "filler").unlink()
    done = run(*command, "--json", cwd=disk)
    assert done.returncode == 0, done.stderr
    epochs = [json.loads(line)["epoch"] for line in (disk / "made" / "metrics.jsonl").read_text().splitlines()]
    assert epochs == list(range(1, 13)) and json.loads(done.stdout)["epochs"] == 12
