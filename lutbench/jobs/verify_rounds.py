"""The measuring part of `verify`: every net in the same number of rounds, the LUT's tuning nets beside each group."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median
from typing import Any

from lutbench.device_agents.agent import CORE_CHOICE, Agent, DeviceInfo
from lutbench.errors import DeviceError
from lutbench.events import RoundProgress
from lutbench.export.artifact import Artifact
from lutbench.jobs.artifacts import batch_identity
from lutbench.jobs.net_rounds import Group, GroupedNets, Measuring
from lutbench.jobs.processes import process_starts
from lutbench.lut.context import in_net_fields
from lutbench.lut.predict import predict
from lutbench.lut.table import Lut
from lutbench.lut.verify_file import NetResult
from lutbench.measure.common_drift import usual_rounds_us
from lutbench.measure.drift import Corrections, choose, corrections
from lutbench.measure.in_net import InNet
from lutbench.measure.journal import Journal
from lutbench.measure.net_fit import NetMeasurement
from lutbench.measure.processes import FEWEST_ROUNDS, half_widths, halves_us
from lutbench.measure.rounds import RoundReport
from lutbench.measure.schedule import in_turn, turns_of
from lutbench.measure.statistics import robust_mean
from lutbench.space.net import Net

MOST_VISITS_PER_ROUND = 2  # a net that the machine disturbs again and again is given up at some time
TUNING_NETS_PER_ROUND = 32  # where there are more, they take turns, and a group takes no longer
EXTRA_VISITS = 12  # at least so many: of a handful of rounds, twice as many are gone in one busy second
# Half of a net's 95 % interval, a fraction of its latency, from which on it is measured on: of a net that is known no
# better nobody can say whether it was predicted within 3 %.
KNOWN_WITHIN = 0.0125
MOST_ROUNDS, MOST_VISITS = 2, 3  # of such a net, in multiples of the rounds that were asked for


@dataclass(frozen=True)
class _Timed:
    """A group that was measured: all rounds of its nets, the common drift taken out, and where its processes began.

    tuning: the nets that the LUT was tuned on, timed beside it.
    """

    nets: tuple[str, ...]
    rounds_us: dict[str, dict[int, float]]
    starts: list[int]
    tuning: tuple[NetMeasurement, ...]


class VerifyRounds(GroupedNets):
    """Times random nets, with the nets that the LUT was tuned on (tuning) in each group.

    rounds: how many have to count for each net.
    runtime: with its version.
    journal: where a group's journal is, but for the group's number.
    results: each net's, once they are judged.
    drifts: each group's median, likewise.
    corrected: how predictions were corrected for drift, likewise.
    left_out: nets that never ran while the machine was quiet. They are not judged, and the others are.
    """

    def __init__(
        self,
        how: Measuring,
        lut: Lut,
        nets: Sequence[Net],
        tuning: Sequence[Net],
        rounds: int,
        runtime: str,
        journal: Path,
    ) -> None:
        super().__init__(how)
        self._lut, self._tuning, self._rounds_wanted, self._runtime = lut, tuning, rounds, runtime
        self._nets = {net.key: net for net in nets}
        self._journal = journal
        self.results: list[NetResult] = []
        self.drifts: list[float] = []
        self.corrected: str = "none"
        self.left_out: list[str] = []
        self._timed: list[_Timed] = []
        self._measured_on: list[str] = []  # the uncertain nets, as of the last round

    def journal_of(self, group: Group, device: DeviceInfo) -> tuple[Path, dict[str, Any]]:
        del device
        meta, cores = self._lut.metadata, self.how.settings.cores
        identity = {
            "verify": meta.device,
            "revision": meta.revision,
            "measured_at": meta.measured_at,
            "runtime": self._runtime,
            **batch_identity(meta.batch),
            "rounds": self._rounds_wanted,
            "warmup": [self.how.protocol.net_warmup, self.how.protocol.net_warmup_most],
            **({CORE_CHOICE: cores} if cores else {}),
            "nets": group.net_names,
        }
        return self._journal.with_name(f"{self._journal.name}-g{group.number}.jsonl"), identity

    @property
    def fewest_rounds(self) -> int:
        return self._rounds_wanted

    def install(self, agent: Agent, artifacts: Sequence[Artifact], journal: Journal) -> None:
        del journal
        for failure in agent.install(artifacts):
            raise DeviceError(f"a net cannot run: {failure.reason}", operator=failure.artifact)

    def unfinished(self, group: Group, journal: Journal) -> list[str]:
        """Nets with fewer rounds that count than asked for, as long as the machine gives them a chance.

        Of tuning nets that take turns fewer are asked for. When all have theirs, it is the nets that are not known well
        enough, and the tuning nets once more, for a round of few nets does not tell what they have in common.
        """
        data = journal.measurements
        short = [
            name
            for names, rounds in ((group.net_names, self._rounds_wanted), (group.beside, self._rounds_beside(group)))
            for name in names
            if data.rounds(name, 0) < rounds
            and data.visits(name, 0) < max(MOST_VISITS_PER_ROUND * rounds, rounds + EXTRA_VISITS)
        ]
        if short:
            return short
        self._measured_on = self._uncertain(group, journal)
        return [*self._measured_on, *group.beside] if self._measured_on else []

    def _uncertain(self, group: Group, journal: Journal) -> list[str]:
        """The nets whose worker processes are too far apart, but for those that were measured on for long enough."""
        data, wanted = journal.measurements, self._rounds_wanted
        rounds_us = usual_rounds_us(data, data.artifacts)
        own_us = {name: rounds_us[name] for name in group.net_names if name in rounds_us}
        return [
            name
            for name, half_width in half_widths(own_us, process_starts(journal)).items()
            if half_width > KNOWN_WITHIN
            and data.rounds(name, 0) < MOST_ROUNDS * wanted
            and data.visits(name, 0) < MOST_VISITS * wanted
        ]

    def due(self, group: Group, round_number: int, unfinished: Sequence[str]) -> Sequence[str]:
        """The nets, and the tuning nets whose turn it is; where those alone are left, all that are unfinished."""
        beside = set(group.beside) - in_turn(group.beside, round_number, TUNING_NETS_PER_ROUND)
        return [name for name in unfinished if name not in beside] or unfinished

    def _rounds_beside(self, group: Group) -> int:
        """How many rounds have to count for a tuning net: all groups tell of it together."""
        return max(FEWEST_ROUNDS, math.ceil(self._rounds_wanted / turns_of(group.beside, TUNING_NETS_PER_ROUND)))

    def progress(self, group: Group, outcome: RoundReport, journal: Journal) -> RoundProgress:
        """DeviceError where a net failed: a sum over operators is not judged by the nets that are left."""
        for name, reason in journal.measurements.failures.items():
            raise DeviceError(f"a net cannot run: {reason}", operator=name)
        names, rounds = group.net_names, self._rounds_wanted
        most = {name: (MOST_ROUNDS if name in self._measured_on else 1) * rounds for name in names}
        counted = [min(journal.measurements.rounds(name, 0), most[name]) for name in names]
        share = max(0.01, sum(counted) / sum(most.values()))
        nets = len(group.nets)
        per_group_s = journal.runtime_ns / 1e9 / share
        return RoundProgress(
            stage="verifying",
            round_number=outcome.number,
            done=group.earlier + round(share * nets),
            total=group.total,
            remaining_s=per_group_s * ((group.total - group.earlier) / nets - share),
            disturbed=outcome.disturbed,
        )

    def read(self, group: Group, journal: Journal) -> None:
        rounds_us = usual_rounds_us(journal.measurements, journal.measurements.artifacts)
        names = tuple(group.net_names)
        self._timed.append(_Timed(names, rounds_us, process_starts(journal), self._tuning_measured(rounds_us)))

    def judge(self) -> None:
        """Compares what was measured with the LUT: all groups' tuning nets decide together how it is corrected."""
        found = self._corrections()
        self.corrected = choose(found)
        for timed, in_net in zip(self._timed, found.in_nets[self.corrected], strict=True):
            now = self._lut_now(in_net)
            self.drifts.append(self._drift(now))
            self.results += self._results(timed, now)

    def _drift(self, now: Lut) -> float:
        """How much slower the tuning nets are predicted now than by the LUT, minus 1: their median."""
        ratios = [predict(now, net).latency_us / predict(self._lut, net).latency_us for net in self._tuning]
        return median(ratios) - 1 if ratios else 0.0

    def _tuning_measured(self, measured: dict[str, dict[int, float]]) -> tuple[NetMeasurement, ...]:
        return tuple(
            NetMeasurement(net.key, tuple(op.name for op in net.operators), robust_mean(measured[net.key].values()))
            for net in self._tuning
            if net.key in measured
        )

    def _corrections(self) -> Corrections:
        """What the LUT's tuning nets, timed again, say that operators cost inside nets now."""
        context = self._lut.metadata.context
        rows_us = {row.operator: row.latency_us for row in self._lut.rows if row.is_ok}
        then_us = dict(zip(context.nets, context.nets_us, strict=False))
        groups = [timed.tuning for timed in self._timed]
        setting = self._lut.metadata.setting
        return corrections(groups, rows_us, self._lut.overhead_us, context.in_net, setting, then_us)

    def _lut_now(self, found: InNet) -> Lut:
        """The LUT with what operators cost inside nets now."""
        metadata = self._lut.metadata
        fields = in_net_fields(found) | {"scale_ci_low": found.scale, "scale_ci_high": found.scale}
        context = replace(metadata.context, **fields)
        return replace(self._lut, metadata=replace(metadata, context=context))

    def _results(self, timed: _Timed, now: Lut) -> list[NetResult]:
        results = []
        for key in timed.nets:
            net, rounds_us = self._nets[key], timed.rounds_us.get(key, {})
            halves = halves_us(rounds_us, timed.starts)
            if halves is None:
                self.left_out.append(key)
                continue
            predicted_us, uncorrected_us = predict(now, net).latency_us, predict(self._lut, net).latency_us
            results.append(NetResult(key, predicted_us, uncorrected_us, robust_mean(rounds_us.values()), *halves))
        return results
