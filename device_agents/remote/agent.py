"""The agent of every device that runs the runner: artifacts, jobs, records, and what to do when one goes away."""

from __future__ import annotations

import secrets
from abc import abstractmethod
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Protocol

from lutbench.closing import Closing
from lutbench.device_agents.agent import AgentSettings, DeviceInfo, Following
from lutbench.device_agents.loading_order import loading_order
from lutbench.device_agents.remote.job_run import Ending, RunnerJobRun
from lutbench.device_agents.remote.link import PushError
from lutbench.device_agents.remote.persist import RECONNECT_S
from lutbench.device_agents.remote.process import AheadProcess, JobProcess
from lutbench.device_agents.remote.reference import Reference
from lutbench.device_agents.remote.stored import StoredFile, runner_artifact, stored_files, why_not_stored
from lutbench.device_agents.runner.facts import RunnerFacts
from lutbench.device_agents.runner.job import RunnerJob
from lutbench.device_agents.runner.records import (
    CycleRecord,
    FailedRecord,
    LoadedRecord,
    Record,
    Records,
    Start,
    State,
)
from lutbench.errors import DeviceError
from lutbench.export.artifact import Artifact
from lutbench.measure.protocol import Batch, Canary, Cycle, Failure, Outcome, Spent

_SLOWER = 5  # than its first run an invocation may be
_HELD = 10  # times in a row that the device may become hot, or the like, before a single cycle is done
_FRUITLESS = 3  # attempts in a row without a single cycle, before something has to be wrong


@dataclass(frozen=True)
class Patience:
    """The seconds to wait before giving up.

    load, invocation: of one artifact, before the runner counts as hanging.
    reconnect: to a device.
    """

    load_s: float = 60.0
    invocation_s: float = 30.0
    reconnect_s: float = RECONNECT_S


@dataclass(frozen=True)
class RunnerPlace:
    """The runner as a device has it.

    root: of all that lutbench keeps there, as a job names it.
    library: the runtime's, where a job has to name it.
    command: what starts it; empty where it runs already.
    """

    root: str
    library: str | None = None
    command: tuple[str, ...] = ()


@dataclass(frozen=True)
class _Given:
    """A batch that the runner has.

    batch: as it was asked for.
    part: what of it the job measures.
    """

    batch: Batch
    part: Batch
    run: RunnerJobRun


class DeviceWatch(Protocol):
    """What looks after a device while it measures."""

    @property
    def cores(self) -> Sequence[int] | None:
        """Those that jobs stay on; None: wherever the system puts them."""

    @property
    def is_due(self) -> bool:
        """Whether the device has to be looked at before the next job."""

    def wait(self) -> None:
        """Returns once the device is as it should be; DeviceError where it does not become so."""

    def moved(self, cores: Sequence[int]) -> bool:
        """Whether a cycle ran on other cores than it was to, and does not count."""

    def raise_if_moved(self) -> None:
        """DeviceError where cycles ran on other cores."""

    def note(self, *states: State) -> None:
        """Takes in what the runner read around a cycle."""


