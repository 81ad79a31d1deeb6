"""Opening a phone: the connection, the locks, what is checked before anything runs, and the agent over it."""

from __future__ import annotations

import fnmatch
import re
from contextlib import ExitStack
from pathlib import Path

from lutbench.device_agents.agent import UNREADABLE, AgentSettings, unheard
from lutbench.device_agents.android.agent import AndroidAgent
from lutbench.device_agents.android.awake import StayAwake
from lutbench.device_agents.android.changes import Changes
from lutbench.device_agents.android.connection import Connection
from lutbench.device_agents.android.cores import settle_cores
from lutbench.device_agents.android.describe import State, read_state
from lutbench.device_agents.android.find import Wanted, connect
from lutbench.device_agents.android.install import ROOT, clean
from lutbench.device_agents.android.limits import Limits
from lutbench.device_agents.android.lock import PhoneLock, host_id, phone_id
from lutbench.device_agents.android.process import end_jobs
from lutbench.device_agents.android.watch import PhoneWatch
from lutbench.device_agents.remote.agent import Patience
from lutbench.device_agents.remote.reference import Reference
from lutbench.device_agents.runner.build import build_bundle
from lutbench.device_agents.runner.bundle import Bundle, read_bundle
from lutbench.errors import DeviceError
from lutbench.events import Note, Report
from lutbench.files import default_cache_folder
from lutbench.locks import device_lock

TARGETS = {"arm64-v8a": "android-arm64", "x86_64": "android-x86_64"}  # by the phone's ABI
FIXED_PERFORMANCE_API = 30  # Android 11


def open_phone(wanted: Wanted, config: Path, settings: AgentSettings, patience: Patience | None = None) -> AndroidAgent:
    """The agent for the phone that is meant, which nobody else measures on until it is closed.

    config: the folder of the adb keys. DeviceError where the phone is not there, not the model, or in use.
    """
    patience = patience or Patience()
    report = settings.report
    with ExitStack() as stack:
        connection = reach_phone(wanted, config, report, patience, stack)
        state = read_state(connection)
        check_model(wanted, state, settings)
        if state.is_emulated:
            report(Note("this phone is emulated: what it takes says nothing about any device", warning=True))
        reference = stack.enter_context(Reference(settings.runtime))
        bundle = read_bundle(Path(wanted.bundle)) if wanted.bundle else _usual_bundle(state, settings, connection.label)
        lock = hold_phone(connection, state, wanted, stack)
        end_jobs(connection)
        changes = begin_changes(connection, stack, report)
        if changes.was_left:
            state = read_state(connection)  # as the phone was before that run
        awake = StayAwake(changes, report, state)
        awake.begin(state)
        if settings.fixed_performance:
            fix_performance(changes, state, connection.label)
        watch = watch_over(connection, state, settings, wanted.limits, lock, awake)
        held = stack.pop_all()
        return AndroidAgent(connection, lock, bundle, settings, watch, patience, held, reference)


def begin_changes(connection: Connection, stack: ExitStack, report: Report) -> Changes:
    """What is changed of the phone from now on is put back by the stack; what a run that was ended left, at once."""
    changes = Changes(connection)
    if changes.put_back_earlier():
        report(Note("an earlier run was ended before it could put the phone's settings back: done now"))
    stack.callback(changes.put_back)
    return changes


def watch_over(
    connection: Connection, state: State, settings: AgentSettings, limits: Limits, lock: PhoneLock, awake: StayAwake
) -> PhoneWatch:
    """Looks after the phone while it measures on the cores that are asked for; waits for those that are away."""
    chosen = settle_cores(
        state,
        lambda: read_state(connection, changing_only=True).within(state),
        settings.cores or "all",
        settings.threads,
        connection.label,
        settings.report,
    )
    return PhoneWatch(
        connection,
        settings.report,
        state,
        chosen.cores,
        settings.threads,
        limits,
        awake,
        alive=lock.beat,
        heat_wait=settings.heat_wait,
    )


def fix_performance(changes: Changes, state: State, label: str) -> None:
    """DeviceError where the phone has no fixed performance mode."""
    remedy = "leave out --fixed-performance"
    if (api := state.api_level) is not None and api < FIXED_PERFORMANCE_API:
        raise DeviceError(
            f"fixed performance mode came with Android 11, this phone has API {api}", device=label, remedy=remedy
        )
    refused = changes.fix_performance()
    if refused:
        raise DeviceError(f"the phone has no fixed performance mode: {refused}", device=label, remedy=remedy)


def clean_phone(wanted: Wanted, config: Path) -> int:
    """Removes what lutbench keeps on the phone; bytes freed. DeviceError where it is in use."""
    with ExitStack() as stack:
        connection = reach_phone(wanted, config, unheard, Patience(), stack)
        state = read_state(connection)
        hold_phone(connection, state, wanted, stack)
        end_jobs(connection)
        Changes(connection).put_back_earlier()
        return clean(connection)


def reach_phone(wanted: Wanted, config: Path, report: Report, patience: Patience, stack: ExitStack) -> Connection:
    """A connection to the phone that is meant, which the stack closes. DeviceError where it does not answer."""

    def ask() -> None:
        report(Note("unlock the phone and tap Allow on it: it asks whether to trust this machine"))

    connection = connect(wanted, config, ask, patience.reconnect_s, report)
    stack.callback(connection.close)
    return connection


def hold_phone(connection: Connection, state: State, wanted: Wanted, stack: ExitStack) -> PhoneLock:
    """Keeps everybody else off the phone: other processes of this machine first, then other machines."""
    locks = default_cache_folder() / "locks"
    name = lock_name(state, connection.label, phone_id(connection, ROOT))
    stack.enter_context(device_lock(name, wanted.name))
    lock = PhoneLock(connection, ROOT, host_id(locks))
    lock.acquire()
    stack.callback(lock.release)
    return lock


def _usual_bundle(state: State, settings: AgentSettings, label: str) -> Bundle:
    abi = state.properties.get("ro.product.cpu.abi", "arm64-v8a")
    if abi not in TARGETS:
        raise DeviceError(
            f"its system is built for {abi}, and there is a runner for {' and '.join(TARGETS)}", device=label,
            remedy="a runner of your own can be named as `bundle` in devices.toml",
        )  # fmt: skip
    return build_bundle(TARGETS[abi], say=lambda text: settings.report(Note(f"building the phone's runner: {text}")))


def check_model(wanted: Wanted, state: State, settings: AgentSettings) -> None:
    """DeviceError where the phone is another model than its name stands for; a note where that is forced."""
    model = state.properties.get("ro.product.model", UNREADABLE)
    if not wanted.model or fnmatch.fnmatchcase(model, wanted.model):
        return
    what = f"the phone attached is a {model}, not a {wanted.model}"
    if not settings.force:
        raise DeviceError(
            what, device=wanted.name, remedy="--force measures it all the same, --device android any phone"
        )
    settings.report(Note(f"{what}: the LUT says so", warning=True))


def lock_name(state: State, label: str, phone: str = "") -> str:
    """The name of the host's lock: the phone's own serial number, however it is reached.

    phone: as phone_id has it.
    """
    serial = state.properties.get("ro.serialno") or state.properties.get("ro.boot.serialno") or label
    name = re.sub(r"[^A-Za-z0-9_-]", lambda found: f".{ord(found[0]):x}.", serial)[:100]
    return f"android-{name}" + (f"-{phone}" if phone else "")
