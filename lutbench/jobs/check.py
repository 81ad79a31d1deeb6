"""The check list of a phone, and printing it before anything is measured on that phone for the first time."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

from lutbench.device_agents.agent import AgentSettings, unheard
from lutbench.device_agents.host.free_cores import check_free
from lutbench.device_agents.registry import Device, check_device, check_measurable, phone_label
from lutbench.device_agents.remote.checklist import FAILED, OK, Check, PhoneReport
from lutbench.errors import DeviceError
from lutbench.events import Event, Note, Report
from lutbench.export.artifact import Artifact
from lutbench.export.cache import ArtifactCache
from lutbench.export.exporters import find_exporter
from lutbench.files import default_cache_folder
from lutbench.jobs.artifacts import export_workloads
from lutbench.space.operator import parse_operator

OPERATOR = "ir_k3_e6_g1_64x14x14_64_s1"  # of the space's middle: neither the smallest nor the slowest
LookFirst = Callable[[Device, AgentSettings, Artifact | None], None]


def check(
    device: Device, runtime: str, cores: str, force: bool, say: Callable[[Check], None], hear: Report = unheard
) -> PhoneReport:
    """The list.

    say: hears each check as it is done. A phone that is not attached is its first line, not an error.
    hear: is told, once each, what is waited for: a tap on the phone, its runner being built.
    """
    said = set[Event]()

    def once(event: Event) -> None:
        if event not in said:  # the phone is opened twice: for the list, and for its last line
            said.add(event)
            hear(event)

    settings = AgentSettings(runtime, "int8", device.threads, device.cores_for(cores), force, report=once)
    try:
        check_measurable(device, runtime)
    except DeviceError as error:
        missing = Check("reach", FAILED, error.problem, error.remedy)
        say(missing)
        return PhoneReport((missing,), {}, {})
    exporter = find_exporter(runtime, "int8")
    cache = ArtifactCache(default_cache_folder())
    artifacts, failures = export_workloads([parse_operator(OPERATOR)], exporter, "int8", cache, unheard)
    if failures:
        raise DeviceError(f"it cannot be exported: {failures[0].reason}", operator=OPERATOR)
    report = check_device(device, settings, artifacts[0], say)
    if device.kind == "android":  # an iPhone's is not asked for before a first run
        _keep(device, report)
    return report


def look_first_at_phone(device: Device, settings: AgentSettings, artifact: Artifact | None) -> None:
    """Before the first run on a phone: the list, through settings.report. DeviceError where a check failed.

    Before every run of several threads on this machine: whether their cores are free, unless settings.force.
    """
    if device.kind == "host" and not settings.force:
        check_free(settings.threads)
    if device.kind != "android" or artifact is None or _record(device).exists():
        return

    def say(found: Check) -> None:
        settings.report(Note(line(found), warning=found.status != OK))

    settings.report(Note("the first run on this phone: its check list, as of `lutbench devices --check`"))
    report = check_device(device, settings, artifact, say)
    _keep(device, report)
    for failed in report.failed:
        raise DeviceError(f"{failed.name}: {failed.found}", device=device.name, remedy=failed.remedy)


def line(found: Check) -> str:
    """A check as one line."""
    return f"{found.name}: {found.status}: {found.found}" + (f" -> {found.remedy}" if found.remedy else "")


def _keep(device: Device, report: PhoneReport) -> None:
    """Remembers that this phone's list was gone through."""
    if not report.failed:
        path = _record(device)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("".join(f"{line(found)}\n" for found in report.checks), encoding="utf-8")


def _record(device: Device) -> Path:
    digest = hashlib.sha256(f"{device.name}\n{phone_label(device)}".encode()).hexdigest()
    return default_cache_folder() / "checked" / digest[:32]
