"""profile, where a call of the runtime costs more than an operator (Core ML): the slope of chains of copies.

What is exported, brought to the device, placed and timed for that; the LUT has a row per operator as ever, and says in
which unit of the device each ran.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import median
from typing import Any, TypeVar

from lutbench.device_agents.agent import Agent
from lutbench.errors import DeviceError
from lutbench.events import Note, Report
from lutbench.export.artifact import Artifact
from lutbench.jobs.chain_rounds import ChainCampaign, ChainPlan, OperatorPrograms, programs_of
from lutbench.jobs.lut_sections import quality_section
from lutbench.lut.context import fitted_fields
from lutbench.lut.metadata import ContextSection
from lutbench.lut.row import Row, failed_row, identity_row
from lutbench.measure.chains import CHAIN_LENGTHS, UNREADABLE, Slope, placed, with_call
from lutbench.measure.in_net import OF_CHAINS
from lutbench.measure.journal import Journal
from lutbench.measure.net_fit import NetMeasurement
from lutbench.measure.protocol import Canary, Failure, Protocol
from lutbench.measure.scale import FEWEST_NETS, ScaleFit, fit_scale, net_latencies_us, net_noise
from lutbench.measure.statistics import median_ranks, quantile
from lutbench.space.net import Net
from lutbench.space.operator import OVERHEAD, Operator
from lutbench.space.workload import Workload

T = TypeVar("T")
CANARY = "chain"
_GROUP_BYTES = 96 << 20  # of programs that are loaded at once: an app of iOS may take some 1.5 GB, with all they need
_UNIT_OF_ENGINE = {"coreml-cpu": "cpu", "coreml-gpu": "gpu", "coreml-ane": "ane"}
_SHOWN = 3


def chain_workloads(operators: Sequence[Operator]) -> list[Workload]:
    """What is exported: chains of every operator but the empty graph, whose time is what chains have in common."""
    return list({chain.key: chain for operator in _chained(operators) for chain in programs_of(operator).all}.values())


def _chained(operators: Sequence[Operator]) -> list[Operator]:
    return [operator for operator in operators if operator.is_measured and operator != OVERHEAD]


@dataclass(frozen=True)
class Installed:
    """What is on the device.

    units: artifact -> where it runs.
    failures: of artifacts, and of operators whose chains are not all where they should be.
    """

    groups: tuple[tuple[OperatorPrograms, ...], ...]
    nets: tuple[tuple[str, ...], ...]
    units: Mapping[str, Mapping[str, int]]
    failures: tuple[Failure, ...]
    asked: str

    @property
    def failed_operators(self) -> frozenset[str]:
        """Operators of which some program does not run, or not where it should."""
        lost = {failure.artifact for failure in self.failures}
        return frozenset(
            programs.operator.name
            for group in self.groups
            for programs in group
            if programs.operator.name in lost or lost & {chain.key for chain in programs.all}
        )

    def plan(self, protocol: Protocol) -> ChainPlan:
        """What to time. DeviceError where nothing runs where it should."""
        lost = {failure.artifact for failure in self.failures}
        alive = [p for group in self.groups for p in group if p.operator.name not in self.failed_operators]
        if not alive:
            reasons = [f"{failure.artifact}: {failure.reason}" for failure in self.failures][:_SHOWN]
            raise DeviceError(
                f"no operator's chains run on {self.asked} alone ({'; '.join(reasons)})",
                remedy="give another --engine",
            )
        smallest = min(alive, key=lambda programs: (programs.operator.macs, programs.operator.name))
        canary = Canary(CANARY, smallest.chains[len(CHAIN_LENGTHS) // 2].key, 1, protocol.memory_limit)
        timed = {programs.operator.name for programs in alive}
        groups = tuple(tuple(p for p in group if p.operator.name in timed) for group in self.groups)
        nets = tuple(tuple(key for key in group if key not in lost) for group in self.nets)
        return ChainPlan(groups, nets, self.units, self.asked, canary)


def install_chains(
    agent: Agent,
    operators: Sequence[Operator],
    artifacts: Sequence[Artifact],
    exporting: Sequence[Failure],
    engine: str,
) -> Installed:
    """Brings the chains to the device, a group after another, and looks where each runs.

    exporting: what could not be exported.
    """
    sizes = {artifact.name: artifact.size_bytes for artifact in artifacts}
    programs = [programs_of(operator) for operator in _chained(operators)]
    groups = _grouped([(one, sum(sizes.get(chain.key, 0) for chain in one.all)) for one in programs])
    names = [[chain.key for one in group for chain in one.all] for group in groups]
    units, refused = _install(agent, names, artifacts)
    asked = _UNIT_OF_ENGINE[engine]
    where = {one.operator.name: [chain.key for chain in one.all] for one in programs}
    failures = (*exporting, *refused, *_misplaced(where, units, asked))
    return Installed(groups, (), units, failures, asked)


def install_nets(agent: Agent, artifacts: Sequence[Artifact], installed: Installed) -> Installed:
    """The same of whole nets, beside what is there."""
    groups = _grouped([(artifact.name, artifact.size_bytes) for artifact in artifacts])
    units, refused = _install(agent, groups, artifacts)
    misplaced = _misplaced({name: [name] for name in units}, units, installed.asked)
    return replace(
        installed,
        nets=groups,
        units={**installed.units, **units},
        failures=(*installed.failures, *refused, *misplaced),
    )


def _install(
    agent: Agent, groups: Sequence[Sequence[str]], artifacts: Sequence[Artifact]
) -> tuple[dict[str, Mapping[str, int]], list[Failure]]:
    """Where each artifact runs, and those that the device refuses."""
    by_name = {artifact.name: artifact for artifact in artifacts}
    units: dict[str, Mapping[str, int]] = {}
    failures: list[Failure] = []
    for names in groups:
        wanted = [by_name[name] for name in dict.fromkeys(names) if name in by_name and name not in units]
        refused = list(agent.install(wanted))
        failures += refused
        lost = {failure.artifact for failure in refused}
        units |= {artifact.name: agent.units(artifact.name) for artifact in wanted if artifact.name not in lost}
    return units, failures


def _grouped(sized: Sequence[tuple[T, int]]) -> tuple[tuple[T, ...], ...]:
    """In order, so many at a time as have _GROUP_BYTES together, and at least one."""
    groups: list[list[T]] = []
    size = math.inf
    for item, item_bytes in sized:
        if size + item_bytes > _GROUP_BYTES:
            groups.append([])
            size = 0
        groups[-1].append(item)
        size += item_bytes
    return tuple(tuple(group) for group in groups)


def _misplaced(
    programs: Mapping[str, Sequence[str]], units: Mapping[str, Mapping[str, int]], asked: str
) -> list[Failure]:
    """Operators, and nets, whose programs do not run where they should: known before anything is timed."""
    found = []
    for name, keys in programs.items():
        own = {key: units[key] for key in keys if key in units}
        problem = placed(own, asked)[1] if own else ""  # of what does not run at all, the programs' failures say why
        if problem:
            found.append(Failure(name, problem))
    return found


def placement(units: Mapping[str, Mapping[str, int]]) -> dict[str, str]:
    """Artifact -> where it runs, as text: a run that goes on has to find it as the one before did."""
    return {name: ",".join(f"{u}:{n}" for u, n in sorted(told.items())) or UNREADABLE for name, told in units.items()}


def note_failures(journal: Journal, installed: Installed, operators: Sequence[Operator], report: Report) -> None:
    """Journals what cannot be timed, each once, and says how many operators do not run where they should."""
    known = journal.measurements.failures
    new = [failure for failure in installed.failures if failure.artifact not in known]
    journal.append({"failed": failure.artifact, "reason": failure.reason} for failure in new)
    names = {operator.name for operator in operators}
    elsewhere = [failure for failure in installed.failures if failure.artifact in names]
    if elsewhere:
        shown = "; ".join(f"{failure.artifact}: {failure.reason}" for failure in elsewhere[:_SHOWN])
        report(Note(
            f"{len(elsewhere)} of {len(operators)} operators do not run on {installed.asked} alone and have no"
            f" latency: {shown}{'; ...' if len(elsewhere) > _SHOWN else ''}", warning=True,
        ))  # fmt: skip


@dataclass(frozen=True)
class Timed:
    """What the rounds came to: rows, and the [context] they belong to."""

    rows: tuple[Row, ...]
    context: ContextSection


def timed(
    campaign: ChainCampaign, plan: ChainPlan, operators: Sequence[Operator], nets: Sequence[Net], journal: Journal
) -> Timed:
    """The rows, sorted by operator, and the fit to whole nets."""
    slopes = {programs.operator.name: campaign.slope(programs) for programs in plan.programs}
    samples = {programs.operator.name: campaign.samples(programs) for programs in plan.programs}
    rows = [_row(op, slopes.get(op.name), samples, journal) for op in operators if op != OVERHEAD]
    overhead = _overhead_row([slope for slope in slopes.values() if isinstance(slope, Slope)], sum(samples.values()))
    rows = sorted([*rows, overhead], key=lambda row: row.operator)
    return Timed(tuple(rows), _context(rows, plan, nets, journal))


def _row(operator: Operator, found: Slope | Failure | None, samples: Mapping[str, int], journal: Journal) -> Row:
    if not operator.is_measured:
        return identity_row(operator.name)
    if not isinstance(found, Slope):
        return failed_row(operator.name, found.reason if found else _why_not(operator, journal))
    return Row(
        operator.name,
        latency_us=round(found.latency_us, 3),
        ci_low_us=round(found.ci_low_us, 3),
        ci_high_us=round(found.ci_high_us, 3),
        p10_us=round(found.quantile_us(0.1), 3),
        p90_us=round(found.quantile_us(0.9), 3),
        min_us=round(found.quantile_us(0.0), 3),
        samples=samples[operator.name],
        rounds=found.rounds,
        unit=found.unit,
    )


def _why_not(operator: Operator, journal: Journal) -> str:
    """Why an operator was not timed: its own reason, or the first of its programs'."""
    failures = journal.measurements.failures
    if operator.name in failures:
        return failures[operator.name]
    reasons = [f"{chain.key}: {failures[chain.key]}" for chain in programs_of(operator).all if chain.key in failures]
    return reasons[0] if reasons else "it was not timed"


