"""Fixtures of the command line's tests."""

from __future__ import annotations

import os
import subprocess
from functools import partial
from pathlib import Path

import pytest

from tests.cli.running import COMMAND
from tests.conftest import TINY_TOML, made_once


@pytest.fixture(scope="session")
def measured(run_folder: Path, shared_cache: Path, worker_locks: Path) -> Path:
    """A real LUT of the tiny space, measured on this machine by the real command."""
    return made_once(run_folder, "measured", partial(_measure, shared_cache, worker_locks)) / "tiny.csv"


def _measure(cache: Path, locks: Path, folder: Path) -> None:
    (folder / "tiny.toml").write_text(TINY_TOML)
    own = {"LUTBENCH_CACHE": str(cache), "LUTBENCH_LOCKS": str(locks), "LUTBENCH_CONFIG": str(folder)}
    environment = {**os.environ, **own}
    arguments = ["profile", "--device", "host", "--space", "tiny.toml", "-o", "tiny.csv", "--max-rounds", "30"]
    done = subprocess.run(
        [*COMMAND, *arguments], capture_output=True, text=True, cwd=folder, env=environment, timeout=280, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "x (row - overhead)) over a net's operators" in done.stdout
