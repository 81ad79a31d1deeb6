"""A net's latency from a LUT: the overhead of a call, and of each operator what it costs inside a net."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from lutbench.errors import LutError
from lutbench.lut.coverage import FIXED_OPTION, net_parts, timed_as
from lutbench.lut.definitions import check_definition
from lutbench.lut.table import Lut
from lutbench.measure.statistics import Z_95, student_95
from lutbench.space.find import SPACES
from lutbench.space.net import Net
from lutbench.space.operator import Operator

_MEAN_PER_SPREAD = 0.798  # of a normal error: its mean absolute value in standard deviations
# Of a tuning net's noise, what is in a prediction's error: a net that is timed for itself has less of it (0.4 times as
# much in the median of 40 LUTs), and the fit takes some over from the tuning nets.
_NOISE_SHARE = 0.55
_HALF_WIDTH_PER_MEAN_ERROR = Z_95 / _MEAN_PER_SPREAD


@dataclass(frozen=True)
class Prediction:
    """A net's predicted latency, microseconds, and the 95 % interval of what the net itself would be measured at.

    Its width is how far the LUT's tuning nets were from predictions made without them. A LUT that does not say so has
    intervals of its own numbers alone; they are NaN where a row of an imported LUT has no interval.
    """

    net: Net
    latency_us: float
    ci_low_us: float
    ci_high_us: float


def predict(lut: Lut, net: Net) -> Prediction:
    """The net's latency under the LUT; LutError where an operator is missing, or its space is another of that name.

    An imported table may lack stem, head, pool and classifier where its import was told what they take.
    """
    check_definition(lut, net.space)
    parts = net_parts(lut, net)
    _check_operators(lut, net, parts.operators)
    if parts.lacking:
        raise LutError(
            f"the table has no rows of the layers around the blocks, {', '.join(parts.lacking)} (net {net.name})",
            operator=parts.lacking[0],
            path=lut.path,
            remedy=f"say what they take together: lutbench import {FIXED_OPTION} N; or measure them:"
            f" {_measuring(lut, net)}",
        )
    return _summed(lut, net, parts.operators, lut.overhead_us + parts.constant_us)


def predict_blocks(lut: Lut, net: Net) -> Prediction:
    """The latency of the net's blocks alone, without stem, head, pool, classifier and the overhead of a call."""
    check_definition(lut, net.space)
    around = {op.name for op in timed_as(lut, (net.space.stem, *net.space.tail(net.head_channels)))}
    blocks = [op for op in net_parts(lut, net).operators if op.name not in around]
    _check_operators(lut, net, blocks)
    return _summed(lut, net, blocks, 0.0)


def _summed(lut: Lut, net: Net, operators: Sequence[Operator], constant_us: float) -> Prediction:
    """constant_us: what the net pays beside its operators."""
    context, overhead_us = lut.metadata.context, lut.overhead_us
    rows_us = [(operator.name, lut.latency_us(operator)) for operator in operators]
    latency_us = context.in_net.net_us(rows_us, overhead_us) + constant_us - overhead_us
    half_width = net_half_width(lut)
    if half_width is not None:
        half_us = half_width * latency_us
        return Prediction(net, latency_us, max(0.0, latency_us - half_us), latency_us + half_us)
    halves_us: dict[str, float] = {}
    for operator in operators:  # an operator used twice is wrong twice in the same direction
        row = lut.by_operator[operator.name]
        half_us = (row.ci_high_us - row.ci_low_us) / 2
        halves_us[operator.name] = halves_us.get(operator.name, 0.0) + context.scale * half_us
    fitted = max(1, len(context.nets))
    fit_half_us = _HALF_WIDTH_PER_MEAN_ERROR * context.net_error / math.sqrt(fitted) * latency_us
    half_us = math.hypot(fit_half_us, *halves_us.values())
    low_us = latency_us - half_us
    return Prediction(net, latency_us, low_us if math.isnan(low_us) else max(0.0, low_us), latency_us + half_us)


def net_half_width(lut: Lut) -> float | None:
    """Half the 95 % interval of any net, a fraction of its latency; None where the LUT does not tell.

    A tuning net is off by what the fit misses of it and by its own noise. The noise is no other net's: it is taken out,
    and a share of it put in its place, for what `verify` or `bench` times is not free of it either.
    """
    context = lut.metadata.context
    noise = context.net_noise / 2 / _MEAN_PER_SPREAD  # two halves differ by twice what the whole is uncertain by
    missed = math.sqrt(max(0.0, context.net_spread**2 - noise**2))
    spread = math.hypot(missed, _NOISE_SHARE * noise)
    return student_95(len(context.nets) - 1) * spread if context.net_spread else None


def _check_operators(lut: Lut, net: Net, operators: Sequence[Operator]) -> None:
    """A net of another variant may still be covered, row by row; where it is not, the error says how to measure it."""
    space = net.space
    missing = list(dict.fromkeys(op.name for op in operators if op.name not in lut.by_operator))
    if missing:
        raise LutError(
            f"the LUT does not cover space {space.name} at {space.label} (net {net.name})"
            if space.name in SPACES
            else f"the LUT has no row of {len(missing)} of the operators of {net.name}",
            operator=missing[0],
            path=lut.path,
            remedy=f"measure it: {_measuring(lut, net)}",
        )


def _measuring(lut: Lut, net: Net) -> str:
    """The command that measures the net's space, or the whole net where it is of no space that can be named."""
    space = net.space
    if space.name not in SPACES and space.name == net.name.split("@")[0]:
        return f"lutbench bench {net.name}"
    return (
        f"{lut.measure_command} --space {space.name} --resolution {space.resolution} --width {space.width:g}"
        f" -o {space.name}_{space.label}.csv"
    )
