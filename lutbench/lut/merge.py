"""LUTs of one device, runtime, dtype, thread setting and batch made into one."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, get_args

from lutbench import __version__
from lutbench.errors import SpaceFileError, UsageError
from lutbench.files import file_sha256
from lutbench.lut.canaries import SMALL, beyond_clock, canaries_text, canary_ratios
from lutbench.lut.context import fitted_fields
from lutbench.lut.coverage import fixed_us
from lutbench.lut.definitions import what_differs
from lutbench.lut.diff import CLOCK_TOLERANCE
from lutbench.lut.metadata import ContextSection, Metadata, SpaceSection
from lutbench.lut.row import Row, interval_quality
from lutbench.lut.table import Lut
from lutbench.measure.chains import with_call
from lutbench.measure.in_net import Setting
from lutbench.measure.net_fit import NetMeasurement
from lutbench.measure.scale import FEWEST_NETS, ScaleFit, fit_scale
from lutbench.space.definition import joined
from lutbench.space.net import net_of_key
from lutbench.space.operator import OVERHEAD

OnConflict = Literal["narrower", "refuse"]
ON_CONFLICT: tuple[OnConflict, ...] = get_args(OnConflict)
_TARGET = 0.01  # of a LUT that names none

# what one LUT is of: name -> its value; where two LUTs differ in any of it they do not merge
_IDENTITY: dict[str, Callable[[Metadata], Any]] = {
    "provenance": lambda meta: meta.provenance,
    "device": lambda meta: meta.device,
    "CPU": lambda meta: meta.environment.get("cpu", ""),
    "runtime": lambda meta: meta.runtime,
    "dtype": lambda meta: meta.dtype,
    "threads": lambda meta: meta.threads,
    "choice of cores": lambda meta: meta.environment.get("core_choice", ""),
    "batch": lambda meta: meta.batch,
    "space": lambda meta: meta.space.name,
    "context depth": lambda meta: meta.context.depth,
    "chains of copies": lambda meta: list(meta.context.chains),
}


@dataclass(frozen=True)
class Merged:
    """The merged LUT, and where its rows come from.

    lut: without a path.
    rows_from: how many rows each source gave.
    conflicts: operators with different latencies.
    warnings: what to know of the result.
    """

    lut: Lut
    rows_from: tuple[int, ...]
    conflicts: tuple[str, ...]
    warnings: tuple[str, ...]


def merge(luts: Sequence[Lut], on_conflict: OnConflict = "narrower") -> Merged:
    """One LUT with every operator of the LUTs.

    An operator of several keeps the row of the narrower interval, and an ok row before a failed one; with
    on_conflict="refuse", two different latencies of one operator are an error. UsageError where the LUTs are not of
    the same thing, or where no fit to whole nets would hold for the rows of all.
    """
    if not luts:
        raise UsageError("there is nothing to merge")
    for other in luts[1:]:
        _check_same(luts[0], other)
    chosen, conflicts = _choose(luts, on_conflict)
    rows = tuple(chosen[name][0] for name in sorted(chosen))
    sources = [source for _, source in chosen.values()]
    rows_from = tuple(sources.count(number) for number in range(len(luts)))
    context = _context(luts, {row.operator: row.latency_us for row in rows if row.is_ok})
    metadata = _metadata(luts, rows, rows_from, context)
    return Merged(Lut(metadata, rows), rows_from, tuple(conflicts), tuple(_machine_warnings(luts)))


def _check_same(first: Lut, other: Lut) -> None:
    for field, read in _IDENTITY.items():
        mine, theirs = read(first.metadata), read(other.metadata)
        if mine != theirs:
            values = f": {_shown(mine)} and {_shown(theirs)}"
            raise UsageError(f"{first.path} and {other.path} do not merge, they differ in {field}{values}")
    apart = what_differs(first.metadata.space, other.metadata.space)
    if apart:
        raise UsageError(f"{first.path} and {other.path} do not merge, they differ in {apart}")


def _shown(value: Any) -> str:
    return "none" if value == "" else str(value)


def _choose(luts: Sequence[Lut], on_conflict: OnConflict) -> tuple[dict[str, tuple[Row, int]], list[str]]:
    """Operator -> its best row and the number of the LUT that gave it; and the operators in conflict."""
    chosen: dict[str, tuple[Row, int]] = {}
    conflicts: dict[str, None] = {}
    for number, lut in enumerate(luts):
        for row in lut.rows:
            held = chosen.get(row.operator)
            if held is None:
                chosen[row.operator] = row, number
                continue
            if held[0].is_ok and row.is_ok and held[0] != row:
                if on_conflict == "refuse":
                    raise UsageError(
                        f"{luts[held[1]].path} says {held[0].latency_us:.3f} us and {lut.path} {row.latency_us:.3f} us",
                        operator=row.operator,
                        remedy="without --conflict refuse the row of the narrower interval is kept",
                    )
                conflicts[row.operator] = None
            if _rank(row) < _rank(held[0]):
                chosen[row.operator] = row, number
    return chosen, list(conflicts)


def _rank(row: Row) -> tuple[Any, ...]:
    """Smaller is better. What follows the interval only makes the choice the same in every order of the LUTs."""
    if not row.is_ok:
        return (1, row.status)
    figures = (row.latency_us, row.ci_low_us, row.ci_high_us, row.p10_us, row.p90_us, row.min_us)
    return (0, row.half_width, -row.rounds, -row.samples, *figures)


def _context(luts: Sequence[Lut], rows_us: Mapping[str, float]) -> ContextSection:
    """The fit to whole nets: that of the LUTs where they agree, else made again under the merged rows."""
    contexts = [lut.metadata.context for lut in luts]
    canaries = tuple(dict.fromkeys(name for context in contexts for name in context.canaries))
    first = contexts[0]
    trials = first.trials if all(context.trials == first.trials for context in contexts) else ()
    if all(replace(context, canaries=(), trials=()) == replace(first, canaries=(), trials=()) for context in contexts):
        return replace(first, canaries=canaries, trials=trials)
    nets_us: dict[str, float] = {}
    colder: dict[str, float] = {}
    for context in sorted(contexts, key=lambda context: (-context.net_error, context.nets_us)):
        nets_us |= dict(zip(context.nets, context.nets_us, strict=True))  # the better fitted LUT has the last word
        colder |= context.colder
    if first.chains and OVERHEAD.name in rows_us:
        rows_us = with_call(rows_us, rows_us[OVERHEAD.name], OVERHEAD.name)
    nets = _net_measurements(_space(luts), nets_us, rows_us)
    fit = _fit(nets, rows_us, luts[0].metadata.setting, colder)
    if fit is None:
        fits = " and ".join(f"{context.scale:g} x row + {context.operator_us:g} us" for context in contexts)
        raise UsageError(
            f"the LUTs' fits to whole nets differ ({fits}), and they keep too few nets to make one of them",
            remedy="measure both spaces in one profile: --resolution and --width take lists",
        )
    return ContextSection(
        depth=first.depth,
        **fitted_fields(fit),
        net_noise=max(context.net_noise for context in contexts),
        nets=tuple(net.net for net in nets),
        nets_us=tuple(net.latency_us for net in nets),
        canaries=canaries,
        trials=trials,
        chains=first.chains,
    )


def _net_measurements(
    section: SpaceSection, nets_us: Mapping[str, float], rows_us: Mapping[str, float]
) -> list[NetMeasurement]:
    """The tuning nets that all operators have a row of, sorted by key."""
    try:
        spaces = section.spaces
        found = [(key, net_of_key(key, spaces)) for key in sorted(nets_us) if nets_us[key] > 0]
    except (UsageError, SpaceFileError):  # nets of a space that is not known here: no fit is made of them
        return []
    return [
        NetMeasurement(key, tuple(operator.name for operator in net.operators), nets_us[key])
        for key, net in found
        if all(operator.name in rows_us for operator in net.operators)
    ]


def _fit(
    nets: Sequence[NetMeasurement], rows_us: Mapping[str, float], setting: Setting, colder: Mapping[str, float]
) -> ScaleFit | None:
    """None where too few nets, or rows that make no sense of them, leave no fit."""
    if len(nets) < FEWEST_NETS or OVERHEAD.name not in rows_us:
        return None
    try:
        fit = fit_scale(nets, rows_us, rows_us[OVERHEAD.name], setting, colder)
    except (ArithmeticError, ValueError):
        return None
    found = fit.in_net
    figures = [found.scale, fit.ci_low, fit.ci_high, found.operator_us, fit.spread]
    figures += [*found.terms.values(), *found.deviations.values()]
    return fit if fit.ci_low > 0 and all(map(math.isfinite, figures)) else None


def _space(luts: Sequence[Lut]) -> SpaceSection:
    """Resolutions and widths of all, those of the first LUT first; Lut.covers looks whether the rows are there."""
    sections = [lut.metadata.space for lut in luts]
    return replace(
        sections[0],
        resolutions=tuple(dict.fromkeys(size for section in sections for size in section.resolutions)),
        widths=tuple(dict.fromkeys(width for section in sections for width in section.widths)),
        definition=joined([section.definition for section in sections]),
    )


def _metadata(luts: Sequence[Lut], rows: Sequence[Row], rows_from: Sequence[int], context: ContextSection) -> Metadata:
    """What all agree on, where each row could be from, and the intervals' quality; what is of one run is left out."""
    first = luts[0].metadata
    targets = [lut.metadata.quality.get("target") for lut in luts]
    known = [float(target) for target in targets if isinstance(target, (int, float)) and 0 < target <= 1]
    return replace(
        first,
        space=_space(luts),
        revision=1,
        previous="",
        measured_at=max(lut.metadata.measured_at for lut in luts),
        lutbench=__version__,
        context=context,
        origin=_origin(luts, rows_from),
        environment={
            key: value
            for key, value in first.environment.items()
            if all(lut.metadata.environment.get(key) == value for lut in luts)
        },
        quality=interval_quality(rows, min(known, default=_TARGET)),
    )


