"""Exports many subjects, what the cache lacks in worker processes: torch stays out of the process that measures."""

from __future__ import annotations

import contextlib
import logging
import math
import multiprocessing
import os
import signal
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool

from lutbench.errors import ExportError
from lutbench.export.artifact import Artifact, Subject, subject_name
from lutbench.export.cache import ArtifactCache
from lutbench.export.exporters import Exporter
from lutbench.space.factory import FactoryNet

Result = tuple[Subject, Artifact | ExportError]


def export_all(subjects: Sequence[Subject], exporter: Exporter, dtype: str, cache: ArtifactCache) -> Iterator[Result]:
    """Every subject's artifact, or why it has none, as they come; cached ones first.

    A factory's net is exported each time: the code behind its name may have changed.
    """
    missing = []
    for subject in subjects:
        known = not isinstance(subject, FactoryNet)
        artifact = cache.get(exporter.recipe(subject, dtype), exporter.suffix) if known else None
        if artifact is None:
            missing.append(subject)
        else:
            yield subject, artifact
    if missing:
        yield from _export_missing(missing, exporter, dtype, cache)


def _export_missing(
    subjects: Sequence[Subject], exporter: Exporter, dtype: str, cache: ArtifactCache
) -> Iterator[Result]:
    workers = min(os.cpu_count() or 1, 4, len(subjects))
    pool = _pool(workers)
    try:
        # the slowest first, so that no worker is left with a whole net at the end
        ordered = sorted(subjects, key=_work, reverse=True)
        futures: dict[Future[Artifact | ExportError], Subject] = {
            pool.submit(_export_one, exporter, dtype, subject, cache): subject for subject in ordered
        }
        left = dict.fromkeys(ordered)
        for future in as_completed(futures):
            with contextlib.suppress(BrokenProcessPool):
                yield futures[future], future.result()
                del left[futures[future]]
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
    for subject in left:  # a worker died and took the pool along: one of these did it
        yield subject, _export_alone(subject, exporter, dtype, cache)


def _export_alone(subject: Subject, exporter: Exporter, dtype: str, cache: ArtifactCache) -> Artifact | ExportError:
    """In a process of its own, so that one that kills it costs itself and nothing else."""
    with _pool(1) as pool:
        try:
            return pool.submit(_export_one, exporter, dtype, subject, cache).result()
        except BrokenProcessPool:
            return ExportError("the process that exports it died", operator=subject_name(subject))


def _pool(workers: int) -> ProcessPoolExecutor:
    return ProcessPoolExecutor(workers, mp_context=multiprocessing.get_context("spawn"), initializer=_prepare_worker)


def _work(subject: Subject) -> float:
    return math.inf if isinstance(subject, FactoryNet) else subject.macs


def _prepare_worker() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's to handle, even while torch loads
    import torch

    logging.disable(logging.WARNING)  # the quantizer's advice on pre-processing, once per artifact
    torch.set_num_threads(1)


def _export_one(exporter: Exporter, dtype: str, subject: Subject, cache: ArtifactCache) -> Artifact | ExportError:
    try:
        exported = exporter.export(subject, dtype)
    except ExportError as error:
        return error
    return cache.put(exporter.recipe(subject, dtype), exporter.suffix, exported)
