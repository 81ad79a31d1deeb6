"""Campaign: the rounds of a profile, from trial depths to the last operator that is done."""

from __future__ import annotations

import math
import random
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from statistics import median

from lutbench.device_agents.agent import Agent, Following
from lutbench.events import Note, Report, RoundProgress
from lutbench.jobs.processes import Processes
from lutbench.jobs.tuning import Canaries
from lutbench.measure.colder import ALONE, colder
from lutbench.measure.common_drift import every_round_us
from lutbench.measure.in_net import Setting
from lutbench.measure.journal import Journal
from lutbench.measure.measurements import Measurements
from lutbench.measure.net_fit import NetMeasurement
from lutbench.measure.processes import FEWEST_ROUNDS
from lutbench.measure.protocol import Cycle, Protocol
from lutbench.measure.rounds import (
    RoundPart,
    RoundPlan,
    is_done,
    measure_part,
    parts_of,
    rounds_in_a_batch,
    rounds_left,
)
from lutbench.measure.scale import (
    FEWEST_NETS,
    DepthTrial,
    ScaleFit,
    choose_depth,
    fit_scale,
    net_latencies_us,
    net_noise,
    try_depths,
)
from lutbench.measure.schedule import in_turn, net_cycles, operator_cycles, turns_of
from lutbench.space.macro import Space, distinct_operators
from lutbench.space.net import Net
from lutbench.space.operator import OVERHEAD
from lutbench.space.sampling import Chains
from lutbench.units import format_percent

TRIAL_DEPTHS = (0, 1, 3)
TRIAL_ROUNDS = 8
_TRIAL = "choosing how operators are timed"
NET_ROUNDS = 12  # in which nets are visited, in three processes: more nets tell more than more rounds of each
_MOST_NET_VISITS = 2 * NET_ROUNDS  # a net that the machine disturbs again and again is given up
NETS_PER_ROUND = 50  # where there are more, they take turns
_UNSTABLE_SHOWN = 3
_TRIALS_NOTE = "depth_trials"
# Rounds at which a fresh process takes over, and every so many later. Where a process has its memory moves what it
# reads, so none has many of an operator's rounds: one that is done after 12 rounds has been in three, after 24 in six.
_FRESH_AT = frozenset({4, 8, 12, 16, 20, 24, 32, 40, 48, 64, 80, 96})
_FRESH_EVERY = 32


def is_fresh(round_number: int) -> bool:
    """Whether a fresh process takes over before that round."""
    return round_number in _FRESH_AT or (round_number > 0 and round_number % _FRESH_EVERY == 0)


@dataclass(frozen=True)
class Context:
    """What the trial found: the depth, every depth's trial, and at the end the fit (None where nets are too few).

    net_noise: mean absolute difference between the nets' halves, by process.
    """

    depth: int
    trials: tuple[DepthTrial, ...]
    fit: ScaleFit | None
    net_noise: float


def is_net_done(data: Measurements, net: str, ahead: int = 0, rounds: int = NET_ROUNDS) -> bool:
    """Whether a whole net has so many rounds that count, or twice as many visits, and NET_ROUNDS at most.

    Those that do not count tell nearly as much: a net's latency is of all its usual rounds. A net without any that
    counts, which would not be among those that are fitted, has up to _MOST_NET_VISITS.

    ahead: visits that are planned beside those that were measured, and taken to count.
    """
    counted, visits = data.rounds(net, 0) + ahead, data.visits(net, 0) + ahead
    return counted >= rounds or visits >= (min(2 * rounds, NET_ROUNDS) if counted else _MOST_NET_VISITS)


def _behind(depth: int) -> str:
    others = "one other" if depth == 1 else f"{depth} others"
    return f"behind {others}, as in a net" if depth else "one by one"


@dataclass(frozen=True)
class _Stage:
    """Rounds that are planned alike.

    wanted: the operators that still need samples, by what is known when it is asked.
    until: the round before which it ends; None: where nothing is wanted any more, nor any net unfinished.
    """

    depths: Sequence[int]
    wanted: Callable[[], list[str]]
    until: int | None = None


