"""estimate: a LUT for a device of which only whole nets' latencies are known, with wide intervals that say so."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from lutbench import __version__
from lutbench.errors import LatencyTableError, LutError, UsageError
from lutbench.lut.cost_fit import CostFit, PieceLatency, fit_costs
from lutbench.lut.cost_problem import USUAL_WIDTHS, NetWork, Prior, Widths, device_prior, general_prior
from lutbench.lut.costs import MAC_UNIT, OVERHEAD, UNITS
from lutbench.lut.latencies import PUBLISHED, LatencyTable, read_latencies
from lutbench.lut.metadata import Metadata, space_section, timestamp
from lutbench.lut.operator_latencies import read_operator_latencies
from lutbench.lut.pieces import Piece, net_pieces, operator_piece
from lutbench.lut.row import Row, identity_row
from lutbench.lut.table import Lut
from lutbench.space.find import find_spaces
from lutbench.space.macro import distinct_operators
from lutbench.space.operator import OVERHEAD as EMPTY_GRAPH
from lutbench.space.operator import Operator
from lutbench.space.published import SOURCE
from lutbench.units import BYTES_PER_ELEMENT

_SPARE_NETS = 2  # more nets than costs, where nothing is known beforehand but ratios
_FEWEST_WITH_PRIOR = 2


@dataclass(frozen=True)
class EstimateRequest:
    """What to fit, and what the LUT holds.

    source: a table of nets, or `published`.
    device: the LUT's.
    source_device: as the table calls it.
    prior: an estimated LUT of another device, whose costs are scaled to few nets of this one. runtime, dtype,
        threads: none means what the table says.
    rows: a table of single operators that were timed alone, or `published`.
    """

    source: str
    device: str
    source_device: str
    space: str = "fbnet"
    resolutions: tuple[int, ...] = ()
    widths: tuple[float, ...] = (1.0,)
    prior: Lut | None = None
    rows: str = ""
    runtime: str = ""
    dtype: str = ""
    threads: int | None = None


@dataclass(frozen=True)
class Estimate:
    """A LUT, and how it came about."""

    lut: Lut
    fit: CostFit
    table: LatencyTable


def estimate(request: EstimateRequest, path: Path) -> Estimate:
    """Fits the cost model to the table's nets and makes the rows of the space's operators of it.

    LatencyTableError where the table is wrong or too small; LutError where the prior is no estimate.
    """
    spaces, definition = find_spaces(request.space, request.resolutions, request.widths)
    table = read_latencies(request.source, request.source_device, spaces)
    dtype = request.dtype or table.settings.get("dtype", "int8")
    if dtype not in BYTES_PER_ELEMENT:
        raise UsageError(f"dtype {dtype!r} is unknown", remedy=f"known: {', '.join(BYTES_PER_ELEMENT)}")
    operators = tuple(distinct_operators(spaces))
    pieces = {op.name: operator_piece(op, dtype) for op in operators if op.is_measured and op != EMPTY_GRAPH}
    nets = [NetWork(t.name, t.latency_us, net_pieces(t.net, dtype)) for t in table.nets]
    timed = read_operator_latencies(request.rows, request.source_device, dtype) if request.rows else ()
    kinds = _kinds([*pieces.values(), *(piece for net in nets for piece in net.pieces), *(piece for piece, _ in timed)])
    prior = _prior(request.prior, kinds)
    _check_known(request, table)
    _check_enough(request, nets, prior)
    fit = fit_costs(nets, prior, timed)
    metadata = Metadata(
        device=request.device,
        runtime=request.runtime or table.settings.get("runtime", "unknown"),
        dtype=dtype,
        threads=request.threads or _threads(table),
        space=space_section(spaces, definition),
        provenance="estimated",
        measured_at=timestamp(),
        lutbench=__version__,
        origin=_origin(request, table, timed, fit),
    )
    found = dict(zip(pieces, fit.latencies(list(pieces.values())), strict=True))
    rows = tuple(_row(operator, found.get(operator.name), fit) for operator in operators)
    return Estimate(Lut(metadata, rows, path), fit, table)


def _kinds(pieces: Iterable[Piece]) -> set[str]:
    return {OVERHEAD, *(kind for piece in pieces for layer in piece.layers for kind, _ in layer.work)}


def _prior(lut: Lut | None, kinds: Collection[str]) -> Prior:
    if lut is None:
        return general_prior(kinds)
    costs = lut.metadata.origin.get("costs")
    if not isinstance(costs, dict) or not all(_is_cost(c) for c in costs.values()):
        raise LutError(
            "holds no costs to start from", path=lut.path, remedy="--prior takes a LUT that `lutbench estimate` made"
        )
    missing = set(kinds) - set(costs)
    if missing:
        raise LutError(f"has no cost of {', '.join(sorted(missing))}", path=lut.path)
    return device_prior({kind: float(cost) for kind, cost in costs.items() if kind in kinds}, _widths(lut))


def _widths(lut: Lut) -> Widths:
    """How far that device's operators were from its costs; usual widths for an estimate that does not say."""
    widths = lut.metadata.origin.get("deviations")
    if not isinstance(widths, dict) or not all(_is_cost(widths.get(name)) for name in ("alike", "own")):
        return USUAL_WIDTHS
    return replace(USUAL_WIDTHS, alike=float(widths["alike"]), own=float(widths["own"]))


