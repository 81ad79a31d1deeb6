"""A device with scripted times: the real rounds, journal and statistics run against it in tests and dry runs."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence

from lutbench.closing import Closing
from lutbench.device_agents.agent import DeviceInfo, Following
from lutbench.export.artifact import Artifact
from lutbench.measure.protocol import Batch, Failure, Outcome, Samples, Spent

Script = Callable[[str, int, int], int]  # artifact, context depth, invocation number on this device -> nanoseconds


class FakeAgent(Closing):
    """Yields what the script says.

    canary: the canary's nanoseconds at an invocation.
    refused: artifacts it will not load.
    crash_at: number of the batch at which it is interrupted.
    units: artifact -> which unit how many of its operations run on.
    goes_ahead: it asks what follows a batch before it measures that, and is given that next.
    """

    def __init__(
        self,
        script: Script,
        canary: Callable[[int], int] = lambda _invocation: 50_000,
        refused: Sequence[str] = (),
        crash_at: int | None = None,
        units: Callable[[str], Mapping[str, int]] = lambda _artifact: {},
        goes_ahead: bool = False,
    ) -> None:
        self._script = script
        self._canary = canary
        self._refused = set(refused)
        self._crash_at = crash_at
        self._units = units
        self._goes_ahead = goes_ahead
        self._plan: Callable[[], Following | None] | None = None
        self._begun: Batch | None = None
        self._invocations = 0
        self.batches: list[Batch] = []
        self.installed: list[str] = []
        self.renewed: list[tuple[str, ...]] = []

    def describe(self) -> DeviceInfo:
        return DeviceInfo("none", "fake", "none", "scripted", 1, {"cpu": "scripted"})

    def install(self, artifacts: Sequence[Artifact]) -> Iterator[Failure]:
        for artifact in artifacts:
            if artifact.name in self._refused:
                yield Failure(artifact.name, "refused by script")
            else:
                self.installed.append(artifact.name)

    def units(self, artifact: str) -> Mapping[str, int]:
        return self._units(artifact)

    def measure(self, batch: Batch) -> Iterator[Outcome]:
        if self._crash_at is not None and len(self.batches) == self._crash_at:
            raise KeyboardInterrupt
        self._ask_what_follows(batch)
        self.batches.append(batch)
        spent = 0
        for cycle in batch.cycles:
            for artifact in cycle.artifacts:
                durations, canaries = [], []
                for _ in range(cycle.repeats):
                    durations.append(self._script(artifact, cycle.depth, self._invocations))
                    canaries.append(self._canary(self._invocations))
                    self._invocations += 1
                spent += sum(durations)
                yield Samples(artifact, cycle.depth, cycle.canary, tuple(durations), tuple(canaries))
        yield Spent(spent)

    def renew(self, names: Collection[str]) -> None:
        self.renewed.append(tuple(names))

    def go_ahead(self, plan: Callable[[], Following | None]) -> None:
        self._plan = plan

    def _ask_what_follows(self, batch: Batch) -> None:
        if self._begun is not None and batch is not self._begun:
            raise ValueError("another batch than the one that was begun")
        self._begun = None
        if self._goes_ahead and self._plan is not None and (following := self._plan()):
            self._begun = following.batch
            self.renewed += [()] * following.renewed
        self._plan = None

    def close(self) -> None:
        pass