@dataclass(frozen=True)
class _Upcoming:
    """A batch that is to be measured.

    renews: the round before which a fresh process takes over, which needs these names; None: none does.
    """

    part: RoundPart
    renews: int | None = None
    names: frozenset[str] = frozenset()


class Campaign:
    """Measures operators until each is done or at its cap, with tuning nets and the canary beside them."""

    def __init__(
        self,
        spaces: Sequence[Space],
        nets: Sequence[Net],
        canaries: Canaries,
        journal: Journal,
        agent: Agent,
        protocol: Protocol,
        seed: int,
        report: Report,
        setting: Setting,
    ) -> None:
        """setting: what the operators are timed with."""
        self._chains = [Chains(space) for space in spaces]
        self._setting = setting
        self._nets = nets
        self._net_keys = [net.key for net in nets]
        self._rounds_of_net = max(FEWEST_ROUNDS, NET_ROUNDS // turns_of(self._net_keys, NETS_PER_ROUND))
        self._canaries = canaries
        self._journal = journal
        self._agent = agent
        self._processes = Processes(agent, journal)
        self._protocol = protocol
        self._seed = seed
        self._report = report
        self._data = journal.measurements
        self._planned = -1  # the last round that was
        self._rest: Iterator[RoundPart] = iter(())  # of the rounds that were planned last
        self.operators = tuple(op.name for op in distinct_operators(spaces) if op.is_measured)

    def run(self) -> Context:
        """Every round that is left; the context found. Rounds that the journal holds are not measured again."""
        if self._nets:
            self._measure(_Stage(TRIAL_DEPTHS, lambda: self._alive(self.operators), TRIAL_ROUNDS))
        trials = self._decided_trials()
        depth = choose_depth(trials).depth if trials else 0
        self._measure(_Stage((depth,), partial(self.unfinished, depth)))
        nets = self._measured_nets
        fit = self._fit(nets, depth) if self._can_fit(nets) else None
        noise = net_noise(self._data, [net.net for net in nets], self._processes.starts)
        return Context(depth, trials, fit, noise)

    def _fit(self, nets: Sequence[NetMeasurement], depth: int) -> ScaleFit:
        rows_us = self._rows_us(depth)
        # rows that stand behind others already are as cold as they get there
        cold = colder(self._data, self._alive(self.operators), TRIAL_DEPTHS) if depth == ALONE else {}
        return fit_scale(nets, rows_us, rows_us[OVERHEAD.name], self._setting, cold)

    def _decided_trials(self) -> tuple[DepthTrial, ...]:
        """The trials as they stood after the trial rounds; journalled, so that a resumed run keeps to its depth."""
        if _TRIALS_NOTE not in self._journal.notes:
            trials = self._try_depths()
            self._journal.append([{"note": _TRIALS_NOTE, "value": [asdict(trial) for trial in trials]}])
            if trials:
                errors = ", ".join(f"{t.depth}: {format_percent(t.mean_abs_error, 2)}" for t in trials)
                depth = choose_depth(trials).depth
                self._report(
                    Note(
                        f"operators are timed {_behind(depth)}; mean error of whole nets that were left out of the fit,"
                        f" by how many others stand before an operator: {errors}"
                    )
                )
        notes = self._journal.notes[_TRIALS_NOTE]
        return tuple(DepthTrial(note["depth"], tuple(note["errors"]), note["scale"]) for note in notes)

    def _can_fit(self, nets: Sequence[NetMeasurement]) -> bool:
        return len(nets) >= FEWEST_NETS and OVERHEAD.name not in self._data.failures

    def _unfinished_nets(self, number: int | None = None) -> list[str]:
        """Tuning nets that still need rounds, as of a later round where that is given."""
        data, rounds = self._data, self._rounds_of_net
        planned = self._visits_ahead(number)
        return [key for key in self._alive(self._net_keys) if not is_net_done(data, key, planned[key], rounds)]

    def _visits_ahead(self, number: int | None) -> Counter[str]:
        """How many visits of each net are planned before that round and not measured yet."""
        now = self._data.current_round
        planned: Counter[str] = Counter()
        for earlier in range(now, now if number is None else number):
            planned.update(in_turn(self._net_keys, earlier, NETS_PER_ROUND))
        if planned:
            planned.subtract(key for key in self._net_keys if self._data.has(now, key, 0))
        return planned

    def _ahead(self, number: int, name: str, depth: int) -> int:
        """How many visits of an operator are planned before that round and not measured yet."""
        now = self._data.current_round
        return 0 if number <= now else number - now - self._data.has(now, name, depth)

    def _alive(self, names: Sequence[str]) -> list[str]:
        return [name for name in names if name not in self._data.failures]

    def unfinished(self, depth: int) -> list[str]:
        """Operators that still need samples."""
        alive = self._alive(self.operators)
        return [name for name in alive if not is_done(self._data, name, depth, self._protocol)]

    def _try_depths(self) -> list[DepthTrial]:
        """What each depth gave over the trial rounds; none where nets or the empty graph failed."""
        nets = self._measured_nets
        if not self._can_fit(nets):
            return []
        return try_depths(TRIAL_DEPTHS, nets, self._rows_us, OVERHEAD.name, self._setting)

    @property
    def _measured_nets(self) -> list[NetMeasurement]:
        """The tuning nets all of whose operators have figures."""
        found = []
        latencies_us = net_latencies_us(self._data, self._net_keys)
        for net in self._nets:
            names = tuple(operator.name for operator in net.operators)
            if net.key in latencies_us and not any(name in self._data.failures for name in (*names, net.key)):
                found.append(NetMeasurement(net.key, names, latencies_us[net.key]))
        return found

    def _rows_us(self, depth: int) -> dict[str, float]:
        rounds_us = every_round_us(self._data, self.operators, depth)
        return {name: median(values.values()) for name, values in rounds_us.items()}

    def _measure(self, stage: _Stage) -> None:
        """Measures a stage's rounds to its end."""
        upcoming = self._next(stage)
        while upcoming is not None:
            if upcoming.renews is not None:
                self._processes.renew(upcoming.renews, upcoming.names)
            following: list[_Upcoming] = []
            self._agent.go_ahead(partial(self._following, stage, following))
            outcome = measure_part(self._agent.measure, self._journal, upcoming.part)
            if upcoming.part.ends:
                self._report(self._progress(stage.depths, outcome.number, outcome.disturbed))
            upcoming = following[0] if following else self._next(stage)
            if following and following[0].renews is not None:
                self._processes.begin(following[0].renews)  # the agent has another one by now

    def _following(self, stage: _Stage, following: list[_Upcoming]) -> Following | None:
        """What is measured behind the batch that an agent has just begun with; it is put into `following`, too."""
        found = self._next(stage, ahead=True)
        if found is None:
            return None
        following.append(found)
        return Following(found.part.batch, found.renews is not None)

    def _next(self, stage: _Stage, ahead: bool = False) -> _Upcoming | None:
        """The rest of a round, or the next one and those after it that are so short that they fit into its batch.

        ahead: the batch before it is not measured yet. Then None is also where it has to be known what came of it.
        """
        rest = next(self._rest, None)
        if rest is not None:
            return _Upcoming(rest)
        data = self._data
        number = self._planned + 1 if ahead else data.current_round
        if stage.until is not None and (number if ahead else data.rounds_ended) >= stage.until:
            return None
        if ahead and (number == self._protocol.min_rounds or not data.rounds_ended):
            return None
        wanted = stage.wanted()
        first = self._plan(number, stage.depths, wanted)
        if not first.cycles and (ahead or not (wanted or self._unfinished_nets())):
            return None
        plans = [first]
        for later in range(number + 1, number + rounds_in_a_batch(first.cycles, data)):
            if is_fresh(later) or later in (TRIAL_ROUNDS, self._protocol.min_rounds):
                break  # then something is decided, or another process is to go on
            plans.append(self._plan(later, stage.depths, wanted))
        self._planned = plans[-1].number
        self._rest = parts_of(plans, data, self._protocol)
        if not is_fresh(number) or number in self._processes.starts:
            return _Upcoming(next(self._rest))
        names = {*wanted, *self._unfinished_nets(), *(one.artifact for one in self._canaries.all)}
        return _Upcoming(next(self._rest), number, frozenset(names))

    def _plan(self, number: int, depths: Sequence[int], wanted: Sequence[str]) -> RoundPlan:
        """A round's cycles: of operators that are wanted and nets that are unfinished, and may be visited once more."""
        rng = random.Random(f"{self._seed}/{number}")  # the same plan when a cut-off round is taken up again
        data = self._data
        cycles: list[Cycle] = []
        keep: set[tuple[str, int]] = set()
        for depth in depths:
            left = [
                name
                for name in wanted
                if not data.has(number, name, depth) and self._may_need(name, depth, self._ahead(number, name, depth))
            ]
            sequences = [
                [name for op in chain if (name := op.name) not in data.failures]
                for chains in self._chains
                for chain in chains.draw(rng)
            ]
            cycles += operator_cycles(
                sequences, left, depth, rng, self._protocol, partial(self._latency_us, depth), self._canaries.beside
            )
            keep |= {(name, depth) for name in left}
        due = in_turn(self._net_keys, number, NETS_PER_ROUND)
        left = [key for key in self._unfinished_nets(number) if key in due and not data.has(number, key, 0)]
        cycles += net_cycles(left, self._canaries.nets.name, self._net_visit)
        keep |= {(key, 0) for key in left}
        rng.shuffle(cycles)
        return RoundPlan(number, tuple(cycles), frozenset(keep))

    def _may_need(self, name: str, depth: int, ahead: int) -> bool:
        """Whether one that is wanted still needs a visit when it has had so many more, by what is known of it."""
        if not ahead:
            return True
        summary = self._data.summary(name, depth)
        is_wanted = summary is None or rounds_left(summary, self._protocol) > ahead
        return is_wanted and self._data.visits(name, depth) + ahead < self._protocol.max_rounds

    def _latency_us(self, depth: int, name: str) -> float | None:
        summary = self._data.summary(name, depth)
        return summary.latency_us if summary else None

    def _net_visit(self, key: str) -> tuple[int, int]:
        return self._protocol.net_visit(self._data.latency_us(key))

    def _progress(self, depths: Sequence[int], number: int, disturbed: float) -> RoundProgress:
        if len(depths) > 1:
            return RoundProgress(_TRIAL, number, number + 1, TRIAL_ROUNDS, math.nan, disturbed=disturbed)
        (depth,) = depths
        unfinished = self.unfinished(depth)
        summaries = [(name, self._data.summary(name, depth)) for name in unfinished]
        widths = sorted(((s.half_width, name) for name, s in summaries if s), reverse=True)
        return RoundProgress(
            stage="measuring",
            round_number=number,
            done=len(self.operators) - len(unfinished),
            total=len(self.operators),
            remaining_s=self._remaining_s(depth, unfinished),
            unstable=tuple((name, width) for width, name in widths[:_UNSTABLE_SHOWN]),
            disturbed=disturbed,
        )

    def _remaining_s(self, depth: int, unfinished: Sequence[str]) -> float:
        """Runtime that is left; nets and canary up to the rounds that nets have."""
        total_us = 0.0
        protocol = self._protocol
        for name in unfinished:
            summary = self._data.summary(name, depth)
            if summary is None:
                continue
            visit_us = summary.latency_us * (protocol.warmup + protocol.repeats(summary.latency_us)) * (depth + 1)
            total_us += rounds_left(summary, protocol) * visit_us
        for key in self._unfinished_nets():
            summary = self._data.summary(key, 0)
            if summary:
                invocations = (self._rounds_of_net - summary.rounds) * sum(self._net_visit(key))
                total_us += invocations * summary.latency_us
        return total_us / 1e6
