"""The agent interface: what times artifacts on one kind of device. Rounds, statistics and journal live above it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Protocol

from lutbench.export.artifact import Artifact
from lutbench.measure.protocol import Batch, Failure, Outcome

UNREADABLE = "unreadable"


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


class Agent(Protocol):
    """A context manager that installs artifacts on a device and times them."""

    def describe(self) -> DeviceInfo:
        """The device as it is now."""

    def install(self, artifacts: Sequence[Artifact]) -> Iterable[Failure]:
        """Brings artifacts to the device and loads them; yields those that the runtime refuses."""

    def measure(self, batch: Batch) -> Iterable[Outcome]:
        """Runs the batch; yields each artifact's samples, then the time spent inside the runtime."""

    def close(self) -> None:
        """Lets go of the device."""

    def __enter__(self) -> Agent: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


@dataclass(frozen=True)
class AgentSettings:
    """What an agent has to know beside the device: runtime (onnx ...), dtype, threads."""

    runtime: str
    dtype: str
    threads: int
