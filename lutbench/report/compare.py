"""Two LUTs operator by operator: the ratio of their latencies, and whether their intervals tell them apart."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from lutbench.lut.compare import Change, changes, common, geometric_mean
from lutbench.lut.metadata import Provenance
from lutbench.lut.row import Row
from lutbench.lut.table import Lut
from lutbench.report.text import has_interval, interval, latency
from lutbench.space.operator import Operator, parse_operator


@dataclass(frozen=True)
class Pair:
    """An operator's row in A and in B; None where a LUT lacks it.

    change: from one to the other; None where one of them has no latency, or it is 0 by definition.
    provenances: of the two LUTs.
    """

    operator: str
    a: Row | None
    b: Row | None
    change: Change | None
    provenances: tuple[Provenance, Provenance] = ("measured", "measured")

    @property
    def notes(self) -> tuple[str, str]:
        """What there is to say of each row, one line each."""
        a, b = (
            f"{letter}: {_note(row, provenance)}"
            for letter, row, provenance in zip("AB", (self.a, self.b), self.provenances, strict=True)
        )
        return a, b

    @property
    def parts(self) -> Operator:
        return parse_operator(self.operator)

    @property
    def ratio(self) -> float:
        """B over A; NaN where there is no change to speak of."""
        return math.nan if self.change is None else self.change.ratio

    @property
    def is_zero(self) -> bool:
        """Whether one of the latencies is 0, of which there is no ratio: an identity's, or what a source calls 0."""
        return 0 in [row.latency_us for row in (self.a, self.b) if row is not None]

    @property
    def is_significant(self) -> bool | None:
        """Whether they differ as in `diff`; None where there is no ratio, or an interval is not known."""
        if self.a is None or self.b is None or self.change is None or not math.isfinite(self.ratio):
            return None
        if not (has_interval(self.a) and has_interval(self.b)):
            return None
        return self.change.significant

    @property
    def verdict(self) -> str:
        """What the ratio means, in words."""
        if self.a is None or self.b is None:
            return f"only in {'B' if self.a is None else 'A'}"
        if not self.parts.is_measured:
            return "identity"
        if not (self.a.is_ok and self.b.is_ok):
            return "failed in " + " and ".join(
                letter for letter, row in (("A", self.a), ("B", self.b)) if not row.is_ok
            )
        if self.is_zero:
            return "a latency of 0"
        if self.is_significant is None:
            return "no interval"
        if not self.is_significant:
            return "not significant"
        return "B slower" if self.ratio > 1 else "B faster"


def compare_rows(a: Lut, b: Lut) -> tuple[Pair, ...]:
    """Every operator of either LUT, sorted by name."""
    names = sorted({*a.by_operator, *b.by_operator})
    found = {change.name: change for change in changes(a, b, common(a, b))}
    made = a.metadata.provenance, b.metadata.provenance
    return tuple(Pair(name, a.by_operator.get(name), b.by_operator.get(name), found.get(name), made) for name in names)


def _note(row: Row | None, provenance: Provenance) -> str:
    if row is None:
        return "not in this LUT"
    return f"{latency(row.latency_us)}, {interval(row, provenance)}" if row.is_ok else row.status


def typical_ratio(pairs: Sequence[Pair]) -> float:
    """The geometric mean of the ratios; NaN where there is none."""
    return geometric_mean(math.log(pair.ratio) for pair in pairs if math.isfinite(pair.ratio))


def candidate_of(operator: Operator) -> str:
    """The candidate that an operator is a layer's instance of; one name for all others."""
    return operator.candidate.name.replace("_", " ") if operator.candidate else "fixed, 1×1"
