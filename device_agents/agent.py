"""The agent interface: what times artifacts on one kind of device. Rounds, statistics and journal live above it."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Protocol

from lutbench.events import Event, Report
from lutbench.export.artifact import Artifact
from lutbench.measure.protocol import Batch, Failure, Outcome

UNREADABLE = "unreadable"
CORE_CHOICE = "core_choice"  # of a phone's environment: AgentSettings.cores
BUNDLE = "bundle"  # in the environment: which build of the runner measured, of a phone or where an entry names one
FIXED_PERFORMANCE = "fixed_performance"  # in the environment, true, of a phone that was measured in that mode
EMULATED = "emulated"  # in the environment, true, of a phone that says that it is none


@dataclass(frozen=True)
class DeviceInfo:
    """What the device is, and what of it can be read or set; what cannot be read says so.

    environment: plain values for the LUT's header (CPU model, OS, governor, frequencies ...).
    """

    make: str
    model: str
    os: str
    cpu: str
    cores: int
    environment: Mapping[str, Any]


@dataclass(frozen=True)
class Following:
    """The batch that is measured after another.

    renewed: in a fresh process, as of Agent.renew.
    """

    batch: Batch
    renewed: bool


class Agent(Protocol):
    """A context manager that installs artifacts on a device and times them."""

    def describe(self) -> DeviceInfo:
        """The device as it is now."""

    def install(self, artifacts: Sequence[Artifact]) -> Iterable[Failure]:
        """Brings artifacts to the device and loads them; yields those that the runtime refuses."""

    def units(self, artifact: str) -> Mapping[str, int]:
        """Unit (cpu, gpu, ane) -> the number of an installed artifact's operations that run there.

        Empty where the runtime has but one, or the system does not tell.
        """

    def measure(self, batch: Batch) -> Iterable[Outcome]:
        """Runs the batch; yields each artifact's samples, then the time spent inside the runtime."""

    def renew(self, names: Collection[str]) -> None:
        """Goes on in a fresh process, which has another layout of memory; only these artifacts are needed from here on.

        Does nothing where each batch has a process of its own.
        """

    def go_ahead(self, plan: Callable[[], Following | None]) -> None:
        """Says how to find out what follows the next batch, before that is measured.

        A device that goes on by itself asks once it has the batch, and has begun with what follows when `measure` ends;
        that is then measured next, whatever came of the batch. Others do not ask.

        plan: gives None where that cannot be known yet.
        """

    def close(self) -> None:
        """Lets go of the device."""

    def __enter__(self) -> Agent: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


def unheard(_event: Event) -> None:
    """A Report that nobody listens to."""


@dataclass(frozen=True)
class AgentSettings:
    """What an agent has to know beside the device: runtime (onnx ...), dtype, threads.

    engine: the part of the runtime that computes, of one that has several.
    cores: big, little, all or a mask, for phones; "" for a device whose cores are not chosen.
    force: take a phone that is not the model its name stands for.
    fixed_performance: a phone is kept at speeds that it can hold for long.
    heat_wait: a hot phone is waited for.
    report: where the agent says what it waits for.
    """

    runtime: str
    dtype: str
    threads: int
    cores: str = ""
    force: bool = False
    fixed_performance: bool = False
    heat_wait: bool = True
    engine: str = ""
    report: Report = field(default=unheard, compare=False)

    @property
    def job_engine(self) -> str:
        """The engine that a runner's job asks for."""
        return self.engine or self.runtime
