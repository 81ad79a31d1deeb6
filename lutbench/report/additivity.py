"""Whole nets against what a LUT predicts for them: the best evidence there is, and what kind it is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any

from lutbench.errors import LutbenchError
from lutbench.lut.predict import predict
from lutbench.lut.verify_file import read_results, results_path
from lutbench.report.side import Side
from lutbench.report.text import number, plural, table
from lutbench.space.net import net_of_key

_NO_NETS = "The LUT names no whole nets; lutbench verify measures some and compares."
_NO_NETS_IMPORTED = "The source has no whole nets: nothing says how well sums of its rows predict them."


@dataclass(frozen=True)
class NetPoint:
    """One net, microseconds."""

    net: str
    predicted_us: float
    measured_us: float

    @property
    def error(self) -> float:
        """The fraction by which the prediction is off."""
        return self.predicted_us / self.measured_us - 1


@dataclass(frozen=True)
class Additivity:
    """Predictions against whole nets, for the page.

    points: the nets.
    evidence: what kind of evidence they are, a sentence or two.
    problem: what is not in points.
    is_named: the nets have names short enough to be written beside their points.
    measured_name: what the measured axis holds.
    """

    points: tuple[NetPoint, ...]
    evidence: str
    problem: str = ""
    is_named: bool = False
    measured_name: str = "measured"

    @property
    def mean_abs_error(self) -> float:
        return fmean(abs(point.error) for point in self.points)

    @property
    def worst(self) -> NetPoint:
        return max(self.points, key=lambda point: abs(point.error))

    def within(self, limit: float) -> float:
        """Share of the nets whose error is at most this fraction."""
        return sum(abs(point.error) <= limit for point in self.points) / len(self.points)


def find_additivity(side: Side) -> Additivity:
    """Results of `verify` where there are any for this revision, else the nets the LUT itself names.

    LutError where the file of results is damaged.
    """
    if side.lut.metadata.provenance == "estimated":
        return _published(side)
    return _verified(side) or _tuning(side)


def _verified(side: Side) -> Additivity | None:
    """verify's nets; None where this LUT was not verified or the file is not there.

    The summary in the LUT is asked for too: a LUT that was measured from scratch has the revision of an older one.
    """
    meta = side.lut.metadata
    if side.lut.path is None or not table(meta.quality, "additivity"):
        return None
    path = results_path(side.lut.path, meta.revision)
    if not path.exists():
        return None
    points = tuple(NetPoint(r.net, r.predicted_us, r.measured_us) for r in read_results(path))
    evidence = (
        "Random whole nets that lutbench verify measured on the device. The LUT had never seen them; predictions take"
        " in how far the device had drifted since, by the LUT's tuning nets."
    )
    return Additivity(points, evidence) if points else None


def _tuning(side: Side) -> Additivity:
    """The nets that scale and operator_us were fitted to."""
    context = side.lut.metadata.context
    points: list[NetPoint] = []
    problems: list[LutbenchError] = []
    for key, measured_us in zip(context.nets, context.nets_us, strict=True):
        try:
            predicted_us = predict(side.lut, net_of_key(key, side.spaces)).latency_us
        except LutbenchError as error:
            problems.append(error)
            continue
        if measured_us > 0:
            points.append(NetPoint(key, predicted_us, measured_us))
    evidence = (
        "The nets the fit was made with: whole nets that were measured beside the operators, and that the LUT's scale"
        " was fitted to. They flatter the LUT a little; lutbench verify judges it by nets it has not seen."
    )
    problem = _first_of(problems) if problems else ""
    if not context.nets:
        is_imported = side.lut.metadata.provenance == "imported"
        problem = _NO_NETS_IMPORTED if is_imported else _NO_NETS
    return Additivity(tuple(points), evidence, problem)


def _first_of(problems: Sequence[LutbenchError]) -> str:
    first = problems[0]
    where = f"{first.operator}: " if first.operator else ""
    return f"{plural(len(problems), 'net')} cannot be predicted: {where}{first.problem}."


def _published(side: Side) -> Additivity:
    """The nets that an estimate was fitted to, each predicted by a fit to the others."""
    listed = side.lut.metadata.origin.get("nets")
    entries = listed if isinstance(listed, (list, tuple)) else ()
    points = tuple(point for entry in entries if (point := _published_point(entry)))
    missing = len(entries) - len(points)
    evidence = (
        "The published nets that the estimate was fitted to. Each is predicted by a fit to the others, so that no net"
        " is judged by itself."
    )
    problem = f"{plural(missing, 'net')} of the LUT's header without usable figures left out." if missing else ""
    if not entries:
        problem = "The LUT does not list the nets that it was estimated from."
    return Additivity(points, evidence, problem, is_named=True, measured_name="published")


def _published_point(entry: Any) -> NetPoint | None:
    if not isinstance(entry, Mapping):
        return None
    measured_us, predicted_us = number(entry, "latency_us"), number(entry, "left_out_us")
    if measured_us is None or predicted_us is None or measured_us <= 0 or predicted_us <= 0:
        return None
    return NetPoint(str(entry.get("net", "?")), predicted_us, measured_us)
