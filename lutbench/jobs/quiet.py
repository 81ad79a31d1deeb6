"""--wait-quiet: before anything is timed, waits until the machine is as fast as it usually is.

A neighbour that slows a machine for minutes disturbs every sample alike. The canary, a small net, is timed until it
takes what it took in the machine's earlier runs (`machine_state`); on a machine without earlier runs, until its own
times agree with each other.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import median

from lutbench.device_agents.agent import Agent, AgentSettings
from lutbench.device_agents.registry import Device
from lutbench.events import Note
from lutbench.export.artifact import Artifact
from lutbench.jobs.artifacts import canary_identity
from lutbench.jobs.machine_state import SLOWER, usual_us
from lutbench.measure.protocol import Batch, Canary, Cycle, Samples
from lutbench.measure.statistics import quantile
from lutbench.units import format_latency, format_seconds, us_from_ns

_WARMUP, _LOOKS = 3, 40  # invocations of the canary before and in a look
_FAST = 0.1  # quantile of a look's readings that stands for an undisturbed one
_PAUSE_S = 5.0


@dataclass(frozen=True)
class Waiting:
    """A time to wait, and the clock to wait by; tests give another one."""

    limit_s: float
    now: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep


def wait_for_quiet(
    waiting: Waiting,
    agent: Agent,
    canary: Canary,
    artifacts: Sequence[Artifact],
    device: Device,
    settings: AgentSettings,
) -> bool:
    """Whether the machine came to be quiet; at once where it is, or nothing is to be waited for.

    artifacts: of the run, installed; the canary is among them, unless it could not be made. Where the time is over the
    run goes on, with a warning: what is timed says itself how much of it was disturbed.
    """
    own = next((artifact for artifact in artifacts if artifact.name == canary.artifact), None)
    if waiting.limit_s <= 0 or own is None:
        return True
    usual = usual_us(canary_identity(device, agent.describe(), own, settings.threads))
    started, told = waiting.now(), False
    while True:
        readings = _look(agent, canary)
        if not readings:
            return True  # the canary does not run, which the run itself says
        quiet_us = SLOWER * (usual if usual is not None else us_from_ns(quantile(readings, _FAST)))
        now_us = us_from_ns(median(readings))
        waited_s = waiting.now() - started
        if now_us <= quiet_us:
            if told:
                settings.report(Note(f"the machine is quiet after {format_seconds(waited_s)}"))
            return True
        if waited_s >= waiting.limit_s:
            settings.report(Note(_over(now_us, quiet_us / SLOWER, waiting.limit_s), warning=True))
            return False
        if not told:
            settings.report(Note(_busy(now_us, quiet_us / SLOWER, waiting.limit_s)))
            told = True
        waiting.sleep(min(_PAUSE_S, max(0.0, waiting.limit_s - waited_s)))


def _look(agent: Agent, canary: Canary) -> list[int]:
    """The canary's readings of a moment, nanoseconds, the fastest first."""
    batch = Batch((Cycle((canary.artifact,), 0, _WARMUP, _LOOKS, canary.name),), (canary,))
    samples = [outcome for outcome in agent.measure(batch) if isinstance(outcome, Samples)]
    return sorted(reading for one in samples for reading in one.canary_ns)


def _busy(now_us: float, usual: float, limit_s: float) -> str:
    return (
        f"waiting up to {format_seconds(limit_s)} until the machine is quiet: the canary, a small net, takes"
        f" {format_latency(now_us)}, and {format_latency(usual)} when it is"
    )


def _over(now_us: float, usual: float, limit_s: float) -> str:
    return (
        f"the machine was not quiet within {format_seconds(limit_s)}: the canary still takes {format_latency(now_us)},"
        f" not {format_latency(usual)}; going on all the same"
    )
