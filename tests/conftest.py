"""Fixtures: a cache of its own, a tiny space, and a device whose nets are exactly as slow as a rule says."""

from __future__ import annotations

import itertools
import multiprocessing
import multiprocessing.process
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from filelock import FileLock

from lutbench.device_agents.agent import AgentSettings
from lutbench.device_agents.fake import FakeAgent
from lutbench.device_agents.registry import Device
from lutbench.space.find import find_spaces
from lutbench.space.macro import Space
from lutbench.space.net import net_of_key
from lutbench.space.operator import OVERHEAD, parse_operator
from tests.tiers import IS_QUICK, TESTS, begins_first, is_left_out, is_slow, set_examples

TINY_TOML = """\
name = "tiny"
resolution = 32
classes = 10
candidates = ["k3_e1", "k3_e2_g2", "k5_e2", "skip"]

[stem]
channels = 8

[[stage]]
channels = 8
layers = 2

[[stage]]
channels = 16
layers = 2
stride = 2

[head]
channels = 32
"""


_TESTS_RUN = itertools.count()
set_examples()


def pytest_ignore_collect(collection_path: Path) -> bool | None:
    """Quick tests do not even import the files that are left out: those load every runtime."""
    return True if IS_QUICK and collection_path.is_file() and is_slow(collection_path) else None


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: not begins_first(item.path))
    for item in items:
        if is_slow(item.path, item.name):
            item.add_marker(pytest.mark.slow)
        if is_left_out(item.path, item.name):
            item.add_marker(pytest.mark.skip("takes long: LUTBENCH_LONG=1 runs it"))


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int:
    """One worker more than there are cores: some tests mostly wait."""
    return (os.cpu_count() or 1) + 1


@pytest.fixture(scope="session")
def run_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One folder for the whole run, which all its worker processes share."""
    own = tmp_path_factory.getbasetemp()
    return own.parent if "PYTEST_XDIST_WORKER" in os.environ else own


@pytest.fixture(scope="session")
def shared_cache(run_folder: Path) -> Path:
    """One artifact cache for the whole run, so that each artifact is exported once."""
    path = run_folder / "cache"
    path.mkdir(exist_ok=True)
    return path


@pytest.fixture(scope="session")
def worker_locks(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where devices are held: a folder of each worker's own, for tests measure beside each other."""
    return tmp_path_factory.mktemp("locks")


def made_once(run_folder: Path, name: str, make: Callable[[Path], None]) -> Path:
    """A folder of the whole run that the first of its workers who needs it fills; the others wait."""
    folder, done = run_folder / name, run_folder / f"{name}.done"
    with FileLock(run_folder / f"{name}.lock"):
        if not done.exists():
            shutil.rmtree(folder, ignore_errors=True)  # of a worker whose test ended halfway
            folder.mkdir()
            make(folder)
            done.touch()
    return folder


LeftBehind = Callable[[], set[multiprocessing.process.BaseProcess]]


@pytest.fixture
def left_behind() -> LeftBehind:
    """What tells this process's children that were not there before; export workers go on from test to test."""
    before = set(multiprocessing.active_children())
    return lambda: set(multiprocessing.active_children()) - before


@pytest.fixture(autouse=True)
def own_folders(monkeypatch: pytest.MonkeyPatch, shared_cache: Path, worker_locks: Path) -> None:
    """No test reads or writes the user's cache or configuration; each has a configuration of its own, not there yet."""
    monkeypatch.setenv("LUTBENCH_CACHE", str(shared_cache))
    monkeypatch.setenv("LUTBENCH_LOCKS", str(worker_locks))
    monkeypatch.setenv("LUTBENCH_CONFIG", str(worker_locks / f"config{next(_TESTS_RUN)}"))
    monkeypatch.setenv("USBMUXD_SOCKET_ADDRESS", "UNIX:/nowhere/usbmuxd")  # nor asks what is plugged into this machine


