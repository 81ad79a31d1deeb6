"""What every command that measures is asked for: the device, how it is used, and the runtime."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from lutbench.device_agents.agent import AgentSettings
from lutbench.device_agents.registry import Device
from lutbench.errors import UsageError
from lutbench.events import Report

DEFAULT_RUNTIME, DEFAULT_DTYPE = "onnx", "int8"
LEAST_TARGET, LARGEST_TARGET = 0.0001, 0.5


@dataclass(frozen=True, kw_only=True)
class DeviceRequest:
    """Which device, and how it is used.

    cores, force, heat_wait: as in AgentSettings; no cores means the device's, or the LUT's.
    wait_quiet_s: wait as long as this until the machine is as fast as it usually is (`jobs.quiet`).
    """

    device: Device
    cores: str = ""
    force: bool = False
    heat_wait: bool = True
    wait_quiet_s: float = 0.0


@dataclass(frozen=True, kw_only=True)
class MeasureRequest(DeviceRequest):
    """A device, and how things run there. What is timed is named by the requests that build on this one.

    batch: images that each takes at once.
    fixed_performance: as in AgentSettings.
    output: the file of the results; None means the usual place, or no file.
    fresh: begin anew, without what an earlier run has measured.
    """

    runtime: str = DEFAULT_RUNTIME
    dtype: str = DEFAULT_DTYPE
    threads: int = 1
    batch: int = 1
    fixed_performance: bool = False
    output: Path | None = None
    fresh: bool = False

    @property
    def chosen_cores(self) -> str:
        """The cores to use, as in AgentSettings; UsageError where they cannot be chosen."""
        return self.device.cores_for(self.cores)

    def settings(self, report: Report) -> AgentSettings:
        return AgentSettings(
            self.runtime,
            self.dtype,
            self.threads,
            cores=self.chosen_cores,
            force=self.force,
            fixed_performance=self.fixed_performance,
            heat_wait=self.heat_wait,
            report=report,
        )


def check_target(target: float) -> None:
    """UsageError for what cannot be half the width of an interval, as a fraction."""
    if not LEAST_TARGET <= target <= LARGEST_TARGET:
        raise UsageError(f"--target {target} is not between {LEAST_TARGET} and {LARGEST_TARGET}")
