"""What a long job says while it runs: values that the command line renders, not prints from inside the job."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Note:
    """Something a person should know: a warning, a decision."""

    text: str
    warning: bool = False


@dataclass(frozen=True)
class ExportProgress:
    """done of total artifacts are there."""

    done: int
    total: int


@dataclass(frozen=True)
class RoundProgress:
    """After a round: done of total operators (or nets); unstable: those furthest from their interval, worst first.

    unstable holds (name, half-width of the 95 % interval over the median); remaining_s: an estimate of what is left.
    disturbed: share of the round's samples that do not count.
    """

    stage: str
    round_number: int
    done: int
    total: int
    remaining_s: float
    unstable: tuple[tuple[str, float], ...] = ()
    disturbed: float = 0.0


Event = Note | ExportProgress | RoundProgress
Report = Callable[[Event], None]
