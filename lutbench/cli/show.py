"""`lutbench show`"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from lutbench.cli.help import HelpCommand
from lutbench.cli.luts import what_it_is
from lutbench.cli.options import LUT, json_option
from lutbench.cli.out import say

if TYPE_CHECKING:
    from lutbench.lut.metadata import ContextSection
    from lutbench.lut.table import Lut

_NOTED = 0.01  # of its own work, from which on it is worth a word what an operator takes more inside nets


@click.command("show", cls=HelpCommand)
@click.argument("lut", type=LUT)
@click.option(
    "--slowest", type=click.IntRange(0), default=10, show_default=True, help="List this many of the slowest operators."
)
@json_option
def command(lut: Path, slowest: int, as_json: bool) -> None:
    """Show what a LUT is of, how far it can be trusted, and its slowest operators."""
    from lutbench.cli.luts import open_lut
    from lutbench.cli.render import print_json

    found = open_lut(lut)
    if as_json:
        print_json(summary(found))
    else:
        print_summary(found, slowest)


def summary(lut: Lut) -> dict[str, Any]:
    """The LUT's head figures; fractions, microseconds."""
    meta = lut.metadata
    measured = [row for row in lut.rows if row.parts.is_measured]
    target = float(meta.quality.get("target", 0.01))
    within = sum(row.half_width <= target for row in measured)
    return {
        **what_it_is(lut),
        "rows": len(lut.rows),
        "failed": sum(not row.is_ok for row in lut.rows),
        "within_target": within / len(measured) if measured else 0.0,
        "revision": meta.revision,
        "measured_at": meta.measured_at,
        "space": meta.space.name,
        "resolutions": list(meta.space.resolutions),
        "widths": list(meta.space.widths),
        "context_depth": meta.context.depth,
        "scale": meta.context.scale,
        "operator_us": meta.context.operator_us,
        "environment": dict(meta.environment),
        "origin": dict(meta.origin),
        "quality": dict(meta.quality),
    }


def _interval_text(lut: Lut) -> str:
    from lutbench.lut.predict import net_half_width
    from lutbench.units import format_percent

    half = net_half_width(lut)
    return f", 95 % within ±{format_percent(half)}" if half else ""


def print_summary(lut: Lut, slowest: int) -> None:
    """The same for people."""
    from lutbench.cli.luts import threads_text
    from lutbench.cli.render import print_table
    from lutbench.units import format_latency, format_percent

    found, meta = summary(lut), lut.metadata
    sizes = ", ".join(str(size) for size in meta.space.resolutions)
    widths = ", ".join(f"{width:g}" for width in meta.space.widths)
    context = meta.context
    lines = {
        "LUT": str(lut.path),
        "device": f"{meta.device} ({meta.environment.get('cpu', 'unknown CPU')})",
        "made": f"{meta.provenance} {meta.measured_at}, revision {meta.revision}",
        "runtime": f"{meta.runtime}, {meta.dtype}, {threads_text(meta.threads, meta.batch)}",
        "space": f"{meta.space.name} at {sizes}, width {widths}" if sizes else "not the whole of one",
        "rows": f"{found['rows']} ({found['failed']} failed)",
        "intervals": f"{format_percent(found['within_target'])} of rows within"
        f" ±{format_percent(float(meta.quality.get('target', 0.01)))} (95 % interval of the median)",
        "nets": f"overhead + sum of ({context.operator_us:.1f} us + {context.scale:.3f} x"
        f" {'row' if context.chains else '(row - overhead)'})"
        f" over a net's operators{_terms_text(context)};"
        f" {_left_out_text(lut)}",
        "verified": _additivity(meta.quality.get("additivity")),
    } | _unmeasured_lines(lut)
    disturbed = meta.quality.get("disturbed_share")
    if isinstance(disturbed, float):
        lines["machine"] = f"other programs disturbed {format_percent(disturbed, 0)} of the samples: measured again"
    if context.chains:
        lengths = ", ".join(str(copies) for copies in context.chains)
        units = sorted({row.unit for row in lut.rows if row.unit})
        where = f"on {', '.join(units)}" if units else "on no unit"
        lines["rows are"] = f"what a copy adds to chains of {lengths}, without a call; {where}"
    share, outside = meta.quality.get("delegated_share"), meta.quality.get("undelegated")
    if isinstance(share, float):
        lines["delegated"] = f"{format_percent(share)} of the kernels"
    if isinstance(outside, dict) and outside:
        lines["undelegated"] = f"a part of {len(outside)} artifacts, operators or nets: {', '.join(list(outside)[:3])}"
    width = max(len(name) for name in lines)
    for name, text in lines.items():
        say(f"{name:{width}}  {text}")
    for row in lut.rows:
        if not row.is_ok:
            say(f"{row.operator}: {row.status}")
    if slowest:
        ranked = sorted((row for row in lut.rows if row.is_ok), key=lambda row: -row.latency_us)[:slowest]
        print_table(
            "",
            {"slowest operators": False, "latency": True, "±": True, "p10": True, "p90": True, "rounds": True},
            [
                [
                    row.operator,
                    format_latency(row.latency_us),
                    format_percent(row.half_width),
                    format_latency(row.p10_us),
                    format_latency(row.p90_us),
                    str(row.rounds),
                ]
                for row in ranked
            ],
        )


