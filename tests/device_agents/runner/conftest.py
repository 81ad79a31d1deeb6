"""The runner built for this machine, once for all tests."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest
from filelock import FileLock

from lutbench.device_agents.runner.build import build_bundle
from lutbench.device_agents.runner.bundle import Bundle

REQUIRED = "LUTBENCH_REQUIRE_RUNNER"  # set where the compilers have to be there: tests fail instead of being skipped


def need(*programs: str) -> None:
    """Skips the test where a program is missing here, or fails it where REQUIRED says that it may not be."""
    missing = [program for program in programs if shutil.which(program) is None]
    if not missing:
        return
    reason = f"not installed: {', '.join(missing)}"
    if os.environ.get(REQUIRED):
        pytest.fail(f"{reason}, and {REQUIRED} is set")
    pytest.skip(reason)


@pytest.fixture(scope="session")
def runner_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One cache for every process of the test run: compiling takes a while."""
    base = tmp_path_factory.getbasetemp()
    shared = base.parent if os.environ.get("PYTEST_XDIST_WORKER") else base
    return shared / "runner-cache"


@pytest.fixture(scope="session")
def host_bundle(runner_cache: Path) -> Bundle:
    need("cmake", "make", "g++", "readelf")
    if not Path("/usr/include/nlohmann/json.hpp").exists():
        need("nlohmann-json3-dev")
    runner_cache.mkdir(exist_ok=True)
    with FileLock(runner_cache / "build.lock"):
        return build_bundle("host", cache=runner_cache)
