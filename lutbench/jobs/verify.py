"""verify: random whole nets on the device, a LUT's prediction against their measurement, and its own noise floor."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from statistics import fmean, median
from typing import Any

from lutbench.device_agents.agent import CORE_CHOICE, FIXED_PERFORMANCE, AgentSettings
from lutbench.device_agents.registry import check_measurable, open_agent
from lutbench.errors import DeviceError, LutError, UsageError
from lutbench.events import Note, Report, RoundProgress
from lutbench.export.artifact import Artifact
from lutbench.export.cache import ArtifactCache
from lutbench.export.exporters import Exporter, exporter_of
from lutbench.files import check_writable, default_cache_folder
from lutbench.jobs.artifacts import batch_identity, export_workloads
from lutbench.jobs.check import LookFirst, look_first_at_phone
from lutbench.jobs.device_hold import OpenAgent, held
from lutbench.jobs.journal_notes import report_journal
from lutbench.jobs.measure_request import DeviceRequest
from lutbench.jobs.net_rounds import NETS_PER_GROUP, measure_nets
from lutbench.jobs.tuning import choose_canaries
from lutbench.locks import folder_lock
from lutbench.lut.file import read_lut, write_lut
from lutbench.lut.journal_place import journal_folder, set_aside
from lutbench.lut.predict import predict
from lutbench.lut.shipped import check_own
from lutbench.lut.table import Lut, timestamp
from lutbench.lut.verify_file import NetResult, results_path, write_results
from lutbench.measure.journal import Journal
from lutbench.measure.protocol import Protocol
from lutbench.measure.rounds import RoundReport
from lutbench.measure.scale import FEWEST_NETS, NetMeasurement, fit_scale, without_common_drift
from lutbench.space.macro import Space
from lutbench.space.net import Net, net_of_key
from lutbench.space.sampling import random_nets
from lutbench.space.workload import Workload
from lutbench.units import format_percent

WORST_SHOWN = 5
MOST_VISITS_PER_ROUND = 2  # a net that the machine disturbs again and again is taken as it is


@dataclass(frozen=True, kw_only=True)
class VerifyRequest(DeviceRequest):
    """nets: how many random nets. rounds: that count for each net; alternate ones make up its two halves."""

    lut_path: Path
    nets: int = 200
    seed: int = 0
    rounds: int = 40
    protocol: Protocol = field(default_factory=Protocol)

    def __post_init__(self) -> None:
        if self.nets < 2:
            raise UsageError(f"--nets {self.nets}: at least 2 nets are needed to compare")
        if self.rounds < 4:
            raise UsageError(f"--rounds {self.rounds}: at least 4 rounds are needed for two halves")


@dataclass(frozen=True)
class VerifyReport:
    """Prediction against measurement over nets; fractions. noise_*: the same nets' two interleaved halves compared.

    drift: how much slower the LUT's tuning nets, timed again beside the others, are now. scale and operator_us are
    fitted to them anew for the predictions; uncorrected_mean_abs_error is without that.
    """

    nets: int
    seed: int
    rounds: int
    mean_error: float
    mean_abs_error: float
    max_abs_error: float
    within_1pct: float
    within_3pct: float
    within_5pct: float
    within_10pct: float
    kendall_tau: float
    spearman: float
    noise_mean: float
    noise_max: float
    noise_tau: float
    drift: float
    uncorrected_mean_abs_error: float
    disturbed_share: float

    def summary(self) -> dict[str, Any]:
        """What goes into a LUT's [quality.additivity]."""
        return {key: round(value, 5) if isinstance(value, float) else value for key, value in asdict(self).items()}


