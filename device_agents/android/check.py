"""A phone's check list: from reaching it to one operator measured, each with what was found and what to do."""

from __future__ import annotations

import hashlib
import tempfile
import time
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

from lutbench.device_agents.agent import AgentSettings, DeviceInfo, unheard
from lutbench.device_agents.android.awake import AWAKE, StayAwake, why_asleep
from lutbench.device_agents.android.connection import Connection
from lutbench.device_agents.android.cores import settle_cores
from lutbench.device_agents.android.describe import State, describe, processor_heat, read_state
from lutbench.device_agents.android.find import Wanted
from lutbench.device_agents.android.heat import battery_hindrance, heat_hindrance, is_capped
from lutbench.device_agents.android.install import ROOT, check_space, free_bytes, install_files
from lutbench.device_agents.android.limits import Limits
from lutbench.device_agents.android.opening import begin_changes, check_model, hold_phone, open_phone, reach_phone
from lutbench.device_agents.android.process import end_jobs
from lutbench.device_agents.android.zones import Thermometer
from lutbench.device_agents.remote.agent import Patience
from lutbench.device_agents.remote.checklist import (
    FAILED,
    NOTE,
    OK,
    Check,
    Checklist,
    PhoneReport,
    Say,
    failed_check,
    operator_check,
)
from lutbench.device_agents.remote.link import PushError
from lutbench.device_agents.remote.stored import StoredFile
from lutbench.errors import DeviceError
from lutbench.export.artifact import Artifact

_NEEDED_BYTES = 100_000_000  # the runner and a space's artifacts, while an archive of them lies beside
_PROBE_BYTES = 11_264  # of a size at which links have stood still: whole packets of USB
_HASHES = ("sha256sum", "sha1sum", "md5sum")
_SECTIONS_SHOWN = ("kernel", "online", "possible", "frequencies", "zones", "battery", "thermal", "power", "process")


def check_phone(
    wanted: Wanted,
    config: Path,
    settings: AgentSettings,
    artifact: Artifact,
    say: Say = lambda _check: None,
    patience: Patience | None = None,
) -> PhoneReport:
    """Goes through the list; it ends at the first check without which the next cannot be made.

    say: hears each.
    artifact: what is measured in the end.
    config: the folder of the adb keys.
    """
    checks = Checklist(say)
    environment: dict[str, Any] = {}
    sections: dict[str, str] = {}
    clock: Check | None = None  # its line waits for the operator, with which the runner tells what a reading takes
    with ExitStack() as stack:
        try:
            connection = reach_phone(wanted, config, settings.report, patience or Patience(), stack)
            state = read_state(connection)
            hold_phone(connection, state, wanted, stack)
            info = describe(state, connection.kind, [])
            checks.done(_reached(wanted, state, settings, info))
            environment = dict(info.environment)
            sections = {name: state.sections.get(name, "") for name in _SECTIONS_SHOWN}
            end_jobs(connection)
            for check in (_space(connection), _hash(connection), _tar(connection)):
                checks.done(check)
            changes = begin_changes(connection, stack, settings.report)
            if changes.was_left:
                state = read_state(connection)  # as the phone was before that run
            awake = StayAwake(changes, unheard, state)
            awake.begin(state)
            checks.done(_cores(connection, state, settings))
            checks.done(heat_check(state, wanted.limits))
            checks.done(wakefulness_check(awake.found, read_state(connection)))
            clock = _clock(connection)
        except DeviceError as error:
            checks.done(failed_check("reach", error))
    operator: Check | None = None
    if clock and clock.status != FAILED and not checks.has_failed:
        operator, clock_ns = operator_check(lambda: open_phone(wanted, config, settings, patience), artifact)
        clock = _with_cost(clock, clock_ns)
    for last in (clock, operator):
        if last is not None:
            checks.done(last)
    return checks.report(environment, sections)


def _reached(wanted: Wanted, state: State, settings: AgentSettings, info: DeviceInfo) -> Check:
    found = f"{info.make} {info.model}, {info.os}, {info.environment['connection']}"
    try:
        check_model(wanted, state, settings)
    except DeviceError as error:
        return failed_check("reach", error)
    if state.is_emulated:
        return Check("reach", NOTE, f"{found}; emulated", "its times say nothing about any device")
    return Check("reach", OK, found)


def _space(connection: Connection) -> Check:
    free = free_bytes(connection)
    if free is None:
        return Check("space", NOTE, "df does not say what is left", "see to it that 100 MB are")
    try:
        check_space(connection, _NEEDED_BYTES)
    except DeviceError as error:
        return failed_check("space", error)
    return Check("space", OK, f"{free / 1e6:.0f} MB left")


def _probe() -> bytes:
    return hashlib.shake_128(b"lutbench").digest(_PROBE_BYTES)


