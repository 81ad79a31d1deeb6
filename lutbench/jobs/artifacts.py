"""Artifacts of a job: exported before the device is asked for anything, then installed; what fails costs its row."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from lutbench.device_agents.agent import BUNDLE, CORE_CHOICE, FIXED_PERFORMANCE, Agent, DeviceInfo
from lutbench.device_agents.registry import Device
from lutbench.errors import DeviceError, ExportError
from lutbench.events import ExportProgress, Note, Report
from lutbench.export.artifact import Artifact
from lutbench.export.cache import ArtifactCache
from lutbench.export.exporters import Exporter
from lutbench.export.pool import export_all
from lutbench.jobs.tuning import Canaries
from lutbench.measure.journal import Journal
from lutbench.measure.protocol import Failure
from lutbench.space.workload import Workload, workload_name


def export_workloads(
    workloads: Sequence[Workload], exporter: Exporter, dtype: str, cache: ArtifactCache, report: Report
) -> tuple[list[Artifact], list[Failure]]:
    """Artifacts sorted by name, and those that could not be made; progress as they come."""
    artifacts: list[Artifact] = []
    failures: list[Failure] = []
    noted: set[str] = set()
    for done, (workload, result) in enumerate(export_all(workloads, exporter, dtype, cache, report), start=1):
        if isinstance(result, ExportError):
            reason = f"{result.problem}; {result.remedy}" if result.remedy else result.problem
            failures.append(Failure(workload_name(workload), reason))
        else:
            artifacts.append(result)
            for text in sorted(set(result.notes) - noted):
                report(Note(text, warning=True))
            noted.update(result.notes)
        report(ExportProgress(done, len(workloads)))
    return sorted(artifacts, key=lambda artifact: artifact.name), failures


def install_artifacts(
    agent: Agent, artifacts: Sequence[Artifact], failures: Sequence[Failure], journal: Journal, canaries: Canaries
) -> None:
    """Loads everything. What fails is journalled once and costs its row; DeviceError where a canary fails."""
    failures = [*failures, *agent.install(artifacts)]
    new = [failure for failure in failures if failure.artifact not in journal.measurements.failures]
    journal.append({"failed": failure.artifact, "reason": failure.reason} for failure in new)
    for canary in canaries.all:
        reason = journal.measurements.failures.get(canary.artifact)
        if reason:
            raise DeviceError(f"the canary cannot run: {reason}", operator=canary.artifact)


def batch_identity(batch: int) -> dict[str, Any]:
    """What of the batch a journal's samples belong to; nothing for single images, which older journals do not say."""
    return {"batch": batch} if batch > 1 else {}


def canary_identity(device: Device, found: DeviceInfo, canary: Artifact, threads: int) -> dict[str, Any]:
    """What a canary's time depends on, for runs of one machine to be compared (`note_state`)."""
    return {
        "device": device.name,
        "cpu": found.cpu,
        **device_identity(found),
        "runtime": canary.runtime,
        "dtype": canary.dtype,
        "threads": threads,
        "canary": canary.sha256,
    }


def device_identity(device: DeviceInfo) -> dict[str, Any]:
    """What of a phone decides its times beside the processor; nothing for a device that has no such choice."""
    return {
        key: device.environment[key] for key in (CORE_CHOICE, BUNDLE, FIXED_PERFORMANCE) if key in device.environment
    }