def _overhead_row(slopes: Sequence[Slope], samples: int) -> Row:
    """A call without any operator: where chains' lines begin, in each round the median over operators."""
    calls: dict[int, list[float]] = {}
    for slope in slopes:
        for number, call_us in slope.calls_us.items():
            calls.setdefault(number, []).append(call_us)
    rounds = sorted(max(0.0, median(found)) for found in calls.values())
    ranks = median_ranks(len(rounds))
    if ranks is None or not median(rounds) > 0:
        return failed_row(OVERHEAD.name, "the lines of the operators' chains do not say what a call takes")
    units = {slope.unit for slope in slopes}
    return Row(
        OVERHEAD.name,
        latency_us=round(median(rounds), 3),
        ci_low_us=round(rounds[ranks[0]], 3),
        ci_high_us=round(rounds[ranks[1]], 3),
        p10_us=round(quantile(rounds, 0.1), 3),
        p90_us=round(quantile(rounds, 0.9), 3),
        min_us=round(rounds[0], 3),
        samples=samples,
        rounds=len(rounds),
        unit=units.pop() if len(units) == 1 else UNREADABLE,
    )


def _context(rows: Sequence[Row], plan: ChainPlan, nets: Sequence[Net], journal: Journal) -> ContextSection:
    data = journal.measurements
    rows_us = {row.operator: row.latency_us for row in rows if row.is_ok}
    measured = []
    latencies_us = net_latencies_us(data, [net.key for net in nets])
    for net in nets:
        names = tuple(operator.name for operator in net.operators)
        if net.key in latencies_us and net.key not in data.failures and all(name in rows_us for name in names):
            measured.append(NetMeasurement(net.key, names, latencies_us[net.key]))
    fit = _fit(measured, rows_us)
    nets_us = {net.net: round(net.latency_us, 3) for net in measured} if fit else {}
    operator = next(p.operator.name for p in plan.programs if plan.canary.artifact in {c.key for c in p.chains})
    return ContextSection(
        **(fitted_fields(fit) if fit else {}),
        net_noise=round(net_noise(data, [net.net for net in measured], []), 6),
        nets=tuple(nets_us),
        nets_us=tuple(nets_us.values()),
        canaries=(operator,),
        chains=CHAIN_LENGTHS,
    )


def _fit(nets: Sequence[NetMeasurement], rows_us: Mapping[str, float]) -> ScaleFit | None:
    if len(nets) < FEWEST_NETS or OVERHEAD.name not in rows_us:
        return None
    rows_us = with_call(rows_us, rows_us[OVERHEAD.name], OVERHEAD.name)
    fit = fit_scale(nets, rows_us, rows_us[OVERHEAD.name], OF_CHAINS, {})
    return replace(fit, in_net=replace(fit.in_net, with_call=False))


def chain_quality(
    rows: Sequence[Row], plan: ChainPlan, protocol: Protocol, journal: Journal, wall_s: float
) -> dict[str, Any]:
    """[quality]: as of any profile, and on which unit how many rows ran."""
    return {
        **quality_section(rows, protocol, (plan.canary,), journal, wall_s),
        "canary_unit": next(iter(plan.units.get(plan.canary.artifact, {})), UNREADABLE),
        "units": dict(sorted(Counter(row.unit for row in rows if row.unit).items())),
    }
