"""Exports many subjects, what the cache lacks in worker processes: torch stays out of the process that measures."""

from __future__ import annotations

import logging
import multiprocessing
import os
import signal
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool

from lutbench.errors import ExportError
from lutbench.export.artifact import Artifact, Subject, subject_name
from lutbench.export.cache import ArtifactCache
from lutbench.export.exporters import EXPORTERS, Exporter

Result = tuple[Subject, Artifact | ExportError]


def export_all(subjects: Sequence[Subject], exporter: Exporter, dtype: str, cache: ArtifactCache) -> Iterator[Result]:
    """Every subject's artifact, or why it has none, as they come; cached ones first."""
    missing = []
    for subject in subjects:
        artifact = cache.get(exporter.recipe(subject, dtype), exporter.suffix)
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
    context = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(workers, mp_context=context, initializer=_prepare_worker)
    try:
        # the slowest first, so that no worker is left with a whole net at the end
        ordered = sorted(subjects, key=lambda subject: -subject.macs)
        futures: dict[Future[Artifact | ExportError], Subject] = {
            pool.submit(_export_one, exporter.runtime, dtype, subject, cache): subject for subject in ordered
        }
        for future in as_completed(futures):
            subject = futures[future]
            try:
                yield subject, future.result()
            except BrokenProcessPool:
                raise ExportError(
                    "a process that exports died, perhaps for lack of memory",
                    operator=subject_name(subject),
                    remedy="what was exported is kept; run the same command again",
                ) from None
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _prepare_worker() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's to handle, even while torch loads
    import torch

    logging.disable(logging.WARNING)  # the quantizer's advice on pre-processing, once per artifact
    torch.set_num_threads(1)


def _export_one(runtime: str, dtype: str, subject: Subject, cache: ArtifactCache) -> Artifact | ExportError:
    exporter = EXPORTERS[runtime]
    try:
        exported = exporter.load()(subject, dtype)
    except ExportError as error:
        return error
    return cache.put(exporter.recipe(subject, dtype), exporter.suffix, exported)
