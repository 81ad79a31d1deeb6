"""Numbers and names in words, as the page prints them. "–" stands where there is no number."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any

from lutbench.lut.metadata import Provenance
from lutbench.lut.row import Row
from lutbench.lut.table import Lut
from lutbench.report.html import plain
from lutbench.units import format_latency, format_percent

NONE = "–"
_LONGEST_NAME = 40


def latency(latency_us: float) -> str:
    """Writes a latency with its unit: µs below a millisecond, ms above."""
    return format_latency(latency_us).replace(" us", " µs") if math.isfinite(latency_us) else NONE


def three_digits(figure: float) -> str:
    """Three significant digits, or all before the point: 0.123, 1.23, 45.6, 789, 1234."""
    if not math.isfinite(figure):
        return NONE
    if figure == 0:
        return "0"
    digits = max(0, 2 - math.floor(math.log10(figure))) if figure < 100 else 0
    return f"{figure:.{min(digits, 3)}f}"


def percent(fraction: float | None, digits: int = 1) -> str:
    return format_percent(fraction, digits) if fraction is not None and math.isfinite(fraction) else NONE


def signed_percent(fraction: float, digits: int = 1) -> str:
    return f"{100 * fraction:+.{digits}f} %".replace("-", "−") if math.isfinite(fraction) else NONE


def times(ratio: float) -> str:
    """A ratio, or another figure where two decimals do: 0.87, 1.04, 12.3."""
    if not math.isfinite(ratio):
        return NONE
    return f"{ratio:.2f}" if ratio < 10 else f"{ratio:.1f}" if ratio < 100 else f"{ratio:.0f}"


def plural(count: int, noun: str) -> str:
    return f"{count} {noun}{'' if count == 1 else 's'}"


INTERVAL_NAMES: Mapping[Provenance, str] = {
    "measured": "95 % interval",
    "estimated": "95 % interval of the fit",
    "imported": "interval",  # of 95 % or not, as the source has it
}


def interval(row: Row, provenance: Provenance) -> str:
    """A row's interval, or why there is none."""
    if not row.is_ok:
        return row.status
    if not row.parts.is_measured:
        return "0 by definition: a skip that changes nothing"
    if not has_interval(row):
        return "no interval known"
    low, high = three_digits(row.ci_low_us), three_digits(row.ci_high_us)
    return f"{INTERVAL_NAMES[provenance]} {low} … {high} µs (±{percent(row.half_width)})"


def has_interval(row: Row) -> bool:
    """Whether the row knows how uncertain it is; an imported one may not."""
    return row.is_ok and math.isfinite(row.ci_low_us) and math.isfinite(row.ci_high_us)


def row_note(row: Row, provenance: Provenance) -> str:
    """Everything about a row in a few lines, for a tooltip."""
    lines = [row.operator]
    if row.is_ok and row.parts.is_measured:
        lines.append(latency(row.latency_us))
    lines.append(interval(row, provenance))
    if row.is_ok and math.isfinite(row.p10_us) and row.parts.is_measured:
        figures = {"p10": row.p10_us, "p90": row.p90_us, "min": row.min_us}
        lines.append(" · ".join(f"{name} {three_digits(value)}" for name, value in figures.items()) + " µs")
    if row.samples:
        lines.append(f"{plural(row.samples, 'sample')} in {plural(row.rounds, 'round')}")
    return "\n".join(lines)


def value(found: Any) -> str:
    """Any value of a LUT's header in one line."""
    if isinstance(found, bool):
        return "yes" if found else "no"
    if isinstance(found, float):
        return f"{found:.6g}"
    if isinstance(found, (list, tuple)):
        return ", ".join(value(item) for item in found)
    if isinstance(found, Mapping):
        return "; ".join(f"{key} {value(inner)}" for key, inner in found.items())
    return str(found)


def number(section: Mapping[str, Any], key: str) -> float | None:
    """The number under a key of a header's table; None where there is none."""
    found = section.get(key)
    if isinstance(found, bool) or not isinstance(found, (int, float)) or not math.isfinite(found):
        return None
    return float(found)


def table(section: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    """The table under a key of a header's table; empty where there is none."""
    found = section.get(key)
    return found if isinstance(found, Mapping) else {}


def short(name: str) -> str:
    """A device's name on one line, cut where it is long."""
    text = " ".join(plain(name).split()) or "unnamed device"
    return text if len(text) <= _LONGEST_NAME else text[: _LONGEST_NAME - 1] + "…"


def moment(text: str) -> str:
    """2026-11-20 15:21 UTC of a LUT's 2026-11-20T15:21:27Z; another text as it is."""
    match = re.fullmatch(r"(\d{4}-\d\d-\d\d)T(\d\d:\d\d):\d\dZ", text)
    return f"{match[1]} {match[2]} UTC" if match else text


def threads(lut: Lut) -> str:
    return plural(lut.metadata.threads, "thread")
