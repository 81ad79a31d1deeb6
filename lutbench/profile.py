"""profile: every operator of a space, exported, timed on a device, and written as a LUT."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from device_agents.agent import BUNDLE, CORE_CHOICE, Agent, AgentSettings, DeviceInfo
from device_agents.registry import Device, check_measurable, open_agent
from lutbench import __version__
from lutbench.campaign import Campaign
from lutbench.errors import DeviceError, ExportError, InterruptedRunError, UsageError
from lutbench.events import ExportProgress, Note, Report
from lutbench.export.artifact import Artifact
from lutbench.export.cache import ArtifactCache
from lutbench.export.exporters import Exporter, find_exporter
from lutbench.export.pool import export_all
from lutbench.files import check_writable, default_cache_folder, file_sha256
from lutbench.locks import device_lock
from lutbench.lut.file import read_lut, write_lut
from lutbench.lut.table import Lut, Metadata, space_section, timestamp
from lutbench.measure.journal import Journal
from lutbench.measure.protocol import Failure, Protocol
from lutbench.results import context_section, delegation_section, environment_section, lut_rows, quality_section
from lutbench.space.find import find_spaces
from lutbench.space.macro import Space, distinct_operators
from lutbench.space.net import Net
from lutbench.space.subject import Subject, subject_name
from lutbench.tuning import Canaries, choose_canaries, draw_tuning_nets

OpenAgent = Callable[[Device, AgentSettings], Agent]
DEFAULT_RUNTIME, DEFAULT_DTYPE = "onnx", "int8"


@dataclass(frozen=True)
class ProfileRequest:
    """What to measure. resolutions, widths: none means the space's own and 1.0. output: none means the device's LUT.

    engine: of a runtime that has several; none means the machine's default. cores, force: as in AgentSettings; no
    cores means the device's.
    """

    device: Device
    runtime: str = DEFAULT_RUNTIME
    dtype: str = DEFAULT_DTYPE
    engine: str = ""
    space: str = "fbnet"
    resolutions: tuple[int, ...] = ()
    widths: tuple[float, ...] = (1.0,)
    threads: int = 1
    cores: str = ""
    force: bool = False
    output: Path | None = None
    fresh: bool = False
    seed: int = 0
    protocol: Protocol = field(default_factory=Protocol)

    @property
    def chosen_cores(self) -> str:
        """As in AgentSettings; UsageError where they cannot be chosen."""
        return self.device.cores_for(self.cores)

    @property
    def lut_path(self) -> Path:
        if self.output is not None:
            return self.output
        extra = [
            name
            for name, usual in (
                (self.runtime, DEFAULT_RUNTIME),
                (self.engine, ""),
                (self.dtype, DEFAULT_DTYPE),
                (self.chosen_cores, self.device.cores_for("")),
            )
            if name != usual
        ]
        path = self.device.lut
        return path.with_name("_".join([path.stem, *extra]) + path.suffix)


def profile(request: ProfileRequest, report: Report, open_device: OpenAgent = open_agent) -> Lut:
    """Measures and writes the LUT; goes on where an earlier run of the same request stopped.

    InterruptedRunError on Ctrl-C; that and every other LutbenchError leave the journal as it is.
    """
    check_measurable(request.device, request.runtime)
    exporter = find_exporter(request.runtime, request.dtype, request.engine)
    check_writable(request.lut_path)
    spaces, definition = find_spaces(request.space, request.resolutions, request.widths)
    base = Metadata(
        device=request.device.name,
        runtime=exporter.runtime_version,
        dtype=request.dtype,
        threads=request.threads,
        space=space_section(spaces, definition),
        lutbench=__version__,
        environment={CORE_CHOICE: request.chosen_cores} if request.chosen_cores else {},
    )
    with held(request.device, journal_folder(request.lut_path)):
        lut = _measure(request, exporter, spaces, _next_revision(base, request.lut_path), report, open_device)
        write_lut(lut, request.lut_path)
    return lut


@contextmanager
def held(device: Device, folder: Path) -> Iterator[None]:
    """A measuring run: nobody else has the device, and an interruption says that folder keeps what was measured."""
    try:
        with device_lock(default_cache_folder() / "locks", device.lock_name, device.name):
            yield
    except KeyboardInterrupt:
        raise InterruptedRunError(
            "interrupted", remedy=f"what was measured is kept in {folder}; the same command goes on from it"
        ) from None


def _measure(
    request: ProfileRequest,
    exporter: Exporter,
    spaces: Sequence[Space],
    base: Metadata,
    report: Report,
    open_device: OpenAgent,
) -> Lut:
    """Exports, installs and measures everything; base: the LUT's metadata as far as it is known beforehand."""
    started = time.monotonic()
    journal_path = journal_folder(request.lut_path) / f"r{base.revision}.jsonl"
    if request.fresh:
        set_aside(journal_path)
    nets, canaries = draw_tuning_nets(spaces, request.seed), choose_canaries(spaces, request.protocol)
    cache = ArtifactCache(default_cache_folder())
    artifacts, failures = export_subjects(_subjects(spaces, nets), exporter, request.dtype, cache, report)
    outside = delegation_section(artifacts, exporter.delegate, report)
    settings = AgentSettings(
        request.runtime, request.dtype, request.threads, request.chosen_cores, request.force, report
    )
    with open_device(request.device, settings) as agent:
        before = agent.describe()
        with Journal(journal_path, _identity(base, request, artifacts, before), canaries.all) as journal:
            if journal.resumed:
                report(Note(f"going on after {journal.measurements.rounds_ended} rounds of an earlier run"))
            install_artifacts(agent, artifacts, failures, journal, canaries)
            campaign = Campaign(spaces, nets, canaries, journal, agent.measure, request.protocol, request.seed, report)
            context = campaign.run()
            rows = lut_rows(spaces, context, journal.measurements)
            wall_s = time.monotonic() - started
            metadata = replace(
                base,
                measured_at=timestamp(),
                context=context_section(context, nets, canaries, journal.measurements),
                environment=environment_section(before.environment, agent.describe().environment),
                quality=quality_section(rows, request.protocol, canaries, journal, wall_s) | outside,
            )
    return Lut(metadata, rows, request.lut_path)


