"""Exports many workloads, what the cache lacks in worker processes: torch stays out of the process that measures."""

from __future__ import annotations

import contextlib
import logging
import math
import os
import resource
import sys
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from multiprocessing.connection import Connection, wait
from pathlib import Path

from lutbench.children import Child
from lutbench.closing import Closing
from lutbench.errors import ExportError, LutbenchError, UsageError, told
from lutbench.events import Event, Note, Report
from lutbench.export.artifact import Artifact
from lutbench.export.cache import ArtifactCache
from lutbench.export.exporters import Exporter
from lutbench.private import executorch_speed
from lutbench.space.factory import FactoryNet
from lutbench.space.workload import Workload, is_own_code, workload_name

Result = tuple[Workload, Artifact | ExportError]
Exporting = Callable[[Exporter, str, Workload, ArtifactCache], Artifact | ExportError]
MOST_WORKERS = 4
# Caches inside torch and ExecuTorch keep whole nets, their weights and graphs: a worker grew by up to 80 MB with each.
# One that has grown by more than this since it began is replaced, which takes seconds.
MOST_GROWTH_BYTES = 1_500_000_000


def _unheard(_event: Event) -> None:
    pass


def export_all(
    workloads: Sequence[Workload], exporter: Exporter, dtype: str, cache: ArtifactCache, report: Report = _unheard
) -> Iterator[Result]:
    """Every workload's artifact, or why it has none, as they come; cached ones first.

    What a user's code makes is exported each time: the code behind its name may have changed.
    """
    missing = []
    for workload in workloads:
        known = not is_own_code(workload)
        artifact = cache.get(exporter.recipe(workload, dtype), exporter.suffix) if known else None
        if artifact is None:
            missing.append(workload)
        else:
            yield workload, artifact
    if missing:
        yield from _export_missing(missing, exporter, dtype, cache, report)


def _export_missing(
    workloads: Sequence[Workload], exporter: Exporter, dtype: str, cache: ArtifactCache, report: Report
) -> Iterator[Result]:
    cache.check_writable()
    # the slowest first, so that no worker is left with a whole net at the end
    ordered = sorted(workloads, key=_work, reverse=True)
    suspects: list[Workload] = []
    size = min(os.cpu_count() or 1, MOST_WORKERS, len(workloads))
    with _Workers(size, exporter, dtype, cache, report) as workers:
        for workload, result in workers.run(ordered):
            if result is None:
                suspects.append(workload)
            else:
                yield workload, result
    if not suspects:
        return
    # each alone, so that one that kills its worker costs itself, and one that died for want of memory has more
    with _Workers(1, exporter, dtype, cache, _unheard) as workers:
        for workload, result in workers.run(suspects):
            died = ExportError("the process that exports it died, twice", operator=workload_name(workload))
            yield workload, died if result is None else result


