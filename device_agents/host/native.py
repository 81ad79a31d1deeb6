"""The host agent with the runner in the Python worker's place: what measures on phones measures here.

A worker of Python runs its interpreter between the clock and the runtime's call, and an operator of few microseconds is
slower for it (docs/reference/runner.md: figures). A device's entry with kind = "host" and a bundle is measured so.
"""

from __future__ import annotations

import os
import secrets
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

from lutbench.device_agents.agent import BUNDLE, AgentSettings, DeviceInfo
from lutbench.device_agents.host.agent import LOAD_TIMEOUT_S, START_TIMEOUT_S, HostAgent, WorkerDiedError
from lutbench.device_agents.runner.bundle import Bundle
from lutbench.device_agents.runner.facts import RunnerFacts
from lutbench.device_agents.runner.job import RunnerArtifact, RunnerJob
from lutbench.device_agents.runner.records import (
    CorruptRecordError,
    CycleRecord,
    End,
    FailedRecord,
    Fatal,
    LoadedRecord,
    Record,
    Records,
    Start,
    parse_record,
)
from lutbench.errors import DeviceError
from lutbench.export.artifact import Artifact
from lutbench.measure.protocol import Batch, Cycle, Failure, Outcome, Spent


class NativeHostAgent(HostAgent):
    """Times artifacts on this machine by a bundle's runner."""

    def __init__(self, settings: AgentSettings, bundle: Bundle) -> None:
        self._bundle = bundle
        self._folder = str(bundle.folder.resolve())
        self._command = bundle.command(settings.runtime, self._folder)
        self._facts = RunnerFacts()
        super().__init__(settings)

    def describe(self) -> DeviceInfo:
        info = super().describe()
        said = {BUNDLE: self._bundle.said(self._settings.runtime), "bundle_sha256": self._digest}
        return replace(info, environment={**info.environment, **said, **self._facts.environment})

    @property
    def _digest(self) -> str:
        return self._bundle.digest(self._settings.runtime)

    def _start_once(self) -> None:
        """Starts the runner, and has it run a job of nothing: whether it can, and which cores it is given, shows so."""
        try:
            self._process = subprocess.Popen(
                [*self._command, "--jobs", "-"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                start_new_session=True,  # Ctrl-C is this process's to handle; where this one ends, so does its input
            )
        except OSError as error:
            raise DeviceError(
                f"the bundle's runner cannot be started: {error.strerror}", device="host",
                remedy="lutbench runner build --target host -o FOLDER, and name that folder as the entry's bundle",
            ) from error  # fmt: skip
        self._pending = b""
        self._cores = _last_cores(self._settings.threads)
        for record in self._records((), None, START_TIMEOUT_S):
            if isinstance(record, Start):
                self._cores = list(record.cores)

    def _ask_to_load(self, artifact: Artifact) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for record in self._records((artifact,), None, LOAD_TIMEOUT_S):
            if isinstance(record, LoadedRecord):
                found = {"loaded": artifact.name, "first_ns": record.first_ns}
            elif isinstance(record, FailedRecord):
                found = {"failed": artifact.name, "reason": record.reason}
        if not found:
            raise WorkerDiedError("the runner did not say what became of it")
        self._first_s[artifact.name] = found.get("first_ns", 0) / 1e9
        return found

    def _answers(self, batch: Batch, cycles: Sequence[Cycle], timeout_s: float) -> Iterator[Outcome]:
        part = replace(batch, cycles=tuple(cycles))
        names = dict.fromkeys(name for cycle in cycles for name in cycle.artifacts)
        names |= dict.fromkeys(canary.artifact for canary in batch.canaries)
        artifacts = [self._artifacts[name] for name in names if name in self._artifacts]
        for record in self._records(artifacts, part, timeout_s):
            if isinstance(record, CycleRecord):
                self._facts.cycle(record)
                yield from Records(None, (), 0, False, cycles={record.cycle: record}).outcomes(part)
            elif isinstance(record, FailedRecord):
                yield Failure(record.name, record.reason)
            elif isinstance(record, End):
                yield Spent(record.runtime_ns)

    def _records(self, artifacts: Sequence[Artifact], batch: Batch | None, timeout_s: float) -> Iterator[Record]:
        """A job's records to its end; WorkerDiedError where it does not come to one."""
        engine = self._settings.runtime
        job = RunnerJob(
            secrets.token_hex(16),
            engine,
            self._settings.threads,
            tuple(_where_it_lies(artifact) for artifact in artifacts),
            library=self._bundle.library(engine, self._folder),
            cores=self._cores,
            batch=batch,
        )
        self._send_line(job.encoded())
        while True:
            try:
                record = parse_record(self._receive_line(timeout_s))
            except CorruptRecordError as error:
                raise WorkerDiedError(f"the runner's answer makes no sense: {error.problem}") from error
            if isinstance(record, Start):
                self._facts.start(record)
            elif isinstance(record, Fatal):
                if record.signal is None:
                    raise DeviceError(f"the runner cannot run the job: {record.reason}", device="host")
                raise WorkerDiedError(record.reason)
            yield record
            if isinstance(record, End):
                self._facts.end(record)
                return


def _where_it_lies(artifact: Artifact) -> RunnerArtifact:
    inputs = artifact.use.inputs if artifact.use else ()
    values = {given.name: str(given.values.resolve()) for given in inputs if given.values is not None}
    return RunnerArtifact(artifact.name, str(artifact.path.resolve()), artifact.sha256, artifact.use, values)


def _last_cores(threads: int) -> list[int]:
    """Those that the Python worker would stay on."""
    return sorted(os.sched_getaffinity(0))[-threads:]
