"""The measuring part of `bench`: each net until its interval is narrow."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from lutbench.device_agents.agent import Agent, DeviceInfo
from lutbench.events import RoundProgress
from lutbench.export.artifact import Artifact
from lutbench.jobs.artifacts import batch_identity, device_identity, install_artifacts
from lutbench.jobs.measure_request import MeasureRequest
from lutbench.jobs.net_rounds import Group, GroupedNets, Measuring
from lutbench.jobs.processes import process_starts
from lutbench.lut.journal_place import set_aside
from lutbench.measure.journal import Journal
from lutbench.measure.processes import half_widths, widened
from lutbench.measure.protocol import Protocol
from lutbench.measure.rounds import RoundReport, is_done, rounds_left
from lutbench.measure.statistics import Summary
from lutbench.units import US_PER_S

ROUND_US = 100_000.0  # at least, so that the least number of rounds sees the machine in more than one of its states


class BenchRounds(GroupedNets):
    """Times nets one by one.

    runtime: with its version.
    texts: artifact -> the net as the user wrote it.
    folder: where journals are kept.
    found: artifact -> its figures, or why it has none.
    cpu: the device's, once it is known.
    """

    def __init__(
        self, how: Measuring, request: MeasureRequest, runtime: str, texts: Mapping[str, str], folder: Path
    ) -> None:
        super().__init__(how)
        self._request, self._runtime, self._texts, self._folder = request, runtime, texts, folder
        self.found: dict[str, Summary | str] = {}
        self.cpu = ""

    def journal_of(self, group: Group, device: DeviceInfo) -> tuple[Path, dict[str, Any]]:
        """The journal's name is made of all that decides the samples."""
        request = self._request
        self.cpu = device.cpu
        identity: dict[str, Any] = {
            "bench": request.device.name,
            "cpu": device.cpu,
            **device_identity(device),
            "runtime": self._runtime,
            "dtype": request.dtype,
            "threads": request.threads,
            **batch_identity(request.batch),
            "warmup": [self.how.protocol.net_warmup, self.how.protocol.net_warmup_most],
            "artifacts": {artifact.name: artifact.sha256 for artifact in group.nets},
        }
        digest = hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest()
        path = self._folder / f"{digest[:16]}.jsonl"
        if request.fresh:
            set_aside(path)
        return path, identity

    @property
    def fewest_rounds(self) -> int:
        return self.how.protocol.min_rounds

    def install(self, agent: Agent, artifacts: Sequence[Artifact], journal: Journal) -> None:
        install_artifacts(agent, artifacts, (), journal, self.how.canaries)

    def unfinished(self, group: Group, journal: Journal) -> list[str]:
        data, protocol = journal.measurements, self.how.protocol
        # one whose worker dies beside others but not alone gives no samples, round after round
        alive = [name for name in group.names if name not in data.failures]
        stuck = {name for name in alive if data.rounds_ended - data.visits(name, 0) >= protocol.max_rounds}
        return [name for name in alive if name not in stuck and not is_done(data, name, 0, protocol)]

    def visit(self, group: Group, journal: Journal, name: str) -> tuple[int, int]:
        return visit_of(journal.measurements.summary(name, 0), len(group.nets), self.how.protocol)

    def progress(self, group: Group, outcome: RoundReport, journal: Journal) -> RoundProgress:
        data, protocol, total = journal.measurements, self.how.protocol, len(group.nets)
        unfinished = self.unfinished(group, journal)
        summaries = {name: summary for name in unfinished if (summary := data.summary(name, 0))}
        left_us = sum(
            rounds_left(s, protocol) * s.latency_us * sum(visit_of(s, total, protocol)) for s in summaries.values()
        )
        widths = sorted(((s.half_width, self._texts[name]) for name, s in summaries.items()), reverse=True)
        return RoundProgress(
            stage="timing nets",
            round_number=outcome.number,
            done=total - len(unfinished),
            total=total,
            remaining_s=left_us / US_PER_S,
            unstable=tuple((name, width) for width, name in widths[:2]),
            disturbed=outcome.disturbed,
        )

    def read(self, group: Group, journal: Journal) -> None:
        data = journal.measurements
        rounds_us = {name: data.best_round_medians_us(name, 0) for name in group.names}
        widths = half_widths(rounds_us, process_starts(journal))
        for name in group.names:
            summary = data.best_summary(name, 0)
            summary = summary and widened(summary, widths[name])
            failure = data.failures.get(name) or ("" if summary else "the device gave no sample of it")
            self.found[name] = failure or (summary if summary else "")


def visit_of(summary: Summary | None, nets: int, protocol: Protocol) -> tuple[int, int]:
    """Warm-up and timed invocations of one of so many nets in a round: short and few ones get more.

    Half of what is beyond the protocol's own is timed, up to its max_repeats; the rest keeps the core at work.
    """
    if summary is None:  # it may take seconds, and one visit of many hardly counts
        return protocol.net_warmup, protocol.net_repeats
    warmup, repeats = protocol.net_visit(summary.latency_us)
    invocations = round(ROUND_US / nets / summary.latency_us)
    repeats = max(repeats, min(protocol.max_repeats, invocations // 2))
    return max(warmup, invocations - repeats), repeats