def _hash(connection: Connection) -> Check:
    """Pushes a file, and has the phone hash it with whatever it has."""
    place = f"{ROOT}/check/pushed"
    try:
        connection.push(_probe(), place)
    except PushError as error:
        return Check("hash", FAILED, f"the phone does not store a file: {error}", "free some of its space")
    tools = " ".join(_HASHES)
    text = connection.run(
        f"for tool in {tools}; do command -v $tool >/dev/null && {{ echo $tool; $tool {place}; break; }}; done"
        f"\nrm -rf {ROOT}/check"
    ).text.split()
    if len(text) < 2 or text[0] not in _HASHES:
        return Check("hash", FAILED, f"none of {tools} is there", "this phone's shell cannot be used: report it")
    expected = hashlib.new(text[0].removesuffix("sum"), _probe(), usedforsecurity=False).hexdigest()
    if text[1] != expected:
        return Check("hash", FAILED, f"{text[0]} finds other bytes than were sent", "try another cable")
    return Check("hash", OK, text[0])


def _tar(connection: Connection) -> Check:
    """Installs a file as artifacts are."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "probe"
        path.write_bytes(_probe())
        digest = hashlib.sha256(_probe()).hexdigest()
        try:
            install_files(connection, [StoredFile(path, f"check/{digest}", digest, _PROBE_BYTES)])
        except DeviceError as error:
            return failed_check("tar", error)
        finally:
            connection.run(f"rm -rf {ROOT}/check")
    return Check("tar", OK, "archives are unpacked as they were packed")


def _cores(connection: Connection, state: State, settings: AgentSettings) -> Check:
    try:
        chosen = settle_cores(
            state, lambda: read_state(connection, changing_only=True).within(state), settings.cores or "all",
            settings.threads, connection.label, settings.report,
        )  # fmt: skip
    except DeviceError as error:
        return failed_check("cores", error)
    speeds = {state.speeds.get(core, 0) for core in chosen.cores} - {0}
    speed = f" at up to {max(speeds)} kHz" if speeds else ", at speeds that cannot be read"
    found = f"{settings.cores or 'all'}: {', '.join(map(str, chosen.cores))} of {len(state.cores)}{speed}, in"
    found = f"{found} {state.scheduling_group.split(', ')[0]}"  # the cpuset; the report has the others too
    if chosen.away:
        away = ", ".join(map(str, chosen.away))
        return Check("cores", NOTE, f"{found}; {away} are away", "keep its screen on, and battery saving off")
    if not speeds:
        return Check("cores", NOTE, found, "name the big ones by a mask such as --cores 0xf0")
    return Check("cores", OK, found)


def heat_check(state: State, limits: Limits) -> Check:
    """What its sensors say, and whether it would be waited for."""
    thermometer = Thermometer(state.zones, limits.ignored_zones)
    heat = processor_heat(state, thermometer)
    battery, percent, status = state.battery_temperature_c, state.battery_percent, state.thermal_status
    found = ", ".join([
        f"processor {heat.celsius:.1f} °C by {heat.name}" if heat else "processor unseen",
        f"{len(thermometer.names)} zone{'' if len(thermometer.names) == 1 else 's'}",
        f"battery {battery:.1f} °C" if battery is not None else "battery's heat unreadable",
        f"{percent} % charged" if percent is not None else "charge unreadable",
        f"thermal status {status}" if status is not None else "no thermal status",
    ])  # fmt: skip
    empty = battery_hindrance(state, limits)
    if empty is not None:
        return Check("heat", FAILED if empty.hopeless else NOTE, f"{found}: {empty.what}", empty.remedy)
    hot = heat_hindrance(state, thermometer, limits, capped_from_the_start=is_capped(state))
    if hot is not None:
        return Check("heat", NOTE, f"{found}: {hot.what}, and is waited for", hot.remedy)
    if heat is None:
        return Check(
            "heat", NOTE, found, "measured all the same, and the LUT says so; please report the zones that --json lists"
        )
    return Check("heat", OK, found)


def wakefulness_check(found: str, state: State) -> Check:
    """The check of whether the phone stays awake.

    found: before it was woken.
    state: afterwards.
    """
    text = f"{found.lower()} when found, {state.wakefulness.lower()} now"
    if state.wakefulness not in (AWAKE, "unreadable"):
        return Check("wakefulness", NOTE, text, why_asleep(state))
    if state.low_power:
        return Check("wakefulness", NOTE, f"{text}; battery saving is on", "switch it off: Settings > Battery")
    if is_capped(state):
        text = f"{text}; a core is held below its highest frequency"
        return Check("wakefulness", NOTE, text, "let it cool, and switch its power-saving modes off")
    if state.is_powered is False:
        return Check("wakefulness", NOTE, f"{text}, without power", "plug it into power, so that its screen stays on")
    return Check("wakefulness", OK, text)


def _clock(connection: Connection) -> Check:
    before = time.time()
    text = connection.run("date +%s%N").text
    after = time.time()
    digits = text.removesuffix("%N").removesuffix("N")  # as Android 7 prints it
    if not (digits.isascii() and digits.isdigit()):
        return Check("clock", FAILED, f"date prints {text[:60]!r}", "this phone's shell cannot be used: report it")
    fine = len(digits) > 15
    phone_s = int(digits) / 1e9 if fine else float(digits)
    off_s = phone_s - (before + after) / 2
    return Check("clock", OK, f"{'nanoseconds' if fine else 'whole seconds'}, {round(off_s):+d} s from this machine's")


def _with_cost(clock: Check, clock_ns: int | None) -> Check:
    """With what one reading takes by the runner's own count; None: it was not told."""
    if clock_ns is None:
        return clock
    return replace(clock, found=f"{clock.found}; a reading takes {clock_ns} ns, which is taken off every time")
