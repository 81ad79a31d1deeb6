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
    """So many of all artifacts have been exported."""

    done: int
    total: int


@dataclass(frozen=True)
class RoundProgress:
    """After a round: so many operators (or nets) of all are done.

    unstable: those furthest from their interval, worst first: (name, half-width of the 95 % interval over the median).
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
    """So many units of a stage are done, of all that there are.

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
