"""The worker processes that a run goes through, kept in its journal: which rounds were measured in which."""

from __future__ import annotations

from collections.abc import Collection

from lutbench.device_agents.agent import Agent
from lutbench.measure.journal import Journal

_NOTE = "processes"


class Processes:
    """A run's processes. A run that goes on from its journal is in another process than the one that was cut off."""

    def __init__(self, agent: Agent, journal: Journal) -> None:
        self._agent, self._journal = agent, journal
        self.begin(journal.measurements.current_round)

    @property
    def starts(self) -> list[int]:
        """The rounds at which a process began, in order."""
        return process_starts(self._journal)

    def renew(self, number: int, names: Collection[str]) -> None:
        """Starts another process, with these artifacts, that measures from this round on; none where one just began."""
        if number not in self.starts:
            self._agent.renew(names)
            self.begin(number)

    def begin(self, number: int) -> None:
        """Keeps in the journal that another process measures from this round on."""
        if number not in self.starts:
            self._journal.append([{"note": _NOTE, "value": sorted({*self.starts, number})}])


def process_starts(journal: Journal) -> list[int]:
    """The rounds at which a process began, in order; none in a journal of an earlier version."""
    return [int(number) for number in journal.notes.get(_NOTE, [])]
