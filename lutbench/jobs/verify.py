"""verify: random whole nets on the device, a LUT's prediction against their measurement, and its own noise floor."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from statistics import fmean, median
from typing import Any

from lutbench.device_agents.agent import CORE_CHOICE, FIXED_PERFORMANCE, AgentSettings
from lutbench.device_agents.registry import check_measurable, open_agent
from lutbench.errors import DeviceError, LutError, UsageError
from lutbench.events import Note, Report
from lutbench.export.artifact import Artifact
from lutbench.export.cache import ArtifactCache
from lutbench.export.exporters import Exporter, check_times_nets, exporter_of
from lutbench.export.own_code import check_unchanged
from lutbench.files import check_writable, default_cache_folder
from lutbench.jobs.artifacts import export_workloads
from lutbench.jobs.check import LookFirst, look_first_at_phone
from lutbench.jobs.device_hold import OpenAgent, held
from lutbench.jobs.measure_request import DeviceRequest
from lutbench.jobs.net_rounds import Measuring
from lutbench.jobs.quiet import Waiting
from lutbench.jobs.tuning import choose_canaries
from lutbench.jobs.verify_rounds import VerifyRounds
from lutbench.locks import folder_lock
from lutbench.lut.file import read_lut, write_lut
from lutbench.lut.journal_place import journal_folder
from lutbench.lut.metadata import timestamp
from lutbench.lut.predict import net_half_width, predict
from lutbench.lut.shipped import check_own
from lutbench.lut.table import Lut
from lutbench.lut.verify_file import NetResult, results_path, write_results
from lutbench.measure.protocol import Protocol
from lutbench.space.macro import Space
from lutbench.space.net import Net, net_of_key
from lutbench.space.sampling import random_nets
from lutbench.space.workload import Workload, workload_name
from lutbench.space.zoo import find_net
from lutbench.units import format_percent

WORST_SHOWN = 5
FEWEST_NETS_JUDGED = 2  # an order needs two


@dataclass(frozen=True, kw_only=True)
class VerifyRequest(DeviceRequest):
    """What to verify, and on which device.

    nets: how many random nets.
    given: names, files and keys of nets that are judged in their place.
    rounds: that count for each net; alternate ones make up its two halves.
    """

    lut_path: Path
    nets: int = 200
    given: tuple[str, ...] = ()
    seed: int = 0
    rounds: int = 40
    protocol: Protocol = field(default_factory=Protocol)

    def __post_init__(self) -> None:
        if self.nets < FEWEST_NETS_JUDGED:
            raise UsageError(f"--nets {self.nets}: at least 2 nets are needed to compare")
        if self.rounds < 4:
            raise UsageError(f"--rounds {self.rounds}: at least 4 rounds are needed for two halves")


@dataclass(frozen=True)
class VerifyReport:
    """Prediction against measurement over nets; fractions. noise_*: the same nets' two interleaved halves compared.

    drift: how much slower the LUT's tuning nets, timed again beside the others, are now, and predictions with them;
    uncorrected_mean_abs_error is without that.
    corrected: how the predictions were corrected for drift (none, ratio, fit), which the tuning nets decide.
    within_interval: share of the nets that were measured inside the interval of their prediction.
    left_out: nets that never ran while the machine was quiet, which nets does not count.
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
    left_out: int
    corrected: str = "none"
    within_interval: float | None = None

    def summary(self) -> dict[str, Any]:
        """What goes into a LUT's [quality.additivity]."""
        known = {key: value for key, value in asdict(self).items() if value is not None}
        return {key: round(value, 5) if isinstance(value, float) else value for key, value in known.items()}


