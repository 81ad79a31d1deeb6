"""Whole nets in groups and rounds, each a cycle of its own between readings of a canary: bench and verify share it."""

from __future__ import annotations

import random
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import fmean
from typing import Any

from lutbench.device_agents.agent import Agent, AgentSettings, DeviceInfo
from lutbench.device_agents.registry import Device
from lutbench.events import RoundProgress
from lutbench.export.artifact import Artifact
from lutbench.jobs.check import LookFirst
from lutbench.jobs.device_hold import OpenAgent
from lutbench.jobs.journal_notes import report_journal
from lutbench.jobs.machine_state import note_canary
from lutbench.jobs.processes import Processes
from lutbench.jobs.quiet import Waiting, wait_for_quiet
from lutbench.jobs.tuning import Canaries
from lutbench.lut.journal_place import set_aside
from lutbench.measure.journal import Journal
from lutbench.measure.processes import FEWEST_ROUNDS
from lutbench.measure.protocol import Protocol
from lutbench.measure.rounds import MeasureBatch, RoundReport, measure_round
from lutbench.measure.schedule import net_cycles

NETS_PER_GROUP = 50  # loaded at once: about 10 MB each
PROCESSES = 4  # that a net's rounds are spread over
LONGEST_PROCESS = 10  # rounds: more of one process make its place in memory no less its own


@dataclass(frozen=True, kw_only=True)
class Measuring:
    """The device that nets are timed on, and the rules by which.

    waiting: for a quiet machine, before each group.
    """

    device: Device
    settings: AgentSettings
    canaries: Canaries
    protocol: Protocol
    open_device: OpenAgent
    look_first: LookFirst
    waiting: Waiting


@dataclass(frozen=True)
class Group:
    """Nets that are loaded at once.

    beside: names of what is timed beside the nets of each group.
    earlier: how many nets the groups before have.
    """

    number: int
    nets: tuple[Artifact, ...]
    beside: tuple[str, ...]
    earlier: int
    total: int

    @property
    def net_names(self) -> list[str]:
        """The names of its nets."""
        return [artifact.name for artifact in self.nets]

    @property
    def names(self) -> list[str]:
        """The names of all that is timed."""
        return [*self.net_names, *self.beside]


