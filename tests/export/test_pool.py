"""The pool of export workers: a death costs at most the workload that brought it about."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from lutbench.children import Child
from lutbench.errors import ExportError, LutbenchError, OutputError
from lutbench.events import Note
from lutbench.export import pool
from lutbench.export.artifact import Artifact, Exported
from lutbench.export.cache import ArtifactCache
from lutbench.export.exporters import Exporter, find_exporter
from lutbench.private import executorch_speed
from lutbench.space.factory import FactoryNet
from lutbench.space.operator import Operator, parse_operator

OPERATORS = [parse_operator(f"fc_{width}_10") for width in range(16, 40)]


def put(exporter: Exporter, dtype: str, workload: Operator, cache: ArtifactCache) -> Artifact | ExportError:
    return cache.put(exporter.recipe(workload, dtype), exporter.suffix, Exported(b"artifact", 0.0))


def killed_now_and_then(killed: Path, *arguments: object) -> Artifact | ExportError:
    """As by a system that is short of memory: three workers, whatever they do."""
    marks = len(list(killed.iterdir()))
    if marks < 3:
        (killed / str(os.getpid())).touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return put(*arguments)  # type: ignore[arg-type]


def kills_its_worker(*arguments: object) -> Artifact | ExportError:
    if arguments[2] in (OPERATORS[3], OPERATORS[7]):
        os.kill(os.getpid(), signal.SIGSEGV)
    return put(*arguments)  # type: ignore[arg-type]


def cannot_keep(*_: object) -> Artifact | ExportError:
    raise OutputError("cannot write: No space left on device")


@pytest.fixture
def export_all(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[..., dict[Operator, object]]:
    monkeypatch.setattr(pool, "_prepare_worker", int)  # no torch: what is exported here is made up
    monkeypatch.setattr(os, "cpu_count", lambda: 3)

    def run(export: object, told: list[object]) -> dict[Operator, object]:
        monkeypatch.setattr(pool, "_export_one", export)
        found = pool.export_all(OPERATORS, find_exporter("onnx", "int8"), "int8", ArtifactCache(tmp_path), told.append)
        return dict(found)  # type: ignore[arg-type]

    return run


def test_killed_workers_cost_nothing_and_the_pool_gets_smaller(
    export_all: Callable[..., dict[Operator, object]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    started: list[object] = []
    real = pool.Child
    monkeypatch.setattr(pool, "Child", lambda *arguments: started.append(1) or real(*arguments))
    (tmp_path / "killed").mkdir()
    told: list[Note] = []
    found = export_all(partial(killed_now_and_then, tmp_path / "killed"), told)
    assert set(found) == set(OPERATORS)
    assert all(isinstance(result, Artifact) for result in found.values())
    assert 3 <= len(told) <= 5 and all(note.warning for note in told)
    assert "signal 9, as the system does where memory runs out" in told[0].text
    assert told[0].text.endswith("going on with 2 export workers")
    assert told[-1].text.endswith("going on with 1 export worker")
    assert len(started) <= 8  # and not one for every workload that is left


def test_what_kills_its_worker_costs_itself(export_all: Callable[..., dict[Operator, object]]) -> None:
    found = export_all(kills_its_worker, [])
    failed = {workload for workload, result in found.items() if isinstance(result, ExportError)}
    assert failed == {OPERATORS[3], OPERATORS[7]} and len(found) == len(OPERATORS)


def notes_its_process(*arguments: object) -> Artifact | ExportError:
    exporter, dtype, workload, cache = arguments
    assert isinstance(exporter, Exporter) and isinstance(cache, ArtifactCache)
    return cache.put(exporter.recipe(workload, str(dtype)), ".onnx", Exported(str(os.getpid()).encode(), 0.0))  # type: ignore[arg-type]


def test_a_users_code_has_a_process_that_nothing_else_is_exported_in(
    export_all: Callable[..., dict[Operator, object]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It may have changed torch's defaults, the folder, the streams: what others rely on."""
    factories = [FactoryNet(f"m:f{number}", f"m:f{number}") for number in range(4)]
    monkeypatch.setattr("tests.export.test_pool.OPERATORS", [*factories, *OPERATORS])
    found = export_all(notes_its_process, [])
    by_net = {net: result.path.read_text() for net, result in found.items() if isinstance(result, Artifact)}
    own = [by_net[net] for net in factories]  # type: ignore[index]
    others = {process for net, process in by_net.items() if net not in factories}
    assert len(by_net) == len(OPERATORS) and len(set(own)) == 4 and not others & set(own) and len(others) <= 3


kept: list[bytes] = []


def keeps_what_it_exports(*arguments: object) -> Artifact | ExportError:
    kept.append(bytes(64 << 20).replace(b"\0", b"1"))  # memory that is written to is the process's own
    return notes_its_process(*arguments)


def test_a_worker_that_has_grown_is_replaced(
    export_all: Callable[..., dict[Operator, object]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pool, "MOST_GROWTH_BYTES", 160 << 20)
    told: list[Note] = []
    found = export_all(keeps_what_it_exports, told)
    processes = [result.path.read_text() for result in found.values() if isinstance(result, Artifact)]
    assert len(processes) == len(OPERATORS) and not told
    assert max(processes.count(process) for process in processes) == 3


def test_a_cache_that_cannot_be_written_ends_it(export_all: Callable[..., dict[Operator, object]]) -> None:
    with pytest.raises(LutbenchError, match="No space left"):
        export_all(cannot_keep, [])


def test_a_cache_folder_that_cannot_be_is_known_first(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setattr(pool, "Child", None)
    with pytest.raises(OutputError, match="LUTBENCH_CACHE names another"):
        list(pool.export_all(OPERATORS, find_exporter("onnx", "int8"), "int8", ArtifactCache(tmp_path / "file")))


def says_whether_it_is_fast(*_: object) -> ExportError:
    return ExportError(" ".join(("fast:", str(executorch_speed._allowed))))


def test_a_worker_exports_with_the_remedies_for_speed_and_this_process_does_not() -> None:
    """Without them an export for ExecuTorch is right, and takes two to five times as long, which nothing else shows."""
    worker = Child(pool._serve, pool._prepare_worker, says_whether_it_is_fast, None, "int8", None, 1 << 40)
    try:
        worker.connection.send(OPERATORS[0])
        result, has_grown = worker.connection.recv()
        assert result.problem == "fast: True" and not has_grown
    finally:
        worker.kill()
    assert not executorch_speed._allowed


def test_bars_of_a_worker_leave_no_semaphore_behind() -> None:
    """A worker is killed when its work is done; Python would tell the user of a semaphore that it had."""
    code = (
        "from multiprocessing import resource_tracker as tracker, set_start_method\n"
        "set_start_method('spawn')\n"
        "from lutbench.export import pool\n"
        "pool._prepare_worker()\n"
        "from tqdm import tqdm\n"
        "list(tqdm([1], disable=True)), list(tqdm([1]))\n"
        "assert tracker._resource_tracker._fd is None\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