def verify(
    request: VerifyRequest,
    report: Report,
    open_device: OpenAgent = open_agent,
    look_first: LookFirst = look_first_at_phone,
) -> tuple[VerifyReport, list[NetResult]]:
    """Measures random nets, never those the LUT was tuned on, and writes the summary into the LUT's [quality].

    Each net's result goes into a file beside the LUT's journals (`lutbench.verified`), which `report` draws.
    A run that is cut off goes on from its journals, one per group of nets.
    """
    check_own(request.lut_path)
    lut = read_lut(request.lut_path)
    spaces = lut.metadata.space.spaces
    exporter = _exporter(lut)
    check_measurable(request.device, exporter.runtime)
    if exporter.runtime_version != lut.metadata.runtime:
        report(Note(f"the LUT was measured with {lut.metadata.runtime}, here is {exporter.runtime_version}", True))
    if request.device.name != lut.metadata.device:
        report(Note(f"the LUT is of device {lut.metadata.device}, measuring on {request.device.name}", True))
    covered = lut.covered(spaces)
    for space in spaces:
        if space not in covered:
            report(Note(f"the LUT does not cover {space.name} at {space.label}: no nets of it are drawn", True))
    job = _Job(request, lut, covered, exporter, report, open_device, look_first)
    written = results_path(request.lut_path, lut.metadata.revision)
    for path in (request.lut_path, written):
        check_writable(path)
    with folder_lock(job.folder), held(request.device, job.folder):
        results, drift, disturbed = job.run()
        found = summarize_nets(results, request, drift, disturbed)
        quality = {**lut.metadata.quality, "additivity": {"measured_at": timestamp(), **found.summary()}}
        write_results(results, written)
        write_lut(replace(lut, metadata=replace(lut.metadata, quality=quality)), request.lut_path)
        job.set_journals_aside()
    return found, results


def _exporter(lut: Lut) -> Exporter:
    """The exporter of the LUT's runtime; LutError where nobody can measure what the LUT speaks of."""
    meta = lut.metadata
    try:
        return exporter_of(meta.runtime, meta.batch)
    except UsageError:
        if meta.provenance == "measured":
            raise
        raise LutError(
            f"is {meta.provenance}, and of a runtime that lutbench does not run ({meta.runtime}): there is nothing to"
            " measure it against",
            path=lut.path,
            remedy="measure the device, and verify that LUT",
        ) from None