def _left_out_text(lut: Lut) -> str:
    """How far whole nets were off that the fit had not seen; a space of a handful of nets has too few for a fit."""
    from lutbench.units import format_percent

    error = lut.metadata.context.net_error
    if not error:
        return "the space has too few nets to leave any out: `lutbench verify` says how far sums hold"
    return f"nets left out of the fit: mean error {format_percent(error, 2)}{_interval_text(lut)}"


def _unmeasured_lines(lut: Lut) -> dict[str, str]:
    """What an estimated or imported LUT says in place of a measured one's lines."""
    provenance = lut.metadata.provenance
    return (
        _estimated_lines(lut) if provenance == "estimated" else _imported_lines(lut) if provenance == "imported" else {}
    )


def _estimated_lines(lut: Lut) -> dict[str, str]:
    from lutbench.units import format_percent

    origin = lut.metadata.origin
    errors = [origin.get(f"left_out_{which}_error") for which in ("mean", "max")]
    mean, largest = (format_percent(error) if isinstance(error, float) else "not stated" for error in errors)
    return {
        "source": f"fitted to {origin.get('source', 'nets that it does not name')}",
        "intervals": "of what the fit leaves open (95 %); nothing was timed",
        "nets": f"overhead + sum of (row - overhead); nets left out of the fit: mean error {mean}, largest {largest}",
        "caution": str(origin.get("caution", "not stated")),
        "verified": "not possible: nothing here was measured",
    }


def _imported_lines(lut: Lut) -> dict[str, str]:
    """What an imported LUT says in place of a measured one's lines."""
    from lutbench.lut.coverage import lacking_note
    from lutbench.lut.metadata import UNKNOWN

    meta = lut.metadata
    measured = [row for row in lut.rows if row.is_ok and row.parts.is_measured]
    foreign = sum(row.parts.kind == "foreign" for row in measured)
    cannot_verify = {"verified": "not possible: its runtime is unknown"} if meta.runtime == UNKNOWN else {}
    return (
        cannot_verify
        | {
            "device": meta.device,
            "made": f"imported from {meta.origin.get('source')}",
            "rows": f"{len(lut.rows)} ({foreign} foreign: operators of the source's own)",
            "intervals": f"known for {sum(row.has_interval for row in measured)} of {len(measured)} rows",
            "nets": "plain sum of the rows: the source has no empty graph and no whole nets",
        }
        | ({"incomplete": lacking} if (lacking := lacking_note(lut)) else {})
    )


def _terms_text(context: ContextSection) -> str:
    """What a net takes beside its operators' rows."""
    from lutbench.measure.in_net import SIDES, TERMS

    asked = {name for name, value in context.terms.items() if value}
    texts = ["by what they move"] if asked & set(TERMS) else []
    texts += ["by the size of their feature maps"] if asked & set(SIDES) else []
    texts += ["by how cold they get behind others"] if "colder" in asked else []
    looks_at = context.in_net.looks_at
    if "is_blocked" in looks_at:
        texts.append(f"by what neighbours keep in blocks of {context.block_channels} channels")
    texts += ["by which blocks are neighbours"] if looks_at - {"is_blocked", "is_slow", "widest"} else []
    texts += ["by what stands behind wide kernels"] if "is_slow" in looks_at else []
    texts += ["by their weights behind large tensors"] if "widest" in looks_at else []
    texts += _deviations_texts(context.deviations)
    if context.warm_share:
        texts.append("by how small it is as a whole")
    if context.spill_us_per_million:
        texts.append(_spill_text(context))
    return f", and {', '.join(texts)}" if texts else ""


def _spill_text(context: ContextSection) -> str:
    if not context.spill_million_per_ms:
        return f"by its weights beyond {context.spill_beyond:.2g} million"
    counts = f"a millisecond counts for {context.spill_million_per_ms:.2g}"
    return f"by its weights and time beyond {context.spill_beyond:.2g} million ({counts})"


def _deviations_texts(deviations: Mapping[str, float]) -> list[str]:
    """The operator that deviates most, where that is worth a word."""
    if not deviations:
        return []
    name = max(deviations, key=lambda name: abs(deviations[name]))
    most = deviations[name]
    return [f"by single operators of large tensors, {name} most ({100 * most:+.1f} %)"] if abs(most) >= _NOTED else []


def _additivity(found: Any) -> str:
    from lutbench.units import format_percent

    if not isinstance(found, dict) or "mean_abs_error" not in found:
        return "not yet: `lutbench verify` compares predictions with whole nets"
    return (
        f"{found.get('nets')} random nets: mean error {format_percent(found['mean_abs_error'], 2)}, worst"
        f" {format_percent(found.get('max_abs_error', 0.0), 2)} (noise floor"
        f" {format_percent(found.get('noise_mean', 0.0), 2)})"
    )
