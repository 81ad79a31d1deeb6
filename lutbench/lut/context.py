"""A fit to whole nets as the fields of a LUT's [context]."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lutbench.measure.in_net import InNet
from lutbench.measure.scale import ScaleFit


def in_net_fields(found: InNet) -> dict[str, Any]:
    """What operators cost inside nets; the scale's interval and the errors of nets are not among it."""
    return {
        "scale": found.scale,
        "operator_us": found.operator_us,
        "terms": dict(found.terms),
        "colder": dict(found.colder),
        "deviations": dict(found.deviations),
        "block_channels": found.block_channels,
        "warm_share": found.warmth.share,
        "warm_size_us": found.warmth.size_us,
        "warm_power": found.warmth.power,
        "spill_us_per_million": found.spill.us_per_million,
        "spill_beyond": found.spill.beyond,
        "spill_million_per_ms": found.spill.million_per_ms,
    }


def fitted_fields(fit: ScaleFit) -> dict[str, Any]:
    """Rounded as the file holds them."""
    fields = in_net_fields(fit.in_net) | {
        "scale_ci_low": fit.ci_low,
        "scale_ci_high": fit.ci_high,
        "net_error": fit.mean_abs_error,
        "net_spread": fit.spread,
    }
    tables = {table: _rounded(fields.pop(table)) for table in ("terms", "colder", "deviations")}
    return _rounded(fields) | tables


def _rounded(values: Mapping[str, float]) -> dict[str, Any]:
    return {name: round(value, 6) for name, value in values.items()}
