"""Where nets are scored under a supernet: in this process, or in several beside each other."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

from lutbench.events import Event, Report, StepProgress

if TYPE_CHECKING:
    from lutbench.search.derive import Ranking
    from lutbench.search.hardware import Hardware
    from lutbench.search.scorers import Scorers


@contextmanager
def scorers_for(ranking: Ranking, hardware: Hardware, threads: int | None, nets: int) -> Iterator[Scorers | None]:
    """Processes that score so many nets, None where this one does.

    Either way each net is scored by one thread where images are small, so that scores are the same to the last bit.

    threads: None for one a core.
    """
    from lutbench.search.hardware import SMALL_MAPS
    from lutbench.search.scorers import Scorers, processes_for

    resolution = ranking.data.resolution
    if resolution <= SMALL_MAPS:
        hardware.set_threads(1, resolution)
    size = processes_for(hardware, threads, resolution, nets)
    if size == 1 or ranking.scores is None:
        yield None
        return
    ranking.batches()  # the images are made once, before there are several processes
    with Scorers(size, ranking.judge, ranking.scores) as scorers:
        yield scorers


class Counted:
    """Steps of several stages that run beside each other, reported as one.

    total: of all stages.
    """

    def __init__(self, stage: str, total: int, report: Report) -> None:
        self._stage, self._total, self._report = stage, total, report
        self._done: dict[str, int] = {}
        self._lock = threading.Lock()

    def of(self, part: str) -> Report:
        """What a part reports to; its name stands before the details."""

        def report(event: Event) -> None:
            with self._lock:
                if isinstance(event, StepProgress):
                    self._done[part] = event.done
                    detail = f"{part}: {event.detail}"
                    event = replace(event, stage=self._stage, done=self._sum, total=self._total, detail=detail)
                self._report(event)

        return report

    @property
    def _sum(self) -> int:
        return sum(self._done.values())