def verify(
    request: VerifyRequest,
    report: Report,
    open_device: OpenAgent = open_agent,
    look_first: LookFirst = look_first_at_phone,
) -> tuple[VerifyReport, list[NetResult]]:
    """Measures random nets, never those the LUT was tuned on, and writes the summary into the LUT's [quality].

    Each net's result goes into a file beside the LUT's journals (`lutbench.verified`), which `report` draws. Of nets
    that the request gives neither is written: they are no draw, and say nothing of others.
    A run that is cut off goes on from its journals, one per group of nets.
    """
    check_own(request.lut_path)
    lut = read_lut(request.lut_path)
    exporter = _exporter(lut)
    check_times_nets(exporter)
    check_measurable(request.device, exporter.runtime)
    check_unchanged(lut.metadata.space, lut.path)
    covered = lut.covered(lut.metadata.space.spaces)
    for text in _differences(request, lut, exporter, covered):
        report(Note(text, warning=True))
    tuning = tuning_nets(lut, covered)
    how = Measuring(
        device=request.device,
        settings=_settings(request, lut, exporter, report),
        canaries=choose_canaries(covered, request.protocol, lut.metadata.batch, lut.failed),
        protocol=request.protocol,
        open_device=open_device,
        look_first=look_first,
        waiting=Waiting(request.wait_quiet_s),
    )
    written = results_path(request.lut_path, lut.metadata.revision)
    for path in (request.lut_path, written):
        check_writable(path)
    folder = journal_folder(request.lut_path)
    with folder_lock(folder), held(request.device, folder):
        nets = _given(request, covered, tuning) if request.given else _draw(request, covered, lut)
        for net in nets:
            predict(lut, net)  # a missing row shows before anything is measured
        artifacts = _exported([*nets, *tuning, *how.canaries.operators], exporter, lut.metadata.dtype, report, nets)
        nets = [net for net in nets if net.key in artifacts]
        stem = folder / f"verify-r{lut.metadata.revision}-{_name_of(request, nets)}"
        rounds = VerifyRounds(how, lut, nets, tuning, request.rounds, exporter.runtime_version, stem)
        named = [[artifacts[workload_name(one)] for one in some] for some in (nets, how.canaries.operators, tuning)]
        disturbed = rounds.measure(*named)
        rounds.judge()
        results = rounds.results
        _tell_left_out(rounds.left_out, len(results), report)
        judged = summarize_nets(results, request, median(rounds.drifts), disturbed, len(rounds.left_out))
        found = replace(
            judged,
            corrected=rounds.corrected,
            within_interval=share_inside(results, net_half_width(lut)),
        )
        if not request.given:
            quality = {**lut.metadata.quality, "additivity": {"measured_at": timestamp(), **found.summary()}}
            write_results(results, written)
            write_lut(replace(lut, metadata=replace(lut.metadata, quality=quality)), request.lut_path)
        rounds.set_journals_aside()
    return found, results


def _tell_left_out(left_out: Sequence[str], judged: int, report: Report) -> None:
    """Says which nets are not judged; DeviceError where too few are left to compare."""
    if not left_out:
        return
    if judged < FEWEST_NETS_JUDGED:
        raise DeviceError(
            f"the machine was never quiet while {len(left_out)} of {len(left_out) + judged} nets ran",
            operator=left_out[0],
            remedy="verify again when less else runs",
        )
    report(
        Note(
            f"{len(left_out)} of {len(left_out) + judged} nets never ran while the machine was quiet, and are not"
            f" judged: {left_out[0]}{', ...' if len(left_out) > 1 else ''}",
            warning=True,
        )
    )


def _differences(request: VerifyRequest, lut: Lut, exporter: Exporter, covered: Sequence[Space]) -> list[str]:
    """What sets what is measured here apart from what the LUT speaks of, one line each."""
    meta, texts = lut.metadata, []
    if exporter.runtime_version != meta.runtime:
        texts.append(f"the LUT was measured with {meta.runtime}, here is {exporter.runtime_version}")
    if request.device.name != meta.device:
        texts.append(f"the LUT is of device {meta.device}, measuring on {request.device.name}")
    left_out = [space for space in meta.space.spaces if space not in covered]
    return texts + [f"the LUT does not cover {s.name} at {s.label}: no nets of it are drawn" for s in left_out]


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


