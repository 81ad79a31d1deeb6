"""Which cores a job stays on: clusters told apart by their highest frequency."""

from __future__ import annotations

import re
from collections.abc import Mapping

from lutbench.errors import DeviceError, UsageError

CHOICES = ("big", "little", "all")


def check_choice(text: str) -> str:
    """The choice in its usual form: big, little, all, or a mask such as 0xf0; UsageError for anything else."""
    word = text.strip().lower()
    if word in CHOICES:
        return word
    if re.fullmatch(r"0x[0-9a-f]{1,64}", word) and int(word, 16):
        return hex(int(word, 16))
    raise UsageError(f"--cores {text!r} is none of {', '.join(CHOICES)}, nor a mask such as 0xf0")


def choose_cores(choice: str, speeds: Mapping[int, int], threads: int, device: str) -> list[int]:
    """The cores of a choice. speeds: the highest frequency of each core that can be used, 0 where it is unreadable.

    big: the fastest cluster, and the next ones where it has fewer cores than threads; little: the slowest cluster.
    DeviceError where the phone has no such cores, or fewer than threads.
    """
    cores = sorted(speeds)
    if choice.startswith("0x"):
        mask = int(choice, 16)
        asked = [core for core in range(mask.bit_length()) if mask >> core & 1]
        missing = [core for core in asked if core not in speeds]
        if missing:
            raise DeviceError(
                f"it has no core {', '.join(map(str, missing))}", device=device, remedy=f"its cores are {cores}"
            )
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
