"""profile: every operator of a space, exported, timed on a device, and written as a LUT."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from lutbench import __version__
from lutbench.device_agents.agent import CORE_CHOICE, FIXED_PERFORMANCE, AgentSettings, DeviceInfo
from lutbench.device_agents.registry import check_measurable, open_agent
from lutbench.errors import UsageError
from lutbench.events import Note, Report
from lutbench.export.artifact import Artifact
from lutbench.export.cache import ArtifactCache
from lutbench.export.exporters import Exporter, find_exporter
from lutbench.export.onnx_layout import block_channels
from lutbench.export.own_code import counted_anew
from lutbench.files import check_writable, default_cache_folder, file_sha256
from lutbench.jobs.artifacts import (
    batch_identity,
    device_identity,
    export_workloads,
    install_artifacts,
)
from lutbench.jobs.chain_profile import (
    chain_quality,
    chain_workloads,
    install_chains,
    install_nets,
    note_failures,
    placement,
    timed,
)
from lutbench.jobs.chain_rounds import ChainCampaign
from lutbench.jobs.check import LookFirst, look_first_at_phone
from lutbench.jobs.device_hold import OpenAgent, held
from lutbench.jobs.journal_notes import report_journal
from lutbench.jobs.lut_sections import (
    context_section,
    delegation_section,
    environment_section,
    lut_rows,
    quality_section,
    warn_of_error,
)
from lutbench.jobs.machine_state import note_canary
from lutbench.jobs.measure_request import DEFAULT_DTYPE, DEFAULT_RUNTIME, MeasureRequest
from lutbench.jobs.operator_rounds import Campaign
from lutbench.jobs.processes import process_starts
from lutbench.jobs.quiet import Waiting, wait_for_quiet
from lutbench.jobs.tuning import choose_canaries, draw_tuning_nets
from lutbench.locks import folder_lock
from lutbench.lut.definitions import what_differs
from lutbench.lut.file import read_lut, write_lut
from lutbench.lut.journal_place import journal_folder, set_aside
from lutbench.lut.metadata import Metadata, space_section, timestamp
from lutbench.lut.runtime_name import RuntimeName
from lutbench.lut.table import Lut
from lutbench.measure.in_net import Setting
from lutbench.measure.journal import Journal
from lutbench.measure.protocol import Failure, Protocol
from lutbench.space.find import find_spaces
from lutbench.space.macro import Space, distinct_operators
from lutbench.space.net import Net


@dataclass(frozen=True, kw_only=True)
class ProfileRequest(MeasureRequest):
    """What to measure.

    resolutions, widths: none means the space's own and 1.0.
    output: none means the device's LUT.
    engine: of a runtime that has several; none means the machine's default.
    """

    engine: str = ""
    space: str = "fbnet"
    resolutions: tuple[int, ...] = ()
    widths: tuple[float, ...] = (1.0,)
    seed: int = 0
    protocol: Protocol = field(default_factory=Protocol)

    @property
    def environment(self) -> dict[str, Any]:
        """The part that has to be the same in a LUT that this one follows."""
        return {
            **({CORE_CHOICE: self.chosen_cores} if self.chosen_cores else {}),
            **({FIXED_PERFORMANCE: True} if self.fixed_performance else {}),
        }

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
                (f"batch{self.batch}", "batch1"),
                ("fixed" if self.fixed_performance else "", ""),
            )
            if name != usual
        ]
        path = self.device.lut
        return path.with_name("_".join([path.stem, *extra]) + path.suffix)


def profile(
    request: ProfileRequest,
    report: Report,
    open_device: OpenAgent = open_agent,
    look_first: LookFirst = look_first_at_phone,
) -> Lut:
    """Measures and writes the LUT; goes on where an earlier run of the same request stopped.

    InterruptedRunError on Ctrl-C; that and every other LutbenchError leave the journal as it is.
    """
    request.device.check_phone_only(fixed_performance=request.fixed_performance)
    check_measurable(request.device, request.runtime)
    exporter = find_exporter(request.runtime, request.dtype, request.engine, request.batch)
    check_writable(request.lut_path)
    spaces, definition = counted_anew(*find_spaces(request.space, request.resolutions, request.widths))
    base = Metadata(
        device=request.device.name,
        runtime=exporter.runtime_version,
        dtype=request.dtype,
        threads=request.threads,
        batch=request.batch,
        space=space_section(spaces, definition),
        lutbench=__version__,
        environment=request.environment,
    )
    journals = journal_folder(request.lut_path)
    with folder_lock(journals), held(request.device, journals):
        revised = _next_revision(base, request.lut_path)
        measure = _measure_chains if exporter.by_chains else _measure
        lut = measure(request, exporter, spaces, revised, report, open_device, look_first)
        write_lut(lut, request.lut_path)
    return lut


def _measure(
    request: ProfileRequest,
    exporter: Exporter,
    spaces: Sequence[Space],
    base: Metadata,
    report: Report,
    open_device: OpenAgent,
    look_first: LookFirst,
) -> Lut:
    """Exports, installs and measures everything.

    base: the LUT's metadata as far as it is known beforehand.
    """
    started = time.monotonic()
    journal_path, settings = _begin(request, exporter, spaces, base.revision, report)
    nets, artifacts, failures = _exported(request, exporter, spaces, report)
    failed = {failure.artifact for failure in failures}
    canaries = choose_canaries(spaces, request.protocol, request.batch, failed)
    outside = delegation_section(artifacts, exporter.delegate, report)
    look_first(request.device, settings, next(iter(artifacts), None))
    with open_device(request.device, settings) as agent:
        before = agent.describe()
        with Journal(journal_path, _identity(base, request, artifacts, before), canaries.all) as journal:
            report_journal(journal, report)
            install_artifacts(agent, artifacts, failures, journal, canaries)
            wait_for_quiet(Waiting(request.wait_quiet_s), agent, canaries.nets, artifacts, request.device, settings)
            blocks = _block_channels(request, exporter)
            setting = Setting(blocks, request.threads, request.dtype, exporter.package, request.batch)
            campaign = Campaign(spaces, nets, canaries, journal, agent, request.protocol, request.seed, report, setting)
            context = campaign.run()
            warn_of_error(context, settings.threads, report)
            rows = lut_rows(spaces, context, journal.measurements, process_starts(journal))
            wall_s = time.monotonic() - started
            metadata = replace(
                base,
                measured_at=timestamp(),
                context=context_section(context, nets, canaries, journal.measurements),
                environment=environment_section(before.environment, agent.describe().environment),
                quality=quality_section(rows, request.protocol, canaries.all, journal, wall_s) | outside,
            )
            note_canary(settings, request.device, before, artifacts, canaries.nets, journal.measurements)
    return Lut(metadata, rows, request.lut_path)


def _block_channels(request: ProfileRequest, exporter: Exporter) -> int:
    """Of the layout in which the runtime keeps activations: this machine's ONNX Runtime can be asked, a phone's not."""
    is_asked = request.device.kind == "host" and exporter.package == "onnxruntime" and request.dtype == "fp32"
    return block_channels() if is_asked else 0


def _measure_chains(
    request: ProfileRequest,
    exporter: Exporter,
    spaces: Sequence[Space],
    base: Metadata,
    report: Report,
    open_device: OpenAgent,
    look_first: LookFirst,
) -> Lut:
    """_measure of a runtime whose calls cost more than operators: chains of copies are exported and timed."""
    started = time.monotonic()
    journal_path, settings = _begin(request, exporter, spaces, base.revision, report)
    operators, cache = distinct_operators(spaces), ArtifactCache(default_cache_folder())
    artifacts, failures = export_workloads(chain_workloads(operators), exporter, request.dtype, cache, report)
    look_first(request.device, settings, next(iter(artifacts), None))
    with open_device(request.device, settings) as agent:
        before = agent.describe()
        installed = install_chains(agent, operators, artifacts, failures, exporter.engine)
        nets = draw_tuning_nets(spaces, request.seed, installed.failed_operators)
        more, failures = export_workloads(nets, exporter, request.dtype, cache, report)
        installed = install_nets(agent, more, replace(installed, failures=(*installed.failures, *failures)))
        plan, artifacts = installed.plan(request.protocol), [*artifacts, *more]
        # the runtime is the system's, and which unit takes what is its choice
        own = {"os": before.os, "units": _digest(placement(installed.units)), "canary": plan.canary.artifact}
        identity = _identity(base, request, artifacts, before) | own
        with Journal(journal_path, identity, (plan.canary,)) as journal:
            report_journal(journal, report)
            note_failures(journal, installed, operators, report)
            wait_for_quiet(Waiting(request.wait_quiet_s), agent, plan.canary, artifacts, request.device, settings)
            campaign = ChainCampaign(plan, journal, agent, request.protocol, request.seed, report)
            campaign.run()
            found = timed(campaign, plan, operators, nets, journal)
            metadata = replace(
                base,
                measured_at=timestamp(),
                context=found.context,
                environment=environment_section(before.environment, agent.describe().environment),
                quality=chain_quality(found.rows, plan, request.protocol, journal, time.monotonic() - started),
            )
            note_canary(settings, request.device, before, artifacts, plan.canary, journal.measurements)
    return Lut(metadata, found.rows, request.lut_path)


def _begin(
    request: ProfileRequest, exporter: Exporter, spaces: Sequence[Space], revision: int, report: Report
) -> tuple[Path, AgentSettings]:
    """Says what is coming; the revision's journal, with one that is not to be gone on with set aside, and what an agent
    has to know."""
    _announce(spaces, report)
    journal_path = journal_folder(request.lut_path) / f"r{revision}.jsonl"
    if request.fresh:
        set_aside(journal_path)
    return journal_path, replace(request.settings(report), engine=exporter.engine)


def _exported(
    request: ProfileRequest, exporter: Exporter, spaces: Sequence[Space], report: Report
) -> tuple[tuple[Net, ...], list[Artifact], list[Failure]]:
    """Tuning nets, artifacts of them and of every operator, and what could not be exported.

    Where operators cannot, the nets are drawn again from the others, for what is left of the first ones may be too few.
    """
    operators = [op for op in distinct_operators(spaces) if op.is_measured]
    cache = ArtifactCache(default_cache_folder())
    nets = draw_tuning_nets(spaces, request.seed, dtype=request.dtype)
    artifacts, failures = export_workloads([*operators, *nets], exporter, request.dtype, cache, report)
    own = {operator.name for operator in operators}
    failed = own & {failure.artifact for failure in failures}
    if not failed:
        return nets, artifacts, failures
    first = {net.key: net for net in nets}
    nets = draw_tuning_nets(spaces, request.seed, failed, request.dtype)
    more, further = export_workloads([n for n in nets if n.key not in first], exporter, request.dtype, cache, report)
    names = own | {net.key for net in nets}
    artifacts = sorted((a for a in (*artifacts, *more) if a.name in names), key=lambda artifact: artifact.name)
    return nets, artifacts, [failure for failure in (*failures, *further) if failure.artifact in names]


def _announce(spaces: Sequence[Space], report: Report) -> None:
    """Says how many operators there are, where a space's choices of channels and resolution make them many."""
    if any(space.has_choices for space in spaces):
        count = sum(operator.is_measured for operator in distinct_operators(spaces))
        names = ", ".join(dict.fromkeys(space.name for space in spaces))
        report(Note(f"{count:,} operators of {names} to export and measure: the grid of its channels and resolutions"))


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
    if bool(old.environment.get(FIXED_PERFORMANCE)) != bool(base.environment.get(FIXED_PERFORMANCE)):
        raise UsageError(
            "of this LUT and the one there, one is of --fixed-performance", path=path, remedy="give another -o"
        )
    if _without_version(old.runtime) != _without_version(base.runtime):
        raise UsageError(f"the LUT there is of {old.runtime}, not {base.runtime}", path=path, remedy="give another -o")
    apart = what_differs(old.space, base.space) if old.space.name == base.space.name else ""
    if apart:
        raise UsageError(
            f"the LUT there was measured with another {apart}",
            path=path,
            remedy="give another -o, or another name to the space",
        )
    if replace(old.space, definition=base.space.definition) != base.space:
        raise UsageError(
            f"the LUT there covers {old.space.name} at {list(old.space.resolutions)} x {list(old.space.widths)}",
            path=path,
            remedy="give another -o, or the same --space, --resolution and --width",
        )
    return replace(base, revision=old.revision + 1, previous=file_sha256(path))


def _without_version(runtime: str) -> RuntimeName:
    """torch 2.13.0 (x86) -> torch (x86); whatever else a name says behind the version stays."""
    name = RuntimeName.parse(runtime)
    return replace(name, version=name.version.partition(" ")[2])


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
        **batch_identity(base.batch),
        "space": base.space.name,
        "resolutions": list(base.space.resolutions),
        "widths": list(base.space.widths),
        "seed": request.seed,
        "warmup": [protocol.warmup, protocol.net_warmup, protocol.net_warmup_most],
        "artifacts": _digest({artifact.name: artifact.sha256 for artifact in artifacts}),
    }


def _digest(values: Mapping[str, str]) -> str:
    return hashlib.sha256("\n".join(f"{k} {v}" for k, v in sorted(values.items())).encode()).hexdigest()
