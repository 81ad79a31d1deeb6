"""How long what is going on still takes: as its events say, or by how fast it has gone so far."""

from __future__ import annotations

import math
import time
from collections.abc import Callable

from lutbench.events import ExportProgress, RoundProgress, StepProgress
from lutbench.units import format_seconds

Step = ExportProgress | RoundProgress | StepProgress
LEAST_SHOWN_S = 1.0  # what would be shown as "0.0 s left" is over, or was estimated wrong
_TELLING = 0.1  # the share of an estimate that has to be over before it says how good the estimate is


def stage_of(event: Step) -> str:
    """What is going on, as the progress line names it."""
    return "exporting" if isinstance(event, ExportProgress) else event.stage


class Pace:
    """The pace of the phase that is going on; each new one begins anew.

    clock: seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._stage = ""
        self._began_s = self._heard_s = 0.0
        self._done_before = 0
        self._left_s = self._first_own_s = math.nan

    def hear(self, event: Step) -> None:
        """Takes in how far the phase is."""
        now = self._heard_s = self._clock()
        if stage_of(event) != self._stage:
            self._stage, self._began_s, self._done_before = stage_of(event), now, event.done
        own_s = math.nan if isinstance(event, ExportProgress) else event.remaining_s
        if now == self._began_s:
            self._first_own_s = own_s
        self._left_s = self._corrected(own_s, now) if math.isfinite(own_s) else self._at_this_pace(event, now)

    def _corrected(self, own_s: float, now: float) -> float:
        """An event's own estimate times how much too short it was in this phase until now."""
        gone_s = self._first_own_s - own_s
        is_known = gone_s > _TELLING * self._first_own_s
        return own_s * max(1.0, (now - self._began_s) / gone_s) if is_known else own_s

    def _at_this_pace(self, event: Step, now: float) -> float:
        came = event.done - self._done_before
        return (now - self._began_s) / came * (event.total - event.done) if came > 0 else math.nan

    @property
    def said(self) -> str:
        """`about 12 s left`; where nothing can be said of that, or it is over, how long the phase goes on already."""
        now = self._clock()
        left_s = self._left_s - (now - self._heard_s)
        if left_s >= LEAST_SHOWN_S:
            return f"about {format_seconds(left_s)} left"
        took_s = now - self._began_s
        return f"{format_seconds(took_s)} so far" if took_s >= LEAST_SHOWN_S else ""
