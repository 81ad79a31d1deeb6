"""Waiting for a device that is not as it should be: hot, asleep, in use; until it is, or it is time to give up."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from lutbench.errors import DeviceError
from lutbench.events import Note, Report

LONGEST_WAIT_S = 1200.0
LOOK_EVERY_S = 5.0
NO_HEAT_WAIT = Note("heat is not waited for (--no-heat-wait): the LUT says so", warning=True)


@dataclass(frozen=True)
class Hindrance:
    """Why a device is not measured now.

    what: one clause.
    remedy: what a person does.
    is_heat: --no-heat-wait passes over it.
    sensor: whose reading says so; "" where none does.
    hopeless: waiting alone will not end it.
    """

    what: str
    remedy: str
    is_heat: bool = False
    sensor: str = ""
    hopeless: bool = False


@dataclass(frozen=True)
class Waiting:
    """The way in which a device is waited for.

    label: what messages call it.
    alive: done at each look, so that others see that it is still in use.
    clock, sleep: of this machine.
    """

    label: str
    report: Report
    clock: Callable[[], float]
    sleep: Callable[[float], None]
    alive: Callable[[], None] = lambda: None

    def wait_out(
        self,
        hindrance: Hindrance,
        look: Callable[[], Hindrance | None],
        pause_s: Callable[[Hindrance], float] = lambda _: LOOK_EVERY_S,
    ) -> float:
        """Looks again and again until nothing hinders; how long that took, in seconds.

        pause_s: until the next look. DeviceError where it stays so, or where waiting would not help.
        """
        self._give_up_if_hopeless(hindrance)
        started = self.clock()
        self.report(Note(
            f"waiting: {hindrance.what}: {hindrance.remedy} (waits {LONGEST_WAIT_S / 60:.0f} minutes at most"
            f"{', --no-heat-wait not at all' if hindrance.is_heat else ''})", warning=True,
        ))  # fmt: skip
        now: Hindrance | None = hindrance
        while now is not None:
            waited_s = self.clock() - started
            if waited_s > LONGEST_WAIT_S:
                raise DeviceError(
                    f"still, after {waited_s / 60:.0f} minutes: {now.what}", device=self.label,
                    remedy=f"{now.remedy}; the same command goes on",
                )  # fmt: skip
            wait_s = pause_s(now)
            self.alive()
            self.sleep(wait_s)
            now = look()
            if now is not None:
                self._give_up_if_hopeless(now)
        waited_s = self.clock() - started
        self.report(Note(f"the phone is ready again after {waited_s:.0f} s"))
        return waited_s

    def _give_up_if_hopeless(self, hindrance: Hindrance) -> None:
        if hindrance.hopeless:
            raise DeviceError(hindrance.what, device=self.label, remedy=f"{hindrance.remedy}; the same command goes on")
