"""Whether a machine is as fast as it has been: the canaries of its earlier runs, kept in the cache.

A canary is a small net that is timed beside every sample. Within a run it shows which samples are disturbed; a machine
that is slow all along (a lower clock, a neighbour that never rests) disturbs every sample alike, and only its earlier
runs show it.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lutbench.device_agents.agent import AgentSettings, DeviceInfo
from lutbench.device_agents.registry import Device
from lutbench.errors import LutbenchError, OutputError
from lutbench.events import Note, Report
from lutbench.export.artifact import Artifact
from lutbench.files import default_cache_folder, write_atomically
from lutbench.jobs.artifacts import canary_identity
from lutbench.lut.metadata import timestamp
from lutbench.measure.measurements import Measurements
from lutbench.measure.protocol import Canary
from lutbench.measure.statistics import quantile
from lutbench.reading.files import is_there, read_bytes
from lutbench.reading.json_text import parse_json
from lutbench.reading.kinds import CACHE_NOTE
from lutbench.units import format_latency

SLOWER = 1.1  # times its usual time: two quiet runs' canaries differ by at most some 3 %
_USUAL_SHARE = 0.25  # quantile of the earlier runs: most of them may have been disturbed
_KEPT = 30  # runs


@dataclass(frozen=True)
class Reading:
    """A canary's time in its fast state in one run, microseconds, and when that run was."""

    at: str
    us: float


def note_canary(
    settings: AgentSettings,
    device: Device,
    found: DeviceInfo,
    artifacts: Sequence[Artifact],
    canary: Canary,
    data: Measurements,
) -> None:
    """Keeps the canary's time of a run that ends, and says where the machine is slower than it has been.

    artifacts: of the run; the canary is among them, unless it could not be made.
    """
    for artifact in artifacts:
        if artifact.name == canary.artifact:
            identity = canary_identity(device, found, artifact, settings.threads)
            note_state(identity, data.canary_reference_us(canary.name), settings.report)


def note_state(identity: dict[str, Any], canary_us: float, report: Report, folder: Path | None = None) -> float:
    """Keeps a canary's time of a run that ends, and says so where the machine is slower than it has been.

    identity: all that the canary's time depends on (device, processor, runtime, threads, the canary's file).
    folder: of the cache; None: the default one.
    Gives the time over its usual one; 1.0 where there is no earlier run.
    """
    if not canary_us > 0:
        return 1.0
    path = _path(identity, folder)
    earlier = _read(path)
    now = Reading(timestamp(), canary_us)
    kept = [*earlier, now][-_KEPT:]
    try:
        write_atomically(path, json.dumps([{"at": one.at, "us": one.us} for one in kept]).encode())
    except OutputError as error:  # what was measured is not to be lost for a memory's sake
        report(Note(f"the machine's state is not kept for later runs: {error}", warning=True))
    if not earlier:
        return 1.0
    usual = _usual_us(earlier)
    ratio = canary_us / usual
    if ratio > SLOWER:
        report(Note(_said(ratio, now, earlier, usual), warning=True))
    return ratio


def usual_us(identity: dict[str, Any], folder: Path | None = None) -> float | None:
    """What a canary usually takes here, by its earlier runs, microseconds; None where there is none."""
    earlier = _read(_path(identity, folder))
    return _usual_us(earlier) if earlier else None


def _usual_us(earlier: Sequence[Reading]) -> float:
    return quantile(sorted(one.us for one in earlier), _USUAL_SHARE)


def _path(identity: dict[str, Any], folder: Path | None) -> Path:
    digest = hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest()
    return (folder or default_cache_folder()) / "machine" / f"{digest[:32]}.json"


def _said(ratio: float, now: Reading, earlier: list[Reading], usual: float) -> str:
    since = now.at
    for one in reversed(earlier):
        if one.us <= SLOWER * usual:
            break
        since = one.at
    return (
        f"the machine is {ratio:.2f} times as slow as in its earlier runs: the canary, a small net beside every sample,"
        f" takes {format_latency(now.us)}, usually {format_latency(usual)} ({len(earlier)} runs)"
        f"{f'; so since {since}' if since != now.at else ''}; these times are of that state"
    )


def _read(path: Path) -> list[Reading]:
    """The earlier runs; none where the file is not there or is damaged, for it is only a memory."""
    if not is_there(path):
        return []
    try:
        found = parse_json(read_bytes(path, CACHE_NOTE), path, CACHE_NOTE)
        return [Reading(str(one["at"]), float(one["us"])) for one in found if float(one["us"]) > 0]
    except (LutbenchError, TypeError, KeyError, ValueError):
        return []