class _Workers(Closing):
    """Processes that export, each with at most one workload at a time, so that it is known whose worker died.

    After a death there is one fewer, for most often the system killed it for want of memory, but never none.
    """

    def __init__(self, size: int, exporter: Exporter, dtype: str, cache: ArtifactCache, report: Report) -> None:
        self._size = size
        self._arguments = (_prepare_worker, _export_one, exporter, dtype, cache, MOST_GROWTH_BYTES)
        self._report = report
        self._idle: list[Child] = []
        self._busy: dict[Connection, tuple[Child, Workload]] = {}

    def close(self) -> None:
        for child in (*self._idle, *(child for child, _ in self._busy.values())):
            child.kill()

    def run(self, workloads: Sequence[Workload]) -> Iterator[tuple[Workload, Artifact | ExportError | None]]:
        """Each workload's result as it comes; None where its worker died."""
        waiting = deque(workloads)
        while waiting or self._busy:
            while waiting and len(self._busy) < self._size:
                self._give(waiting.popleft())
            for ready in wait(list(self._busy)):
                assert isinstance(ready, Connection)
                child, workload = self._busy.pop(ready)
                yield workload, self._result(child, workload)

    def _give(self, workload: Workload) -> None:
        child = self._idle.pop() if self._idle else Child(_serve, *self._arguments)
        self._busy[child.connection] = child, workload
        with contextlib.suppress(OSError):  # one that died while it was idle: its pipe says so where results are read
            child.connection.send(workload)

    def _result(self, child: Child, workload: Workload) -> Artifact | ExportError | None:
        try:
            result: Artifact | LutbenchError
            result, has_grown = child.connection.recv()
        except (EOFError, OSError):
            self._lose(child)
            return None
        # a user's code may have changed what others rely on: torch's defaults, streams
        if has_grown or isinstance(workload, FactoryNet):
            child.kill()
        else:
            self._idle.append(child)
        if isinstance(result, LutbenchError) and not isinstance(result, ExportError):
            raise result  # the cache cannot be written: no other worker would fare better
        return result

    def _lose(self, child: Child) -> None:
        how = child.death()
        child.kill()
        self._size = max(1, self._size - 1)
        for other in self._idle[self._size :]:
            other.kill()
        del self._idle[self._size :]
        memory = ", as the system does where memory runs out" if how == "signal 9" else ""
        left = f"{self._size} export worker{'s' if self._size > 1 else ''}"
        self._report(Note(f"an export worker died ({how}{memory}): going on with {left}", warning=True))


def _work(workload: Workload) -> float:
    return math.inf if isinstance(workload, FactoryNet) or is_own_code(workload) else workload.macs


def _serve(
    connection: Connection,
    prepare: Callable[[], object],
    export: Exporting,
    exporter: Exporter,
    dtype: str,
    cache: ArtifactCache,
    most_growth_bytes: int,
) -> None:
    """What a worker does until it is killed: gives each result, and whether the process has grown too large."""
    prepare()
    begun_bytes = _memory_bytes()
    while True:
        workload = connection.recv()
        try:
            result: Artifact | LutbenchError = export(exporter, dtype, workload, cache)
        except LutbenchError as error:
            result = error
        connection.send((result, _memory_bytes() - begun_bytes > most_growth_bytes))


def _memory_bytes() -> int:
    """How much memory this process has; where the system does not say, the most that it has had."""
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[1])
    except OSError:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    return pages * resource.getpagesize()


def _prepare_worker() -> None:
    import torch

    # standard output is the command's: what a user's module prints goes to standard error, and what torch's C++ dumps
    # of a graph that it cannot export goes nowhere, for the row says why in a line
    sys.stdout = sys.stderr
    with contextlib.suppress(OSError), Path(os.devnull).open("w") as nowhere:
        os.dup2(nowhere.fileno(), 1)
    logging.disable(logging.WARNING)  # the quantizer's advice on pre-processing, once per artifact
    torch.set_num_threads(1)
    executorch_speed.allow()
    _give_bars_a_lock()


def _give_bars_a_lock() -> None:
    """Keeps tqdm, whose bars torch's passes make, from a lock over processes.

    That is a semaphore of the system, and Python tells the user of each that was left when a worker is killed.
    """
    with contextlib.suppress(ModuleNotFoundError):
        from tqdm import tqdm

        tqdm.set_lock(threading.RLock())


def _export_one(exporter: Exporter, dtype: str, workload: Workload, cache: ArtifactCache) -> Artifact | ExportError:
    try:
        exported = exporter.export(workload, dtype)
    except ExportError as error:
        return error
    except UsageError as error:  # a user's own factory: it costs its net
        return ExportError(error.problem, operator=workload_name(workload), remedy=error.remedy)
    except BaseException as error:  # noqa: BLE001 - a user's module, or a library on its way, may raise anything
        return ExportError(f"export failed: {told(error)}", operator=workload_name(workload))
    return cache.put(exporter.recipe(workload, dtype), exporter.suffix, exported)