def journal_folder(lut_path: Path) -> Path:
    """The folder of a LUT's journals, beside it: host.csv -> host.journal/."""
    return lut_path.with_suffix(".journal")


def set_aside(journal_path: Path) -> None:
    """Renames a journal out of the way, for what was measured is never deleted."""
    number = 1
    while journal_path.exists():
        target = journal_path.with_suffix(f".aside{number}.jsonl")
        if not target.exists():
            journal_path.rename(target)
        number += 1


def export_subjects(
    subjects: Sequence[Subject], exporter: Exporter, dtype: str, cache: ArtifactCache, report: Report
) -> tuple[list[Artifact], list[Failure]]:
    """Artifacts sorted by name, and those that could not be made; progress as they come."""
    artifacts: list[Artifact] = []
    failures: list[Failure] = []
    noted: set[str] = set()
    for done, (subject, result) in enumerate(export_all(subjects, exporter, dtype, cache), start=1):
        if isinstance(result, ExportError):
            failures.append(Failure(subject_name(subject), result.problem))
        else:
            artifacts.append(result)
            for text in sorted(set(result.notes) - noted):
                report(Note(text, warning=True))
            noted.update(result.notes)
        report(ExportProgress(done, len(subjects)))
    return sorted(artifacts, key=lambda artifact: artifact.name), failures


def _subjects(spaces: Sequence[Space], nets: Sequence[Net]) -> list[Subject]:
    return [*(op for op in distinct_operators(spaces) if op.is_measured), *nets]


def _next_revision(base: Metadata, path: Path) -> Metadata:
    """base with the revision after that of the LUT at path; UsageError where that LUT is of something else.

    An estimate or an import of the same device gives way whatever it covers: a measurement is what replaces it.
    """
    if not path.exists():
        return base
    old = read_lut(path).metadata
    if old.provenance != "measured" and old.device == base.device:
        return replace(base, revision=old.revision + 1, previous=file_sha256(path))
    for name in ("device", "dtype", "threads", "batch"):
        mine, theirs = getattr(base, name), getattr(old, name)
        if mine != theirs:
            raise UsageError(f"the LUT there has {name} {theirs}, not {mine}", path=path, remedy="give another -o")
    cores, old_cores = (str(meta.environment.get(CORE_CHOICE, "")) for meta in (base, old))
    if cores != old_cores:
        raise UsageError(
            f"the LUT there was measured on --cores {old_cores}, not {cores}", path=path, remedy="give another -o"
        )
    if _without_version(old.runtime) != _without_version(base.runtime):
        raise UsageError(f"the LUT there is of {old.runtime}, not {base.runtime}", path=path, remedy="give another -o")
    if old.space != base.space:
        raise UsageError(
            f"the LUT there covers {old.space.name} at {list(old.space.resolutions)} x {list(old.space.widths)}",
            path=path,
            remedy="give another -o, or the same --space, --resolution and --width",
        )
    return replace(base, revision=old.revision + 1, previous=file_sha256(path))


def _without_version(runtime: str) -> list[str]:
    """torch 2.13.0 (x86) -> torch, (x86)"""
    package, *rest = runtime.split()
    return [package, *rest[1:]]


def _identity(
    base: Metadata, request: ProfileRequest, artifacts: Sequence[Artifact], device: DeviceInfo
) -> dict[str, Any]:
    """What a journal's samples belong to: a run that differs in any of it must not go on with them."""
    protocol = request.protocol
    return {
        "device": base.device,
        "cpu": device.cpu,
        **device_identity(device),
        "runtime": base.runtime,
        "dtype": base.dtype,
        "threads": base.threads,
        "space": base.space.name,
        "resolutions": list(base.space.resolutions),
        "widths": list(base.space.widths),
        "seed": request.seed,
        "warmup": [protocol.warmup, protocol.net_warmup],
        "artifacts": _digest({artifact.name: artifact.sha256 for artifact in artifacts}),
    }


def device_identity(device: DeviceInfo) -> dict[str, Any]:
    """What of a phone decides its times beside the processor; nothing for a device that has no such choice."""
    return {key: device.environment[key] for key in (CORE_CHOICE, BUNDLE) if key in device.environment}


def _digest(values: Mapping[str, str]) -> str:
    return hashlib.sha256("\n".join(f"{k} {v}" for k, v in sorted(values.items())).encode()).hexdigest()


def install_artifacts(
    agent: Agent, artifacts: Sequence[Artifact], failures: Sequence[Failure], journal: Journal, canaries: Canaries
) -> None:
    """Loads everything; what fails is journalled once and costs its row; a canary must not fail."""
    failures = [*failures, *agent.install(artifacts)]
    new = [failure for failure in failures if failure.artifact not in journal.measurements.failures]
    journal.append({"failed": failure.artifact, "reason": failure.reason} for failure in new)
    for canary in canaries.all:
        reason = journal.measurements.failures.get(canary.artifact)
        if reason:
            raise DeviceError(f"the canary cannot run: {reason}", operator=canary.artifact)
