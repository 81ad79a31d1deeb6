"""A fit to whole nets as the fields of a LUT's [context]."""

from __future__ import annotations

from typing import Any

from lutbench.measure.scale import ScaleFit


def fitted_fields(fit: ScaleFit) -> dict[str, Any]:
    """Rounded as the file holds them."""
    found = fit.in_net
    return {
        "scale": round(found.scale, 6),
        "scale_ci_low": round(fit.ci_low, 6),
        "scale_ci_high": round(fit.ci_high, 6),
        "operator_us": round(found.operator_us, 6),
        "terms": {name: round(us, 6) for name, us in found.terms.items()},
        "block_channels": found.block_channels,
        "warm_share": round(found.warmth.share, 6),
        "warm_size_us": round(found.warmth.size_us, 3),
        "net_error": round(fit.mean_abs_error, 6),
        "net_spread": round(fit.spread, 6),
    }