class _Job:
    """The measuring part of verify: groups of nets, each with the LUT's tuning nets beside them."""

    def __init__(
        self,
        request: VerifyRequest,
        lut: Lut,
        spaces: Sequence[Space],
        exporter: Exporter,
        report: Report,
        open_device: OpenAgent,
        look_first: LookFirst,
    ) -> None:
        self._request = request
        self._lut = lut
        self._spaces = spaces
        self._exporter = exporter
        self._report = report
        self._open_device = open_device
        self._look_first = look_first
        context = lut.metadata.context
        self._tuning = tuple(net_of_key(key, spaces) for key in context.nets)
        self._canaries = choose_canaries(spaces, request.protocol, lut.metadata.batch)
        self._cores = request.device.cores_for(request.cores or str(lut.metadata.environment.get(CORE_CHOICE, "")))
        self._journals: list[Path] = []
        self.folder = journal_folder(request.lut_path)

    def run(self) -> tuple[list[NetResult], float, float]:
        """Every net's result, the median drift of the groups, and the share of samples that did not count."""
        nets = self._draw()
        for net in nets:
            predict(self._lut, net)  # a missing row shows before anything is measured
        artifacts = self._export(nets)
        self._look_first(self._request.device, self._settings, artifacts[self._canaries.operators[0].name])
        results: list[NetResult] = []
        drifts, disturbed = [], []
        for start in range(0, len(nets), NETS_PER_GROUP):
            group = nets[start : start + NETS_PER_GROUP]
            path = self._journal_path(start // NETS_PER_GROUP)
            with Journal(path, self._identity(group), self._canaries.all) as journal:
                report_journal(journal, self._report)
                self._measure_group(group, artifacts, journal, start, len(nets))
                now = self._lut_now(journal)
                drifts.append(self._drift(now))
                disturbed.append(journal.measurements.disturbed_share)
                results += self._results(group, now, journal)
            self._journals.append(path)
        return results, median(drifts), fmean(disturbed)

    def set_journals_aside(self) -> None:
        """The next verify measures anew. Only once all is written: a full disk must not cost what was measured."""
        for path in self._journals:
            set_aside(path)

    def _draw(self) -> list[Net]:
        counts = [self._request.nets // len(self._spaces)] * len(self._spaces)
        counts[0] += self._request.nets - sum(counts)
        used = {net.key for net in self._tuning}
        nets: list[Net] = []
        for space, count in zip(self._spaces, counts, strict=True):
            nets.extend(random_nets(space, count, self._request.seed, "verify", exclude=used))
        return nets

    def _export(self, nets: Sequence[Net]) -> dict[str, Artifact]:
        cache = ArtifactCache(default_cache_folder())
        workloads: list[Workload] = [*nets, *self._tuning, *self._canaries.operators]
        dtype = self._lut.metadata.dtype
        artifacts, failures = export_workloads(workloads, self._exporter, dtype, cache, self._report)
        if failures:
            raise DeviceError(f"a net cannot be exported: {failures[0].reason}", operator=failures[0].artifact)
        return {artifact.name: artifact for artifact in artifacts}

    @property
    def _settings(self) -> AgentSettings:
        meta = self._lut.metadata
        return AgentSettings(
            self._exporter.runtime,
            meta.dtype,
            meta.threads,
            cores=self._cores,
            force=self._request.force,
            fixed_performance=meta.environment.get(FIXED_PERFORMANCE) is True,
            heat_wait=self._request.heat_wait,
            report=self._report,
        )

    def _measure_group(
        self, group: Sequence[Net], artifacts: dict[str, Artifact], journal: Journal, before: int, total: int
    ) -> None:
        names = [net.key for net in (*group, *self._tuning)]
        with self._open_device(self._request.device, self._settings) as agent:
            for failure in agent.install(
                [artifacts[name] for name in (*names, *(operator.name for operator in self._canaries.operators))]
            ):
                raise DeviceError(f"a net cannot run: {failure.reason}", operator=failure.artifact)

            def after_round(outcome: RoundReport) -> None:
                for name, reason in journal.measurements.failures.items():
                    raise DeviceError(f"a net cannot run: {reason}", operator=name)
                self._report(self._progress(outcome, names, journal, before, total))

            measure_nets(
                agent.measure,
                journal,
                lambda: self._unfinished(names, journal),
                self._canaries.nets.name,
                self._request.protocol,
                after_round,
            )

    def _unfinished(self, names: Sequence[str], journal: Journal) -> list[str]:
        """Nets with fewer rounds that count than asked for, as long as the machine gives them a chance."""
        data, rounds = journal.measurements, self._request.rounds
        return [
            name
            for name in names
            if data.rounds(name, 0) < rounds and data.visits(name, 0) < MOST_VISITS_PER_ROUND * rounds
        ]

    def _progress(
        self, outcome: RoundReport, names: Sequence[str], journal: Journal, before: int, total: int
    ) -> RoundProgress:
        counted = [min(journal.measurements.rounds(name, 0), self._request.rounds) for name in names]
        share = max(0.01, sum(counted) / len(names) / self._request.rounds)
        group = len(names) - len(self._tuning)
        per_group_s = journal.runtime_ns / 1e9 / share
        return RoundProgress(
            stage="verifying",
            round_number=outcome.number,
            done=before + round(share * group),
            total=total,
            remaining_s=per_group_s * ((total - before) / group - share),
            disturbed=outcome.disturbed,
        )

    def _identity(self, group: Sequence[Net]) -> dict[str, Any]:
        meta = self._lut.metadata
        return {
            "verify": meta.device,
            "revision": meta.revision,
            "measured_at": meta.measured_at,
            "runtime": self._exporter.runtime_version,
            **batch_identity(meta.batch),
            "rounds": self._request.rounds,
            **({CORE_CHOICE: self._cores} if self._cores else {}),
            "nets": [net.key for net in group],
        }

    def _journal_path(self, group: int) -> Path:
        request = self._request
        return self.folder / f"verify-r{self._lut.metadata.revision}-s{request.seed}-n{request.nets}-g{group}.jsonl"

    def _drift(self, now: Lut) -> float:
        """How much slower the tuning nets are predicted now than by the LUT, minus 1: their median."""
        ratios = [predict(now, net).latency_us / predict(self._lut, net).latency_us for net in self._tuning]
        return median(ratios) - 1 if ratios else 0.0

    def _lut_now(self, journal: Journal) -> Lut:
        """The LUT with the scale and operator_us that its tuning nets ask for now; as it is where it has none."""
        measured = self._medians_us(journal)
        rows_us = {row.operator: row.latency_us for row in self._lut.rows if row.is_ok}
        nets = [
            NetMeasurement(net.key, tuple(op.name for op in net.operators), median(measured[net.key]))
            for net in self._tuning
            if net.key in measured
        ]
        if len(nets) < FEWEST_NETS:
            return self._lut
        fit = fit_scale(nets, rows_us, self._lut.overhead_us)
        metadata = self._lut.metadata
        context = replace(
            metadata.context,
            scale=fit.scale,
            scale_ci_low=fit.ci_low,
            scale_ci_high=fit.ci_high,
            operator_us=fit.operator_us,
        )
        return replace(self._lut, metadata=replace(metadata, context=context))

    def _medians_us(self, journal: Journal) -> dict[str, list[float]]:
        """Every net's round medians, the rounds' common drift taken out."""
        data = journal.measurements
        rounds_us = {key: medians for key in data.artifacts if (medians := data.round_medians_us(key, 0))}
        return without_common_drift(rounds_us)

    def _results(self, group: Sequence[Net], now: Lut, journal: Journal) -> list[NetResult]:
        measured = self._medians_us(journal)
        results = []
        for net in group:
            medians = measured.get(net.key, [])
            if len(medians) < 2:
                raise DeviceError(
                    f"the machine was never quiet while this net ran ({len(medians)} rounds count)",
                    operator=net.key,
                    remedy="verify again when less else runs",
                )
            predicted_us, uncorrected_us = predict(now, net).latency_us, predict(self._lut, net).latency_us
            halves = median(medians[::2]), median(medians[1::2])
            results.append(NetResult(net.key, predicted_us, uncorrected_us, median(medians), *halves))
        return results


def summarize_nets(
    results: Sequence[NetResult], request: VerifyRequest, drift: float, disturbed: float
) -> VerifyReport:
    """The figures over all nets; rank correlations by scipy."""
    from scipy.stats import kendalltau, spearmanr

    errors = [abs(result.error) for result in results]
    noises = [result.noise for result in results]
    predicted = [result.predicted_us for result in results]
    measured = [result.measured_us for result in results]
    uncorrected = [abs(result.uncorrected_us / result.measured_us - 1) for result in results]

    def within(limit: float) -> float:
        return sum(error <= limit for error in errors) / len(errors)

    return VerifyReport(
        nets=len(results),
        seed=request.seed,
        rounds=request.rounds,
        mean_error=fmean(result.error for result in results),
        mean_abs_error=fmean(errors),
        max_abs_error=max(errors),
        within_1pct=within(0.01),
        within_3pct=within(0.03),
        within_5pct=within(0.05),
        within_10pct=within(0.10),
        kendall_tau=float(kendalltau(predicted, measured).statistic),
        spearman=float(spearmanr(predicted, measured).statistic),
        noise_mean=fmean(noises),
        noise_max=max(noises),
        noise_tau=float(kendalltau([r.half_a_us for r in results], [r.half_b_us for r in results]).statistic),
        drift=drift,
        uncorrected_mean_abs_error=fmean(uncorrected),
        disturbed_share=disturbed,
    )


def worst(results: Sequence[NetResult], count: int = WORST_SHOWN) -> list[NetResult]:
    """The nets with the largest errors, worst first."""
    return sorted(results, key=lambda result: -abs(result.error))[:count]


def describe(found: VerifyReport) -> str:
    """One line for people."""
    return (
        f"{found.nets} nets: mean error {format_percent(found.mean_abs_error, 2)}"
        f" (noise floor {format_percent(found.noise_mean, 2)}), worst {format_percent(found.max_abs_error, 2)},"
        f" tau {found.kendall_tau:.3f} (floor {found.noise_tau:.3f})"
    )