def tuning_nets(lut: Lut, spaces: Sequence[Space]) -> tuple[Net, ...]:
    """The nets that the LUT was tuned on."""
    return tuple(net_of_key(key, spaces) for key in lut.metadata.context.nets)


def _draw(request: VerifyRequest, spaces: Sequence[Space], lut: Lut) -> list[Net]:
    """Random nets of each space in equal shares, none that the LUT was tuned on."""
    counts = [request.nets // len(spaces)] * len(spaces)
    counts[0] += request.nets - sum(counts)
    used = {net.key for net in tuning_nets(lut, spaces)}
    nets: list[Net] = []
    for space, count in zip(spaces, counts, strict=True):
        nets.extend(random_nets(space, count, request.seed, "verify", used, varied=True, failed=lut.failed))
    return nets


def _given(request: VerifyRequest, spaces: Sequence[Space], tuning: Sequence[Net]) -> list[Net]:
    """The nets that the request names, each once; UsageError for one that the LUT was made from."""
    own = {net.key for net in tuning}
    found: dict[str, Net] = {}
    for text in request.given:
        net = find_net(text, tuple(spaces))
        if net.key in own:
            raise UsageError(
                f"{text} is among the nets that this LUT was tuned on, and would judge itself",
                remedy="leave it out; `lutbench predict` and `lutbench bench` compare it with its measurement",
            )
        found[net.key] = net
    if len(found) < FEWEST_NETS_JUDGED:
        raise UsageError(f"{request.given[0]} alone: at least 2 nets are needed to compare")
    return list(found.values())


def _name_of(request: VerifyRequest, nets: Sequence[Net]) -> str:
    """What its journals are told from others of the same LUT by."""
    if not request.given:
        return f"s{request.seed}-n{request.nets}"
    return hashlib.sha256("\n".join(net.key for net in nets).encode()).hexdigest()[:12]


def _exported(
    workloads: Sequence[Workload], exporter: Exporter, dtype: str, report: Report, judged: Sequence[Net]
) -> dict[str, Artifact]:
    """The artifacts by name; of the nets that are judged one that cannot be exported is left out, and said."""
    artifacts, failures = export_workloads(workloads, exporter, dtype, ArtifactCache(default_cache_folder()), report)
    own = {net.key for net in judged}
    for failure in failures:
        if failure.artifact in own and len(failures) <= len(judged) - FEWEST_NETS_JUDGED:
            report(Note(f"{failure.artifact} cannot be exported, and is not judged: {failure.reason}", warning=True))
            continue
        raise DeviceError(f"a net cannot be exported: {failure.reason}", operator=failure.artifact)
    return {artifact.name: artifact for artifact in artifacts}


def _settings(request: VerifyRequest, lut: Lut, exporter: Exporter, report: Report) -> AgentSettings:
    """As the LUT was measured, on the cores that the request or else the LUT names."""
    meta = lut.metadata
    return AgentSettings(
        exporter.runtime,
        meta.dtype,
        meta.threads,
        cores=request.device.cores_for(request.cores or str(meta.environment.get(CORE_CHOICE, ""))),
        force=request.force,
        fixed_performance=meta.environment.get(FIXED_PERFORMANCE) is True,
        heat_wait=request.heat_wait,
        report=report,
    )


def summarize_nets(
    results: Sequence[NetResult], request: VerifyRequest, drift: float, disturbed: float, left_out: int = 0
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
        left_out=left_out,
    )


def share_inside(results: Sequence[NetResult], half_width: float | None) -> float | None:
    """The share of the nets that were measured inside their prediction's 95 % interval; None where there is none."""
    if half_width is None:
        return None
    return fmean(abs(result.measured_us / result.predicted_us - 1) <= half_width for result in results)


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
