"""Whether several threads can be timed here: every core that they are kept on has to be free.

A pool of threads waits for its slowest at each layer. Where another program has one of its cores for a moment, all of
them wait, and times say what else ran: on 2 cores that others used, whole nets differed from themselves by 8 %.
"""

from __future__ import annotations

import os
import time
from pathlib import Path

from lutbench.errors import DeviceError
from lutbench.units import format_percent

_STAT = Path("/proc/stat")
_LOOK_S = 0.5
MOST_BUSY = 0.1  # share of a core's time that others may have


def check_free(threads: int) -> None:
    """DeviceError where others use the cores that so many threads would be kept on. One thread is never refused.

    Nothing where the system does not say what its cores do.
    """
    cores = _cores(threads)
    if threads < 2 or not cores:
        return
    before = _times(cores)
    time.sleep(_LOOK_S)
    after = _times(cores)
    if not before or not after:
        return
    busy = busiest(before, after)
    if len(cores) < threads:
        raise DeviceError(
            f"{threads} threads cannot be timed on {len(cores)} cores",
            device="host",
            remedy="give fewer --threads, or --force",
        )
    if busy > MOST_BUSY:
        raise DeviceError(
            f"{threads} threads cannot be timed: other programs use {format_percent(busy, 0)} of one of their cores",
            device="host",
            remedy="end them, give --threads 1, or measure all the same with --force",
        )


def busiest(before: dict[int, tuple[int, int]], after: dict[int, tuple[int, int]]) -> float:
    """The busy share of the core that has the largest, between two looks at (busy, all) ticks of each core."""
    shares = [
        (after[core][0] - busy) / (after[core][1] - all_ticks)
        for core, (busy, all_ticks) in before.items()
        if core in after and after[core][1] > all_ticks
    ]
    return max(shares, default=0.0)


def _cores(threads: int) -> list[int]:
    """Those that a worker of so many threads is pinned to; none where the system does not say."""
    try:
        return sorted(os.sched_getaffinity(0))[-threads:]
    except (AttributeError, OSError):
        return []


def _times(cores: list[int]) -> dict[int, tuple[int, int]]:
    """Ticks that each core was busy, and all of its ticks; empty where the system does not say."""
    try:
        lines = _STAT.read_text().splitlines()
    except OSError:
        return {}
    wanted = {f"cpu{core}": core for core in cores}
    found = {}
    for line in lines:
        name, *ticks = line.split()
        if name in wanted and len(ticks) >= 5:
            numbers = [int(tick) for tick in ticks[:8]]  # what guests take is in user's already
            found[wanted[name]] = sum(numbers) - numbers[3] - numbers[4], sum(numbers)  # idle, and waiting for a disk
    return found
