"""Which cores a job stays on: clusters told apart by their highest frequency."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from lutbench.device_agents.android.describe import State
from lutbench.errors import DeviceError, UsageError
from lutbench.events import Note, Report

CHOICES = ("big", "little", "all")
CORES_WAIT_S = 20.0
_LOOK_EVERY_S = 2.0
_BRING_BACK = "wake the phone, keep its screen on, let it cool, and switch battery saving off"


class UnknownSpeedError(DeviceError):
    """Raised where it is not known how fast some cores are, and so of which cluster they are."""


def check_choice(text: str) -> str:
    """The choice in its usual form: big, little, all, or a mask such as 0xf0; UsageError for anything else."""
    word = text.strip().lower()
    if word in CHOICES:
        return word
    if re.fullmatch(r"0x[0-9a-f]{1,64}", word) and int(word, 16):
        return hex(int(word, 16))
    raise UsageError(f"--cores {text!r} is none of {', '.join(CHOICES)}, nor a mask such as 0xf0")


def choose_cores(choice: str, speeds: Mapping[int, int], threads: int, device: str) -> list[int]:
    """The cores of a choice.

    speeds: the highest frequency of each core of the phone, 0 where it is unreadable.

    big: the fastest cluster, and the next ones where it has fewer cores than threads; little: the slowest cluster; of
    cores that nothing is known of, all are one cluster. DeviceError where the phone has no such cores, fewer than
    threads, or where some speeds are unknown: those may be any.
    """
    cores = sorted(speeds)
    unknown = [core for core in cores if not speeds[core]]
    if choice in ("big", "little") and 0 < len(unknown) < len(cores):
        raise UnknownSpeedError(
            f"how fast its cores {_listed(unknown)} are cannot be read, so which are {choice} is not known",
            device=device, remedy="wake the phone and let it cool, or name cores by a mask such as --cores 0xf0",
        )  # fmt: skip
    if choice.startswith("0x"):
        mask = int(choice, 16)
        asked = [core for core in range(mask.bit_length()) if mask >> core & 1]
        missing = [core for core in asked if core not in speeds]
        if missing:
            raise DeviceError(f"it has no core {_listed(missing)}", device=device, remedy=f"its cores are {cores}")
        found = asked
    elif choice == "all":
        found = cores
    elif choice == "little":
        found = [core for core in cores if speeds[core] == min(speeds.values())]
    else:
        found = []
        for speed in sorted(set(speeds.values()), reverse=True):
            if not found or len(found) < threads:
                found += [core for core in cores if speeds[core] == speed]
    if len(found) < threads:
        raise DeviceError(
            f"--cores {choice} are {len(found)} cores, {threads} threads are asked for", device=device,
            remedy="give fewer --threads or other --cores",
        )  # fmt: skip
    return sorted(found)


@dataclass(frozen=True)
class Chosen:
    """The cores of a choice that are there.

    cores: those to measure on.
    away: others of the choice, that the phone has taken away.
    """

    cores: tuple[int, ...]
    away: tuple[int, ...] = ()


def settle_cores(
    state: State,
    look: Callable[[], State],
    choice: str,
    threads: int,
    device: str,
    report: Report,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> Chosen:
    """The cores of a choice, waited for where the phone has taken some of them away for a while.

    look: the phone's state, read anew. DeviceError where too few of them come back, or one that a mask names does not.
    """
    started = clock()
    while True:
        hindrance, chosen = _settled(state, choice, threads, device)
        if chosen is not None and not chosen.away:
            return chosen
        if clock() - started >= CORES_WAIT_S:
            break
        if clock() == started:
            report(Note(f"waiting: {hindrance}: {_BRING_BACK} (waits {CORES_WAIT_S:.0f} s at most)", warning=True))
        sleep(_LOOK_EVERY_S)
        state = look()
    if chosen is None or len(chosen.cores) < threads or choice.startswith("0x"):
        raise DeviceError(
            hindrance,
            device=device,
            remedy=f"{_BRING_BACK}, or choose other --cores: {_listed(state.usable)} are there",
        )
    report(Note(f"{hindrance}: measured on {_listed(chosen.cores)}; the LUT says so", warning=True))
    return chosen


def _settled(state: State, choice: str, threads: int, device: str) -> tuple[str, Chosen | None]:
    """(what is missing, the choice as it is now); no choice where cores that are away may belong to it."""
    away = state.away
    try:
        cores = choose_cores(choice, state.speeds, threads, device)
    except UnknownSpeedError as error:
        if not away:
            raise
        return f"the phone has taken the cores {_listed(away)} away ({error.problem})", None
    gone = tuple(core for core in cores if core in away)
    chosen = Chosen(tuple(core for core in cores if core not in away), gone)
    return f"the phone has taken the cores {_listed(gone)} away, which --cores {choice} means", chosen


def _listed(cores: Sequence[int]) -> str:
    return ", ".join(map(str, cores))