def _is_cost(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 < value < math.inf


def _check_known(request: EstimateRequest, table: LatencyTable) -> None:
    """LatencyTableError, with a row's reason, where no row can be used: more nets of the same kind would not help."""
    if table.nets:
        return
    first, *others = table.left_out
    more = f", and {len(others)} more" if others else ""
    raise LatencyTableError(
        f"no row is of a net whose operators are known: {first}{more}",
        path=request.source,
        device=request.source_device,
        remedy="costs are fitted to nets that `lutbench nets` lists, architecture files and candidates",
    )


def _check_enough(request: EstimateRequest, nets: Sequence[NetWork], prior: Prior) -> None:
    fewest = _FEWEST_WITH_PRIOR if request.prior else len(prior.costs_us) + _SPARE_NETS
    if len(nets) >= fewest:
        return
    remedy = "time more nets" if request.prior else "time more nets, or give --prior with a similar device's estimate"
    raise LatencyTableError(
        f"{len(nets)} of a known architecture are too few nets for {len(prior.costs_us)} costs: {fewest} are needed",
        path=request.source,
        device=request.source_device,
        remedy=remedy,
    )


def _threads(table: LatencyTable) -> int:
    text = table.settings.get("threads", "1")
    if not text.isdecimal() or not 1 <= int(text) <= 1024:
        raise LatencyTableError(f"threads {text!r} is not a number of threads")
    return int(text)


def _row(operator: Operator, piece: PieceLatency | None, fit: CostFit) -> Row:
    """An operator's row: the overhead of a call, as in a measured one, and the latency of its piece."""
    overhead_us = fit.costs[OVERHEAD]
    if not operator.is_measured:
        return identity_row(operator.name)
    if piece is None:  # the empty graph
        low_us, high_us = fit.cost_interval(OVERHEAD)
        return _estimated_row(operator.name, overhead_us, low_us, high_us)
    return _estimated_row(operator.name, *(overhead_us + us for us in (piece.latency_us, piece.low_us, piece.high_us)))


def _estimated_row(name: str, latency_us: float, low_us: float, high_us: float) -> Row:
    return Row(
        name,
        latency_us=round(latency_us, 3),
        ci_low_us=round(low_us, 3),
        ci_high_us=round(high_us, 3),
        p10_us=math.nan,
        p90_us=math.nan,
        min_us=math.nan,
        samples=0,
        rounds=0,
    )


def _caution(request: EstimateRequest, fit: CostFit) -> str:
    if request.prior is None:
        few = "few operators were timed alone" if request.rows else "no operator was timed"
        return f"{few}: a row may be off by its interval, sums over whole nets by less"
    return (
        f"{len(fit.nets)} nets decide the level of the costs and what the nets differ most in; the rest is scaled from"
        f" {request.prior.metadata.device}"
    )


def _origin(
    request: EstimateRequest, table: LatencyTable, timed: Sequence[tuple[Piece, float]], fit: CostFit
) -> dict[str, Any]:
    """Where the rows come from: the data, the costs, and how well nets are met that were left out of the fit."""
    source = SOURCE if request.source == PUBLISHED else Path(request.source).name
    prior = request.prior
    start = f"{prior.metadata.device}'s costs, scaled" if prior else "usual ratios of costs"
    return {
        "source": f"{len(fit.nets)} nets of {source}" + (f", and {len(timed)} single operators" if timed else ""),
        "method": "costs per kind of work, and each operator's deviation from them as far as the data ask for it:"
        " docs/explanation/estimate.md",
        "prior": start,
        "caution": _caution(request, fit),
        "source_device": request.source_device,
        "mean_error": round(fit.mean_error, 4),
        "left_out_mean_error": round(fit.left_out_mean_error, 4),
        "left_out_max_error": round(fit.left_out_max_error, 4),
        "deviations": {name: round(getattr(fit.widths, name), 4) for name in ("alike", "own", "nets", "level")},
        "left_out": list(table.left_out),
        "costs": {kind: round(cost, 3) for kind, cost in fit.costs.items()},
        "cost_intervals": {kind: [round(v, 3) for v in fit.cost_interval(kind)] for kind in fit.costs},
        "cost_units": {kind: UNITS.get(kind, MAC_UNIT) for kind in fit.costs},
        "operators": [{"operator": piece.name, "latency_us": round(us, 1)} for piece, us in timed],
        "nets": [
            {
                "net": net.net,
                "latency_us": round(net.latency_us, 1),
                "fitted_us": round(net.fitted_us, 1),
                "left_out_us": round(net.left_out_us, 1),
            }
            for net in fit.nets
        ],
    }