class RemoteAgent(Closing):
    """Times artifacts on a device that runs the runner. What is the device's own way is in the abstract methods.

    label: what messages call the device.
    ahead: the process, where it takes a job while it is at another.
    reference: what the first artifacts are compared by, which closes with what holds the device.
    runner_s: that the jobs took, by the device's clock.
    installed_files: that were not on the device before.
    """

    refused_remedy = ""  # where the system refuses the runner a call
    link_remedy = ""  # where the connection breaks time and again
    dead_remedy = ""  # where the runner ends time and again

    def __init__(
        self,
        label: str,
        settings: AgentSettings,
        watch: DeviceWatch,
        patience: Patience,
        process: JobProcess,
        place: RunnerPlace,
        ahead: AheadProcess | None = None,
        reference: Reference | None = None,
    ) -> None:
        self.label = label
        self._settings = settings
        self._watch = watch
        self._patience = patience
        self._process = process
        self._place = place
        self._ahead_process = ahead
        self._reference = reference
        self._plan: Callable[[], Following | None] | None = None  # what follows the next batch
        self._ahead: _Given | None = None  # begun, or about to, behind the batch that was measured last
        self._artifacts: dict[str, Artifact] = {}
        self._renewed = 0
        self._first_s: dict[str, float] = {}  # how long each artifact's first run took
        self._units: dict[str, Mapping[str, int]] = {}
        self.facts = RunnerFacts()
        self.runner_s = 0.0
        self.installed_files = 0

    @abstractmethod
    def describe(self) -> DeviceInfo:
        """The device as it is now."""

    @abstractmethod
    def store(self, files: Sequence[StoredFile]) -> int:
        """Brings the missing ones to the device, and what its runner needs; how many those were."""

    @abstractmethod
    def check_records_space(self, otherwise: str = "") -> None:
        """DeviceError where the device has no space for a job and its records; with otherwise, also where it has."""

    def install(self, artifacts: Sequence[Artifact]) -> Iterator[Failure]:
        """Brings artifacts to the device, loads each once there, and compares what it computes with this machine.

        Yields those that the runtime refuses or dies of, and those that compute something else.
        """
        for artifact in artifacts:
            if why := why_not_stored(artifact):
                yield Failure(artifact.name, why)
        artifacts = [artifact for artifact in artifacts if not why_not_stored(artifact)]
        self.installed_files += self.store([file for artifact in artifacts for file in stored_files(artifact)])
        reference, self._reference = self._reference or Reference(self._settings.runtime), None
        with reference:
            reference.compute(artifacts)
            yield from self._load({artifact.name: artifact for artifact in artifacts}, reference)

    def _load(self, left: dict[str, Artifact], reference: Reference) -> Iterator[Failure]:
        suspects: list[str] = []
        fruitless = 0
        while left:
            before = len(left)
            run = self._given(tuple(left.values()), None, lambda: self._patience.load_s, check=True)
            for record in self._records(run):
                if isinstance(record, LoadedRecord):
                    artifact = left.pop(record.name)
                    self._first_s[record.name] = record.first_ns / 1e9
                    self._units[record.name] = record.units
                    wrong = reference.wrong(artifact, record.output)
                    if wrong:
                        yield Failure(record.name, wrong)
                    else:
                        self._artifacts[record.name] = artifact
                elif isinstance(record, FailedRecord):
                    left.pop(record.name)
                    yield Failure(record.name, record.reason)
            if left:
                fruitless = 0 if len(left) < before else fruitless + 1
                yield from self._after_load(run.ending, left, suspects, fruitless)

    def units(self, artifact: str) -> Mapping[str, int]:
        return self._units.get(artifact, {})

    def measure(self, batch: Batch) -> Iterator[Outcome]:
        """Runs the batch, again for what a dead runner or a damaged record left out; yields samples as they come."""
        plan, self._plan = self._plan, None
        given = self._begun(batch)
        names = dict.fromkeys(name for cycle in batch.cycles for name in cycle.artifacts)
        yield from (Failure(name, "it is not loaded") for name in names if name not in self._artifacts)
        left = list(given.part.cycles) if given else [cycle for cycle in batch.cycles if self._has(cycle)]
        fruitless = 0
        while left:
            if given is None:
                self._watch.wait()
                self._check_canaries(batch)
                given = self._given_batch(batch, left)
            if plan is not None:
                self._go_ahead(plan)
                plan = None
            part, run = given.part, given.run
            given = None
            before, gone = len(left), set[int]()
            for record in self._records(run):
                if isinstance(record, CycleRecord):
                    self.facts.cycle(record)
                    if self._watch.moved(record.cores):
                        continue
                    yield from Records(None, (), 0, False, cycles={record.cycle: record}).outcomes(part)
                    gone.add(record.cycle)
                    self._watch.note(*(state for state in (record.before, record.after) if state is not None))
                elif isinstance(record, FailedRecord):
                    self._artifacts.pop(record.name, None)
                    yield Failure(record.name, record.reason)
            yield Spent(self._spent_ns)
            left = [cycle for number, cycle in enumerate(left) if number not in gone]
            if left:
                fruitless = 0 if len(left) < before else fruitless + 1
                yield from self._after_death(run.ending, left, fruitless)
            left = [cycle for cycle in left if self._has(cycle)]

    def go_ahead(self, plan: Callable[[], Following | None]) -> None:
        self._plan = plan

    def _go_ahead(self, plan: Callable[[], Following | None]) -> None:
        """Gives what follows behind the batch that the runner just began with; not where the device is looked at first.

        Where the batch has to be taken up again, what was given behind is dropped, and measured when its turn comes.
        """
        if self._ahead_process is None or self._watch.is_due:
            return
        following = plan()
        if following is None:
            return
        if following.renewed:
            self.renew(())
        batch = following.batch
        left = [cycle for cycle in batch.cycles if self._has(cycle)]
        if left and all(canary.artifact in self._artifacts for canary in batch.canaries):
            with suppress(PushError):  # it will be said where the batch's turn has come
                self._ahead = self._given_batch(batch, left, self._ahead_process)

    def _begun(self, batch: Batch) -> _Given | None:
        """The batch, where the runner has begun with it."""
        ahead, self._ahead = self._ahead, None
        is_there = ahead is not None and ahead.batch is batch and self._ahead_process is not None
        return ahead if is_there and self._ahead_process.go_on() else None  # type: ignore[union-attr]

    def renew(self, names: Collection[str]) -> None:
        """The next batch is given to a new runner, which loads what the batch needs, in an order of its own."""
        del names
        self._renewed += 1
        self._process.renew()

    def _has(self, cycle: Cycle) -> bool:
        return all(name in self._artifacts for name in cycle.artifacts)

    def _check_canaries(self, batch: Batch) -> None:
        for canary in batch.canaries:
            if canary.artifact not in self._artifacts:
                raise DeviceError("the canary does not run any more", operator=canary.artifact)

    def _needed(self, batch: Batch) -> tuple[Artifact, ...]:
        names = {name for cycle in batch.cycles for name in cycle.artifacts}
        names |= {canary.artifact for canary in batch.canaries}
        return tuple(self._artifacts[name] for name in loading_order(names, self._renewed))

    def _after_load(
        self, ending: Ending, left: dict[str, Artifact], suspects: list[str], fruitless: int
    ) -> Iterator[Failure]:
        """Which artifact a loading runner died of: the second time at the same one, it is that one's fault."""
        self._raise_if_hopeless(ending)
        if self._was_held(ending, fruitless):
            self._watch.wait()
            return
        if self._died_with_the_link(ending, fruitless):
            return
        culprit = ending.culprit if ending.culprit in left else next(iter(left))
        if culprit in suspects:
            left.pop(culprit)
            yield Failure(culprit, ending.why or "its record is damaged time and again")
        suspects.append(culprit)

    def _after_death(self, ending: Ending, left: Sequence[Cycle], fruitless: int) -> Iterator[Failure]:
        """Which artifact a runner died of in mid-batch, if any: it must die of it alone, too."""
        self._raise_if_hopeless(ending)
        if self._was_held(ending, fruitless):
            return
        if not ending.why:
            if fruitless >= _FRUITLESS:
                self._watch.raise_if_moved()
                raise DeviceError("its records arrive damaged time and again", device=self.label)
            return
        if self._died_with_the_link(ending, fruitless):
            return
        suspects = [ending.culprit] if ending.culprit else list(left[0].artifacts) if fruitless else []
        for name in suspects:
            why = self._dies_alone(name) if name in self._artifacts else ""
            if why:
                self._artifacts.pop(name)
                yield Failure(name, why)
                return
        if fruitless >= _FRUITLESS:
            raise DeviceError(
                f"{ending.why}, {fruitless} times in a row", device=self.label,
                remedy=f"the same command goes on; {self.dead_remedy}",
            )  # fmt: skip

    def _was_held(self, ending: Ending, fruitless: int) -> bool:
        """Whether the device became other than it should be, which is waited for; DeviceError where that goes on."""
        if ending.held and fruitless >= _HELD:
            raise DeviceError(
                f"{ending.why}, {fruitless} times in a row before anything was measured", device=self.label,
                remedy=f"the same command goes on; {self.dead_remedy}",
            )  # fmt: skip
        return ending.held

    def _died_with_the_link(self, ending: Ending, fruitless: int) -> bool:
        """Whether the connection broke too, which is no artifact's fault; DeviceError where that goes on."""
        if not (ending.why and ending.link_lost):
            return False
        if fruitless >= _FRUITLESS:
            raise DeviceError(
                f"{ending.why} while the connection was lost, {fruitless} times in a row", device=self.label,
                remedy=f"{self.link_remedy}; the same command goes on",
            )  # fmt: skip
        return True

    def _dies_alone(self, name: str) -> str:
        """Why the runner ends when it runs nothing but this; "" where it does not."""
        alone = Batch((Cycle((name,), 0, 1, 3, name),), (Canary(name, name, 1, 1.0),))
        run = self._given((self._artifacts[name],), alone, lambda: self._silence_s(alone))
        for record in self._records(run):
            if isinstance(record, FailedRecord):
                return record.reason
        return "" if run.ending.link_lost or run.ending.held else run.ending.why

    def _raise_if_hopeless(self, ending: Ending) -> None:
        """DeviceError where running it again would end the same way."""
        if ending.refused:
            raise DeviceError(ending.why, device=self.label, remedy=self.refused_remedy)
        if ending.unwritten:
            self.check_records_space()
        if ending.fatal is not None and ending.fatal.signal is None and not ending.held:
            raise DeviceError(ending.fatal.reason, device=self.label)

    def _given_batch(self, batch: Batch, cycles: Sequence[Cycle], behind: AheadProcess | None = None) -> _Given:
        """Gives these cycles of the batch to the runner. behind: another job; then it may raise PushError."""
        part = replace(batch, cycles=tuple(cycles))
        return _Given(batch, part, self._given(self._needed(part), part, lambda: self._silence_s(part), behind=behind))

    def _given(
        self,
        artifacts: Sequence[Artifact],
        batch: Batch | None,
        limit_s: Callable[[], float],
        *,
        check: bool = False,
        behind: AheadProcess | None = None,
    ) -> RunnerJobRun:
        """Gives a job to the runner."""
        job = RunnerJob(
            secrets.token_hex(16),
            self._settings.job_engine,
            self._settings.threads,
            tuple(runner_artifact(artifact, self._place.root) for artifact in artifacts),
            library=self._place.library,
            cores=self._watch.cores,
            check=check,
            batch=batch,
        )
        if behind is not None:
            behind.start_behind(job.encoded())
            return self._job_run(job, limit_s)
        self._ahead = None
        try:
            self._process.start(job.encoded(), self._place.command)
        except PushError as error:
            self.check_records_space(otherwise=f"the device does not store the job: {error}")
        return self._job_run(job, limit_s)

    def _job_run(self, job: RunnerJob, limit_s: Callable[[], float]) -> RunnerJobRun:
        return RunnerJobRun(self._process, job, limit_s)

    def _records(self, run: RunnerJobRun) -> Iterator[Record]:
        """A job's records to its ending."""
        self._spent_ns = 0
        for record in run.records():
            if isinstance(record, Start):
                self.facts.start(record)
            yield record
        if run.end is not None:
            self.facts.end(run.end)
        self.runner_s += run.wall_s
        self._spent_ns = run.spent_ns

    def _silence_s(self, batch: Batch) -> float:
        """How long the runner may write nothing: its slowest cycle, and its waiting for the canary, generously."""
        expected = [
            (cycle.warmup + cycle.repeats) * sum(0.1 + _SLOWER * self._first_s.get(n, 0.0) for n in cycle.artifacts)
            for cycle in batch.cycles
        ]
        return max(self._patience.load_s, self._patience.invocation_s + max(expected) + batch.patience * sum(expected))
