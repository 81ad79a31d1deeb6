"""What the runner's records say of the machine, for the LUT: the clock, the runtime, the calls it does without."""

from __future__ import annotations

from statistics import median_low
from typing import Any

from lutbench.device_agents.runner.records import CycleRecord, End, Start

CLOCK_NS = "clock_ns"  # in a LUT's environment: what one reading of the runner's clock took


class RunnerFacts:
    """Collects from one run's records."""

    def __init__(self) -> None:
        self._start: Start | None = None
        self._clocks_ns: list[int] = []
        self._answered: set[str] = set()

    def start(self, record: Start) -> None:
        self._start = record

    def cycle(self, record: CycleRecord) -> None:
        if record.clock_ns is not None:
            self._clocks_ns.append(record.clock_ns)

    def end(self, record: End) -> None:
        self._answered.update(record.answered)

    @property
    def environment(self) -> dict[str, Any]:
        """pinned_to: as read back. clock_ns: of one reading of the clock, already taken off every sample."""
        found: dict[str, Any] = {}
        if self._start is not None:
            found["pinned_to"] = list(self._start.cores)
            found["runner_runtime"] = self._start.runtime
        if self._clocks_ns:
            found[CLOCK_NS] = median_low(self._clocks_ns)
        if self._answered:
            found["answered_calls"] = sorted(self._answered)
        return found
