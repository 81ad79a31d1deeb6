"""A phone's check list, whatever its kind: its lines, and the last of them, an operator that is measured."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from statistics import median
from typing import Any

from lutbench.device_agents.remote.agent import RemoteAgent
from lutbench.device_agents.runner.facts import CLOCK_NS
from lutbench.errors import DeviceError
from lutbench.export.artifact import Artifact
from lutbench.measure.protocol import Batch, Canary, Cycle, Samples

OK, NOTE, FAILED = "ok", "note", "failed"
_RUNS = 20


@dataclass(frozen=True)
class Check:
    """One line of the list.

    status: ok, note (it can be measured, but) or failed.
    remedy: what to do, or "".
    """

    name: str
    status: str
    found: str
    remedy: str = ""


@dataclass(frozen=True)
class PhoneReport:
    """The whole list, as far as it came.

    environment, sections: what the phone said of itself, for a bug report.
    """

    checks: tuple[Check, ...]
    environment: dict[str, Any]
    sections: dict[str, str]

    @property
    def failed(self) -> tuple[Check, ...]:
        return tuple(check for check in self.checks if check.status == FAILED)


Say = Callable[[Check], None]


class Checklist:
    """The list as it grows; say hears each check as it is done."""

    def __init__(self, say: Say) -> None:
        self._say = say
        self._checks: list[Check] = []

    def done(self, check: Check) -> None:
        """Adds a line."""
        self._checks.append(check)
        self._say(check)

    @property
    def has_failed(self) -> bool:
        return any(check.status == FAILED for check in self._checks)

    def report(self, environment: dict[str, Any], sections: dict[str, str]) -> PhoneReport:
        """The list as far as it came, with what the phone said of itself."""
        return PhoneReport(tuple(self._checks), environment, sections)


def failed_check(name: str, error: DeviceError) -> Check:
    """The line that an error makes."""
    return Check(name, FAILED, error.problem, error.remedy)


def operator_check(open_agent: Callable[[], RemoteAgent], artifact: Artifact) -> tuple[Check, int | None]:
    """Installs, loads, compares and times one operator; and what a reading of the clock took there, nanoseconds."""
    batch = Batch((Cycle((artifact.name,), 0, 2, _RUNS, "check"),), (Canary("check", artifact.name, 1, 1.0),))
    try:
        with open_agent() as agent:
            for failure in agent.install([artifact]):
                reason = f"{failure.artifact}: {failure.reason}"
                return Check("operator", FAILED, reason, "please report it with --json"), None
            samples = [outcome for outcome in agent.measure(batch) if isinstance(outcome, Samples)]
            clock_ns = agent.describe().environment.get(CLOCK_NS)
    except DeviceError as error:
        return failed_check("operator", error), None
    times_us = [ns / 1000 for outcome in samples for ns in outcome.durations_ns]
    if not times_us:
        return Check("operator", FAILED, f"{artifact.name} gave no time", "please report it with --json"), clock_ns
    found = (
        f"{artifact.name} computes what it does here, and takes {median(times_us):.1f} us (median of {len(times_us)})"
    )
    return Check("operator", OK, found), clock_ns