def _origin(luts: Sequence[Lut], rows_from: Sequence[int]) -> dict[str, Any]:
    """The LUTs that were merged; for those not measured also where their own numbers come from."""
    sources = []
    for lut, rows in zip(luts, rows_from, strict=True):
        meta = lut.metadata
        source = {"revision": meta.revision, "measured_at": meta.measured_at, "rows": rows}
        if lut.path is not None and lut.path.is_file():  # not a pipe, and not a LUT that was never written
            source = {"file": lut.path.name, "sha256": file_sha256(lut.path), **source}
        sources.append({**source, "origin": dict(meta.origin)} if meta.origin else source)
    texts = dict.fromkeys(str(lut.metadata.origin["source"]) for lut in luts if "source" in lut.metadata.origin)
    same = {fixed_us(lut) for lut in luts}  # of the layers around the blocks; where they differ, it is of no net
    constant = {"fixed_us": same.pop()} if len(same) == 1 and None not in same else {}
    return {**({"source": " and ".join(texts)} if texts else {}), **constant, "sources": sources}


def _machine_warnings(luts: Sequence[Lut]) -> list[str]:
    warnings = []
    for other in luts[1:]:
        canaries = canary_ratios(luts[0], other)
        ratio = canaries.get(SMALL, 1.0)
        beside = f" for {other.path} as for {luts[0].path}, and rows of both now stand side by side"
        if abs(ratio - 1) > CLOCK_TOLERANCE:
            warnings.append(
                f"the device's clock differed between the runs: the small canary took {ratio:.3f}x as long" + beside
            )
        if beyond_clock(canaries):
            warnings.append(
                "the device was in another state: its canaries took " + canaries_text(canaries) + " as long" + beside
            )
    return warnings