class GroupedNets(ABC):
    """Nets of any number, in groups that are loaded at once, each with a journal of its own."""

    def __init__(self, how: Measuring) -> None:
        self.how = how
        self._journals: list[Path] = []

    def measure(self, nets: Sequence[Artifact], canaries: Sequence[Artifact], beside: Sequence[Artifact] = ()) -> float:
        """Times every net, and what stands beside in each group; gives the share of samples that do not count.

        What came of a group is given to `read` before its journal closes.
        """
        how = self.how
        if nets:
            how.look_first(how.device, how.settings, canaries[0])
        disturbed: list[float] = []
        for number, start in enumerate(range(0, len(nets), NETS_PER_GROUP)):
            loaded = tuple(nets[start : start + NETS_PER_GROUP])
            group = Group(number, loaded, tuple(artifact.name for artifact in beside), start, len(nets))
            with how.open_device(how.device, how.settings) as agent:
                described = agent.describe()
                path, identity = self.journal_of(group, described)
                with Journal(path, identity, how.canaries.all) as journal:
                    report_journal(journal, how.settings.report)
                    self.install(agent, [*loaded, *beside, *canaries], journal)
                    wait_for_quiet(how.waiting, agent, how.canaries.nets, canaries, how.device, how.settings)
                    self._rounds(agent, group, journal)
                    self.read(group, journal)
                    note_canary(how.settings, how.device, described, canaries, how.canaries.nets, journal.measurements)
                    disturbed.append(journal.measurements.disturbed_share)
            self._journals.append(path)
        return fmean(disturbed) if disturbed else 0.0

    def set_journals_aside(self) -> None:
        """The next run measures anew. Only once all is written: a full disk must not cost what was measured."""
        for path in self._journals:
            set_aside(path)

    def _rounds(self, agent: Agent, group: Group, journal: Journal) -> None:
        def after_round(outcome: RoundReport) -> None:
            self.how.settings.report(self.progress(group, outcome, journal))

        processes = Processes(agent, journal)
        canaries = {canary.artifact for canary in self.how.canaries.all}

        def before_round(number: int, names: Sequence[str]) -> None:
            starts = processes.starts
            if number - starts[-1] >= self._rounds_of_process(len(starts)):
                processes.renew(number, {*names, *canaries})

        measure_nets(
            agent.measure,
            journal,
            partial(self.unfinished, group, journal),
            self.how.canaries.nets.name,
            self.how.protocol,
            after_round,
            partial(self.visit, group, journal),
            before_round,
            partial(self.due, group),
        )

    def _rounds_of_process(self, number: int) -> int:
        """How many rounds a worker process lasts, the first one being number 1.

        A net's place in memory is part of what it takes, so the fewest rounds are spread over PROCESSES of them. Those
        after them last LONGEST_PROCESS: a process has to load its nets, which takes longer than a round of small ones,
        and on a busy machine there may be many rounds.
        """
        if number > PROCESSES:
            return LONGEST_PROCESS
        return max(FEWEST_ROUNDS, min(LONGEST_PROCESS, self.fewest_rounds // PROCESSES))

    @property
    @abstractmethod
    def fewest_rounds(self) -> int:
        """The rounds that a net has at least."""

    @abstractmethod
    def journal_of(self, group: Group, device: DeviceInfo) -> tuple[Path, dict[str, Any]]:
        """The file that the group's samples are kept in, and all that decides whether they go on."""

    @abstractmethod
    def install(self, agent: Agent, artifacts: Sequence[Artifact], journal: Journal) -> None:
        """Loads the artifacts, and does what is right where one is refused."""

    @abstractmethod
    def unfinished(self, group: Group, journal: Journal) -> list[str]:
        """Names that still need samples."""

    def due(self, group: Group, round_number: int, unfinished: Sequence[str]) -> Sequence[str]:
        """Those that a round visits of the names that still need samples: all, where nothing else is said."""
        del group, round_number
        return unfinished

    @abstractmethod
    def progress(self, group: Group, outcome: RoundReport, journal: Journal) -> RoundProgress:
        """Says how far the group is after a round; may raise what ends the run."""

    @abstractmethod
    def read(self, group: Group, journal: Journal) -> None:
        """Takes what came of a group that is done."""

    def visit(self, group: Group, journal: Journal, name: str) -> tuple[int, int]:
        """A net's warm-up and timed invocations in a round: the protocol's, where nothing else is said."""
        del group
        return self.how.protocol.net_visit(journal.measurements.latency_us(name))


def measure_nets(
    measure: MeasureBatch,
    journal: Journal,
    unfinished: Callable[[], list[str]],
    canary: str,
    protocol: Protocol,
    after_round: Callable[[RoundReport], None],
    visit: Callable[[str], tuple[int, int]],
    before_round: Callable[[int, Sequence[str]], None] | None = None,
    due: Callable[[int, Sequence[str]], Sequence[str]] | None = None,
) -> None:
    """Visits the unfinished nets that are due, once a round each, in random order, until there is none.

    unfinished: names that still need samples, asked before each round. A round that was cut off is finished first:
        what the journal holds of it is not measured again.
    visit: a net's warm-up and timed invocations in a round.
    before_round: is given the round's number and what is unfinished.
    due: of the round and what is unfinished, what it visits; all of it where nothing else is said.
    """
    data = journal.measurements
    while names := unfinished():
        number = data.current_round
        if before_round:
            before_round(number, names)
        visited = due(number, names) if due else names
        left = [name for name in visited if not data.has(number, name, 0)]
        cycles = net_cycles(random.Random(number).sample(left, len(left)), canary, visit)
        after_round(measure_round(measure, journal, cycles, {(name, 0) for name in left}, protocol))