@pytest.fixture(autouse=True)
def kept_export_workers(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> None:
    """Export workers go on from test to test, but where tests are about starting and ending them."""
    if not IS_QUICK and request.path != TESTS / "export" / "test_pool.py":
        from lutbench.export import pool
        from tests.export.kept_workers import KeptWorkers

        monkeypatch.setattr(pool, "_Workers", KeptWorkers)


def pytest_sessionfinish() -> None:
    if "tests.export.kept_workers" in sys.modules:
        sys.modules["tests.export.kept_workers"].end_kept()


@pytest.fixture(autouse=True)
def no_process_in_a_quick_test(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> None:
    """`make test-quick` fails a test that starts a process and is not marked slow; exports run in processes."""
    if IS_QUICK and "slow" not in request.keywords:

        def refused(*_arguments: object, **_keywords: object) -> None:
            pytest.fail("starts a process: mark it slow")

        monkeypatch.setattr(subprocess.Popen, "__init__", refused)
        monkeypatch.setattr(multiprocessing.process.BaseProcess, "start", refused)


@pytest.fixture
def tiny_file(tmp_path: Path) -> Path:
    path = tmp_path / "tiny.toml"
    path.write_text(TINY_TOML)
    return path


CHOOSING_TOML = """\
name = "choosing"
resolutions = [16, 24, 32]
classes = 10
candidates = ["k{3,5}_e{0.75..2.25..0.75}_{relu,hswish}{,_se0.25}", "skip"]

[stem]
channels = 8
activation = "hswish"

[[stage]]
channels = [8, 16]
block = "k3_e0_hswish"

[[stage]]
channels = "8..16..4"
layers = 2

[[stage]]
channels = [16, 24]
layers = 2
stride = 2

[[stage]]
channels = 24

[[head]]
block = "conv_k1_hswish"
channels = 32

[[head]]
block = "pool_map"

[[head]]
block = "conv_k1_hswish_biased"
channels = 40

[[head]]
block = "fc"
"""


@pytest.fixture
def tiny(tiny_file: Path) -> Space:
    (space,), _ = find_spaces(str(tiny_file), (), (1.0,))
    return space


@pytest.fixture
def host() -> Device:
    return Device("host", "host", Path("luts/host.csv"), "this machine")


OVERHEAD_NS = 3_000


def operator_ns(name: str) -> int:
    """A made-up device: an overhead, and a nanosecond per 50 multiply-accumulates or 20 inputs."""
    operator = parse_operator(name)
    if operator == OVERHEAD:
        return OVERHEAD_NS
    return OVERHEAD_NS + operator.macs // 50 + operator.c_in * operator.h_in * operator.w_in // 20 + 500


@pytest.fixture
def additive_device(tiny: Space) -> Callable[..., Callable[[Device, AgentSettings], FakeAgent]]:
    """Makes an open_device whose nets take overhead + scale x the sum of their operators' work, nanoseconds."""

    def make(scale: float = 1.0, slower: float = 1.0, **arguments: object) -> Callable[..., FakeAgent]:
        def script(artifact: str, _depth: int, invocation: int) -> int:
            wobble = 1 + 0.002 * ((invocation * 7919) % 11 - 5) / 5  # +-0.2 %, the same in every run
            if ":" not in artifact:
                return round(operator_ns(artifact) * slower * wobble)
            work = sum(operator_ns(op.name) - OVERHEAD_NS for op in net_of_key(artifact, [tiny]).operators)
            return round((OVERHEAD_NS + scale * work) * slower * wobble)

        def open_device(device: Device, settings: AgentSettings) -> FakeAgent:
            del device, settings
            return FakeAgent(script, **arguments)  # type: ignore[arg-type]

        return open_device

    return make


@pytest.fixture
def quiet_report() -> Iterator[Callable[[object], None]]:
    """A report that keeps nothing."""
    yield lambda _event: None
