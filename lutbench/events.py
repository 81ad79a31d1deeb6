"""What a long job says while it runs: values that the command line renders, not prints from inside the job."""

from __future__ import annotations

import math
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
    """After a round: done of total operators (or nets).

    unstable: those furthest from their interval, worst first.

    unstable holds (name, half-width of the 95 % interval over the median).

    remaining_s: an estimate of what is left.
    disturbed: share of the round's samples that do not count.
    """

    stage: str
    round_number: int
    done: int
    total: int
    remaining_s: float
    unstable: tuple[tuple[str, float], ...] = ()
    disturbed: float = 0.0


@dataclass(frozen=True)
class StepProgress:
    """done of total units of a stage.

    detail: figures so far.
    remaining_s: an estimate, NaN where there is none.
    """

    stage: str
    done: int
    total: int
    unit: str = ""
    detail: str = ""
    remaining_s: float = math.nan


Event = Note | ExportProgress | RoundProgress | StepProgress
Report = Callable[[Event], None]
