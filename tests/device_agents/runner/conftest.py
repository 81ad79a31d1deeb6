"""The runner built for this machine, once for all tests."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest
from filelock import FileLock

from lutbench.device_agents.runner.build import build_bundle
from lutbench.device_agents.runner.bundle import Bundle
from lutbench.device_agents.runner.job import RunnerArtifact, RunnerJob
from lutbench.export.artifact import Artifact
from lutbench.export.cache import ArtifactCache
from lutbench.export.exporters import find_exporter
from lutbench.export.pool import export_all
from lutbench.space.operator import parse_operator
from tests.device_agents.runner.phone import BATCH, ENGINES, NAMES, Phone

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
def runner_cache() -> Path:
    """One cache for every test run of this machine: compiling takes a while. What decides the bytes is in its key."""
    return Path(tempfile.gettempdir()) / "lutbench-phone-runner"


@pytest.fixture(scope="session")
def host_bundle(runner_cache: Path) -> Bundle:
    need("cmake", "make", "g++", "readelf")
    if not Path("/usr/include/nlohmann/json.hpp").exists():
        need("nlohmann-json3-dev")
    runner_cache.mkdir(exist_ok=True)
    with FileLock(runner_cache.with_suffix(".build.lock")):
        return build_bundle("host", cache=runner_cache)


@pytest.fixture(scope="session")
def artifacts(shared_cache: Path) -> dict[str, dict[str, Artifact]]:
    """Engine -> name -> a real int8 artifact."""
    operators = [parse_operator(name) for name in NAMES]
    found: dict[str, dict[str, Artifact]] = {}
    for engine in ENGINES:
        results = export_all(operators, find_exporter(engine, "int8"), "int8", ArtifactCache(shared_cache))
        found[engine] = {a.name: a for _, a in results if isinstance(a, Artifact)}
    return found


@pytest.fixture
def phone_of(host_bundle: Bundle, artifacts: dict[str, dict[str, Artifact]], tmp_path: Path) -> Callable[[str], Phone]:
    def make(engine: str) -> Phone:
        given = tuple(RunnerArtifact(a.name, str(a.path), a.sha256) for a in artifacts[engine].values())
        library = host_bundle.library(engine, str(host_bundle.folder))
        return Phone(host_bundle, RunnerJob("n1", engine, 1, given, library, batch=BATCH), tmp_path)

    return make


@pytest.fixture
def phone(phone_of: Callable[[str], Phone]) -> Phone:
    return phone_of("onnx")
