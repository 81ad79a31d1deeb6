"""An iPhone's check list: from reaching its app to one operator measured, each with what was found and what to do."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import replace
from typing import Any

from lutbench import __version__
from lutbench.device_agents.agent import AgentSettings, unheard
from lutbench.device_agents.ios.connection import RECONNECT_S, AppConnection
from lutbench.device_agents.ios.describe import describe
from lutbench.device_agents.ios.find import WantedIphone
from lutbench.device_agents.ios.link import whole_of
from lutbench.device_agents.ios.opening import check_model, check_runtime, hold_iphone, open_iphone
from lutbench.device_agents.ios.watch import NOMINAL, hindrance_of
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
from lutbench.errors import DeviceError
from lutbench.export.artifact import Artifact

_NEEDED_BYTES = 100_000_000  # a space's artifacts, one of which arrives beside


def check_iphone(
    wanted: WantedIphone,
    settings: AgentSettings,
    runtime: str,
    artifact: Artifact,
    say: Say = lambda _check: None,
    patience: Patience | None = None,
) -> PhoneReport:
    """Goes through the list; it ends at the first check without which the next cannot be made.

    runtime: name and version of what exports here.
    artifact: what is measured in the end.
    say: hears each check as it is done.
    """
    checks = Checklist(say)
    patience = patience or Patience(reconnect_s=RECONNECT_S)
    environment: dict[str, Any] = {}
    try:
        with ExitStack() as stack:
            connection, kind = hold_iphone(wanted, unheard, patience, settings.heat_wait, stack)
            state = connection.state()
            info = describe(connection.opened, state, kind)
            environment = dict(info.environment)
            checks.done(
                _reached(wanted, connection, settings, f"{info.model} ({environment['model']}), {info.os}, {kind}")
            )
            checks.done(_app(connection.opened.app))
            checks.done(_runtime(connection, settings.job_engine, runtime))
            checks.done(_space(connection))
            for check in (_front(state), _power(state), _heat(state), _battery(state, wanted.least_battery_percent)):
                checks.done(check)
    except DeviceError as error:
        checks.done(failed_check("reach", error))
    if not checks.has_failed:
        quiet = replace(settings, report=unheard)
        checks.done(operator_check(lambda: open_iphone(wanted, quiet, runtime, patience), artifact)[0])
    return checks.report(environment, {})


def _reached(wanted: WantedIphone, connection: AppConnection, settings: AgentSettings, found: str) -> Check:
    try:
        check_model(wanted, connection.opened, replace(settings, report=unheard))
    except DeviceError as error:
        return failed_check("reach", error)
    return Check("reach", OK, found)


def _app(version: str) -> Check:
    """Its protocol is this lutbench's, or it would not have been reached; its version may be another."""
    if version == __version__:
        return Check("app", OK, f"version {version}")
    return Check(
        "app", NOTE, f"version {version or 'unknown'}, this lutbench is {__version__}",
        "build and install it from the sources of this very lutbench",
    )  # fmt: skip


def _runtime(connection: AppConnection, engine: str, runtime: str) -> Check:
    try:
        check_runtime(connection.opened, engine, runtime, connection.label)
    except DeviceError as error:
        return failed_check("runtime", error)
    return Check("runtime", OK, f"{runtime}, there and here")


def _space(connection: AppConnection) -> Check:
    free = whole_of(connection.ask({"missing": []}), "free_bytes")
    found = f"{free / 1e6:.0f} MB left"
    if free < _NEEDED_BYTES:
        return Check(
            "space", FAILED, f"{found}, {_NEEDED_BYTES / 1e6:.0f} are needed", "delete something on the iPhone"
        )
    return Check("space", OK, found)


def _front(state: dict[str, Any]) -> Check:
    if state.get("foreground") is False:
        return Check("front", NOTE, "another app is in front, and is waited for", "open lutbench on the iPhone")
    return Check("front", OK, "the app is in front")


def _power(state: dict[str, Any]) -> Check:
    if state.get("low_power") is True:
        return Check("power", NOTE, "low-power mode is on, and is waited for", "switch it off in Settings > Battery")
    return Check("power", OK, "low-power mode is off")


def _heat(state: dict[str, Any]) -> Check:
    thermal = state.get("thermal")
    if thermal == NOMINAL:
        return Check("heat", OK, f"thermal state {NOMINAL}")
    hindrance = hindrance_of({"thermal": thermal}, 0, heat_wait=True)
    return Check("heat", NOTE, f"thermal state {thermal}, and is waited for", hindrance.remedy if hindrance else "")


def _battery(state: dict[str, Any], least_percent: int) -> Check:
    level, charging = state.get("battery"), state.get("charging") is True
    if isinstance(level, bool) or not isinstance(level, int | float) or level < 0:
        return Check("battery", NOTE, "iOS does not say how full it is", "see to it that it is charged")
    found = f"{100 * level:.0f} %, {'charging' if charging else 'not charging'}"
    low = hindrance_of({**state, "foreground": True, "low_power": False}, least_percent, heat_wait=False)
    if low is None:
        return Check("battery", OK, found)
    return Check("battery", FAILED if low.hopeless else NOTE, f"{found}; {least_percent} % is the least", low.remedy)
