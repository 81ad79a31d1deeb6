"""From a campaign's measurements to the rows and the sections of a LUT."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import fmean
from typing import Any

from lutbench.errors import DeviceError
from lutbench.events import Note, Report
from lutbench.export.artifact import Artifact
from lutbench.jobs.operator_rounds import Context
from lutbench.jobs.tuning import Canaries
from lutbench.lut.canaries import SMALL
from lutbench.lut.context import fitted_fields
from lutbench.lut.metadata import ContextSection
from lutbench.lut.row import Row, failed_row, identity_row, interval_quality
from lutbench.measure.common_drift import every_round_us, summary_of
from lutbench.measure.journal import Journal
from lutbench.measure.measurements import Measurements
from lutbench.measure.processes import half_widths, widened
from lutbench.measure.protocol import Canary, Protocol
from lutbench.measure.scale import net_latencies_us
from lutbench.measure.statistics import Summary
from lutbench.space.macro import Space, distinct_operators
from lutbench.space.net import Net
from lutbench.units import format_percent

_UNDELEGATED_SHOWN = 3
NOTEWORTHY_ERROR = 0.01  # of nets left out, above their noise
NOTEWORTHY_NOISE = 0.05  # of nets: on a machine of two busy cores one thread has 1 to 3 %


def environment_section(before: Mapping[str, Any], after: Mapping[str, Any]) -> dict[str, Any]:
    """The state before the run, and what of it had changed afterwards as KEY_after."""
    return {**before, **{f"{key}_after": value for key, value in after.items() if value != before.get(key)}}


def lut_rows(
    spaces: Sequence[Space], context: Context, measurements: Measurements, process_starts: Sequence[int]
) -> tuple[Row, ...]:
    """A row for each operator of the spaces.

    process_starts: the rounds at which a worker process began, whose differences the intervals have in.
    """
    rows = []
    names = [op.name for op in distinct_operators(spaces) if op.is_measured]
    rounds_us = every_round_us(measurements, names, context.depth)
    widths = half_widths(rounds_us, process_starts)
    for operator in distinct_operators(spaces):
        name = operator.name
        if not operator.is_measured:
            rows.append(identity_row(name))
        elif name in measurements.failures:
            rows.append(failed_row(name, measurements.failures[name]))
        else:
            if name not in rounds_us:
                raise DeviceError("the device gave no sample of it", operator=name)
            summary = summary_of(measurements, name, context.depth, rounds_us[name])
            rows.append(_row(name, widened(summary, widths[name])))
    return tuple(rows)


def _row(name: str, summary: Summary) -> Row:
    """The summary rounded to whole nanoseconds, as the file holds it."""
    return Row(
        name,
        latency_us=round(summary.latency_us, 3),
        ci_low_us=round(summary.ci_low_us, 3),
        ci_high_us=round(summary.ci_high_us, 3),
        p10_us=round(summary.p10_us, 3),
        p90_us=round(summary.p90_us, 3),
        min_us=round(summary.min_us, 3),
        samples=summary.samples,
        rounds=summary.rounds,
    )


def context_section(
    context: Context, nets: Sequence[Net], canaries: Canaries, measurements: Measurements
) -> ContextSection:
    fit = context.fit
    found = net_latencies_us(measurements, [net.key for net in nets])
    nets_us = {key: round(latency_us, 3) for key, latency_us in found.items()}
    return ContextSection(
        depth=context.depth,
        **(fitted_fields(fit) if fit else {}),
        net_noise=round(context.net_noise, 6),
        nets=tuple(nets_us),
        nets_us=tuple(nets_us.values()),
        canaries=tuple(operator.name for operator in canaries.operators),
        trials=tuple({"depth": t.depth, "mean_abs_error": t.mean_abs_error, "scale": t.scale} for t in context.trials),
    )


def warn_of_error(context: Context, threads: int, report: Report) -> None:
    """Says where nets are further from their predictions than the device is from itself, or the device from itself."""
    fit = context.fit
    if fit is None:
        return
    error, noise = format_percent(fit.mean_abs_error, 1), format_percent(context.net_noise, 1)
    if context.net_noise > NOTEWORTHY_NOISE:
        remedy = "with --threads 1, or " if threads > 1 else ""
        text = (
            f"the machine was too unsteady for whole nets: the two halves of what one took differ by {noise} on"
            f" average, and predictions are off by {error}; measure again {remedy}when less else runs"
        )
    elif fit.mean_abs_error > context.net_noise + NOTEWORTHY_ERROR:
        text = (
            f"sums of these rows do not hold well for whole nets: those left out of the fit are off by {error} on"
            f" average, and differ from themselves by {noise}; predictions carry an interval of it"
        )
    else:
        return
    report(Note(text, warning=True))


def quality_section(
    rows: Sequence[Row], protocol: Protocol, canaries: Sequence[Canary], journal: Journal, wall_s: float
) -> dict[str, Any]:
    """The section that says how good the numbers are: intervals, what failed, how the machine behaved."""
    data = journal.measurements
    names = [canary.name for canary in canaries]
    return {
        **interval_quality(rows, protocol.target),
        "rounds": data.rounds_ended,
        "disturbed_share": data.disturbed_share,
        **({"clock_us": data.canary_usual_us(SMALL)} if SMALL in names else {}),
        "canary_us": {name: data.canary_reference_us(name) for name in names},
        "canary_drift": {name: data.canary_drift(name) for name in names},
        "runtime_s": journal.runtime_ns / 1e9,
        "wall_s": wall_s,
    }


def delegation_section(artifacts: Sequence[Artifact], delegate: str, report: Report) -> dict[str, Any]:
    """What share of the kernels the runtime's delegate takes, and what it does not, by artifact, after one warning.

    Nothing for a runtime without a delegate.
    """
    if not delegate:
        return {}
    share = {"delegated_share": fmean(artifact.delegated_share for artifact in artifacts) if artifacts else 0.0}
    found = {artifact.name: list(artifact.undelegated) for artifact in artifacts if artifact.undelegated}
    if not found:
        return share
    names = ", ".join(list(found)[:_UNDELEGATED_SHOWN]) + (", ..." if len(found) > _UNDELEGATED_SHOWN else "")
    report(
        Note(
            f"{delegate} does not take all of {len(found)} of {len(artifacts)} artifacts: {names}"
            " (the LUT's quality.undelegated names the kernels)",
            warning=True,
        )
    )
    return {**share, "undelegated": found}
