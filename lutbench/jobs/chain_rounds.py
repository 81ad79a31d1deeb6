"""Rounds of chains: every operator's are timed until what a copy adds is known, operators in groups that fit in memory.

A runtime for which this is done compiles a program where it is loaded, and a chain of 16 copies has 16 times an
operator's weights. So operators are timed a group after another, each in as many rounds as it needs. What an operator's
chains have in common in a round, such as a phone that is a little slower than in the round before, is in all of their
lengths, and not in their slope.
"""

from __future__ import annotations

import math
import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from lutbench.device_agents.agent import Agent
from lutbench.events import Report, RoundProgress
from lutbench.jobs.operator_rounds import is_net_done
from lutbench.measure.chains import CHAIN_LENGTHS, Chain, Slope, slope_of, without_link
from lutbench.measure.journal import Journal
from lutbench.measure.protocol import Canary, Cycle, Failure, Protocol
from lutbench.measure.rounds import RoundPlan, measure_rounds, rounds_in_a_batch
from lutbench.measure.schedule import net_cycles
from lutbench.space.chain import OperatorChain, fits_itself
from lutbench.space.operator import Operator

_UNSTABLE_SHOWN = 3


@dataclass(frozen=True)
class OperatorPrograms:
    """An operator's chains, and those of what joins its copies where they do not fit together."""

    operator: Operator
    chains: tuple[OperatorChain, ...]
    links: tuple[OperatorChain, ...]

    @property
    def all(self) -> tuple[OperatorChain, ...]:
        return self.chains + self.links


def programs_of(operator: Operator) -> OperatorPrograms:
    """What is exported and timed of an operator."""
    chains = tuple(OperatorChain(operator, copies) for copies in CHAIN_LENGTHS)
    links = () if fits_itself(operator) else tuple(OperatorChain(operator, n, links=True) for n in CHAIN_LENGTHS)
    return OperatorPrograms(operator, chains, links)


@dataclass(frozen=True)
class ChainPlan:
    """What a profile by chains times.

    groups: of operators, timed one after the other.
    nets: groups of the keys of whole nets.
    units: artifact -> where it runs, as Agent.units has it.
    asked: the unit that all is to run on.
    canary: a chain that runs there.
    """

    groups: tuple[tuple[OperatorPrograms, ...], ...]
    nets: tuple[tuple[str, ...], ...]
    units: Mapping[str, Mapping[str, int]]
    asked: str
    canary: Canary

    @property
    def programs(self) -> Iterator[OperatorPrograms]:
        return (programs for group in self.groups for programs in group)


class ChainCampaign:
    """Measures the groups of a plan; what is known of an operator can be asked for at any time."""

    def __init__(
        self, plan: ChainPlan, journal: Journal, agent: Agent, protocol: Protocol, seed: int, report: Report
    ) -> None:
        self._plan = plan
        self._journal = journal
        self._data = journal.measurements
        self._agent = agent
        self._protocol = protocol
        self._seed = seed
        self._report = report
        self._total = sum(1 for _ in plan.programs)

    def run(self) -> None:
        """Every round that is left. Rounds that the journal holds are not measured again."""
        for group in self._plan.groups:
            while wanted := [programs for programs in group if not self._is_done(programs)]:
                keys = dict.fromkeys(chain.key for programs in wanted for chain in programs.all)
                self._rounds([key for key in keys if key not in self._data.failures], [])
        for nets in self._plan.nets:
            while left := [key for key in nets if key not in self._data.failures and not is_net_done(self._data, key)]:
                self._rounds([], left)

    def slope(self, programs: OperatorPrograms) -> Slope | Failure:
        """The operator's latency so far, or why there is none."""
        name = programs.operator.name
        for chain in programs.all:
            if reason := self._data.failures.get(chain.key):
                return Failure(name, f"{chain.key}: {reason}")
        found = self._slope(name, programs.chains)
        if isinstance(found, Failure) or not programs.links:
            return found
        link = self._slope(name, programs.links, may_be_free=True)
        if isinstance(link, Failure):
            return Failure(name, f"what joins its copies: {link.reason}")
        return without_link(name, found, link)

    def samples(self, programs: OperatorPrograms) -> int:
        """The timed invocations of its chains that count."""
        summaries = (self._data.summary(chain.key, 0) for chain in programs.chains)
        return sum(summary.samples for summary in summaries if summary)

    def _slope(self, name: str, chains: Sequence[OperatorChain], may_be_free: bool = False) -> Slope | Failure:
        plan = self._plan
        timed = [
            Chain(chain.copies, plan.units.get(chain.key, {}), self._data.round_medians_us(chain.key, 0))
            for chain in chains
        ]
        return slope_of(name, timed, plan.asked, plan.units.get(plan.canary.artifact, {}), may_be_free)

    def _is_done(self, programs: OperatorPrograms) -> bool:
        """Whether the slope has reached the target, or the operator the most rounds it gets, or one of its programs
        cannot run."""
        if any(chain.key in self._data.failures for chain in programs.all):
            return True
        visits = min(self._data.visits(chain.key, 0) for chain in programs.all)
        if visits >= self._protocol.max_rounds:
            return True
        found = self.slope(programs)
        if isinstance(found, Failure) or found.rounds < self._protocol.min_rounds:
            return False
        return found.half_width <= self._protocol.target

    def _rounds(self, chains: Sequence[str], nets: Sequence[str]) -> None:
        """Measures the next round, and those after it that are so short that they fit into its batch."""
        number = self._data.current_round
        plans = [self._round(number, chains, nets)]
        for later in range(number + 1, number + rounds_in_a_batch(plans[0].cycles, self._data)):
            if self._data.visits(chains[0] if chains else nets[0], 0) + later - number >= self._protocol.min_rounds:
                break  # then it is looked which are done
            plans.append(self._round(later, chains, nets))
        outcome = measure_rounds(self._agent.measure, self._journal, plans, self._protocol)
        self._report(self._progress(outcome.number, outcome.disturbed))

    def _round(self, number: int, chains: Sequence[str], nets: Sequence[str]) -> RoundPlan:
        """Every program once, in an order of its own."""
        rng = random.Random(f"{self._seed}/{number}")  # the same plan when a cut-off round is taken up again
        protocol, canary, about_us = self._protocol, self._plan.canary.name, self._data.latency_us
        left = [key for key in chains if not self._data.has(number, key, 0)]
        cycles = [Cycle((key,), 0, protocol.warmup, protocol.repeats(about_us(key)), canary) for key in left]
        timed = [key for key in nets if not self._data.has(number, key, 0)]
        cycles += net_cycles(timed, canary, lambda key: protocol.net_visit(about_us(key)))
        rng.shuffle(cycles)
        return RoundPlan(number, tuple(cycles), frozenset((key, 0) for key in (*left, *timed)))

    def _progress(self, number: int, disturbed: float) -> RoundProgress:
        found = [(p.operator.name, self.slope(p)) for p in self._plan.programs if not self._is_done(p)]
        widths = sorted(((s.half_width, name) for name, s in found if isinstance(s, Slope)), reverse=True)
        return RoundProgress(
            stage="measuring chains",
            round_number=number,
            done=self._total - len(found),
            total=self._total,
            remaining_s=math.nan,
            unstable=tuple((name, width) for width, name in widths[:_UNSTABLE_SHOWN]),
            disturbed=disturbed,
        )
