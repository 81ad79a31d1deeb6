"""Fixtures of the command line's tests."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from tests.cli.running import COMMAND
from tests.conftest import TINY_TOML


@pytest.fixture(scope="session")
def measured(tmp_path_factory: pytest.TempPathFactory, shared_cache: Path) -> Path:
    """A real LUT of the tiny space, measured on this machine by the real command."""
    folder = tmp_path_factory.mktemp("measured")
    (folder / "tiny.toml").write_text(TINY_TOML)
    environment = {
        **os.environ,
        "LUTBENCH_CACHE": str(shared_cache),
        "LUTBENCH_LOCKS": str(shared_cache),
        "LUTBENCH_CONFIG": str(folder),
    }
    arguments = ["profile", "--device", "host", "--space", "tiny.toml", "-o", "tiny.csv", "--max-rounds", "30"]
    done = subprocess.run(
        [*COMMAND, *arguments], capture_output=True, text=True, cwd=folder, env=environment, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "x (row - overhead)) over a net's operators" in done.stdout
    return folder / "tiny.csv"
