"""Opening an iPhone: its app is reached, everybody else is kept off, what is checked before anything runs."""

from __future__ import annotations

import re
import secrets
from contextlib import ExitStack

from lutbench.device_agents.agent import AgentSettings, unheard
from lutbench.device_agents.ios.agent import IphoneAgent
from lutbench.device_agents.ios.connection import RECONNECT_S, AppConnection
from lutbench.device_agents.ios.describe import model_name
from lutbench.device_agents.ios.find import WantedIphone, check_attached, reach
from lutbench.device_agents.ios.link import AppLink, Opened, whole_of
from lutbench.device_agents.ios.watch import AppWatch
from lutbench.device_agents.remote.agent import Patience
from lutbench.errors import DeviceError
from lutbench.events import Note, Report
from lutbench.locks import device_lock

WITH_EXECUTORCH = "Lutbench with ExecuTorch"  # the Xcode project's target


def open_iphone(
    wanted: WantedIphone, settings: AgentSettings, runtime: str, patience: Patience | None = None
) -> IphoneAgent:
    """The agent for the iPhone that is meant, which nobody else measures on until it is closed.

    runtime: name and version of what exports here, which the app has to have too; "" for one of iOS.
    DeviceError where the phone is not there, not the model, in use, or has another runtime.
    """
    patience = patience or Patience(reconnect_s=RECONNECT_S)
    with ExitStack() as stack:
        connection, kind = hold_iphone(wanted, settings.report, patience, settings.heat_wait, stack)
        opened = connection.opened
        check_model(wanted, opened, settings)
        check_runtime(opened, settings.job_engine, runtime, connection.label)
        watch = AppWatch(connection, settings.report, wanted.least_battery_percent, settings.heat_wait)
        return IphoneAgent(connection, kind, settings, watch, patience, stack.pop_all())


def clean_iphone(wanted: WantedIphone) -> int:
    """Removes what lutbench keeps in the app's folder; bytes freed. DeviceError where it is in use."""
    with ExitStack() as stack:
        connection, _ = hold_iphone(wanted, unheard, Patience(), True, stack)
        return whole_of(connection.ask({"clean": True}), "freed_bytes")


def check_model(wanted: WantedIphone, opened: Opened, settings: AgentSettings) -> None:
    """DeviceError where the phone is another model than its name stands for; a note where that is forced."""
    machine = str(opened.device.get("machine", ""))
    if wanted.fits(machine):
        return
    what = f"the iPhone is a {model_name(machine)} ({machine}), not a {wanted.model}"
    if not settings.force:
        raise DeviceError(what, device=wanted.name, remedy="--force measures it all the same, --device ios any iPhone")
    settings.report(Note(f"{what}: the LUT says so", warning=True))


def check_runtime(opened: Opened, engine: str, runtime: str, label: str) -> None:
    """DeviceError where the app has another runtime than this machine: a LUT holds one, and says which.

    runtime: "" for one that is part of iOS, whose version is that of iOS.
    """
    there = opened.runtimes.get(engine)
    if there is None:
        known = ", ".join(opened.runtimes) or "none"
        remedy = f"give another {'--runtime' if runtime else '--engine'}"
        if engine == "executorch":
            remedy = f'build Xcode\'s target "{WITH_EXECUTORCH}" (iOS 17 or later), or {remedy}'
        raise DeviceError(f"the app has no {engine} (it has: {known})", device=label, remedy=remedy)
    if runtime and there != runtime:
        name, _, version = there.partition(" ")
        raise DeviceError(
            f"the app has {there}, here is {runtime}: one LUT does not mix them", device=label,
            remedy=f"pip install {name}=={version}, or build the app with the other one",
        )  # fmt: skip


def hold_iphone(
    wanted: WantedIphone, report: Report, patience: Patience, heat_wait: bool, stack: ExitStack
) -> tuple[AppConnection, str]:
    """The app, opened for this run alone, and the kind of connection: it is let go of where the stack ends.

    Other processes of this machine are kept off first, then other machines.
    """
    check_attached(wanted)
    label, kind, make = reach(wanted)
    lock = re.sub(r"[^A-Za-z0-9_-]", lambda found: f".{ord(found[0]):x}.", label)[:100]
    stack.enter_context(device_lock(f"ios-{lock}", wanted.name))
    code = wanted.pairing_code() if wanted.address else None
    link = AppLink(make, label, secrets.token_hex(16), code, heat_wait)
    connection = AppConnection(link, report, patience.reconnect_s)
    stack.callback(connection.bye)
    connection.begin()
    return connection, kind
