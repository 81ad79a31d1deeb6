from __future__ import annotations

import math
import random
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from lutbench.errors import LutError
from lutbench.jobs.tuning import draw_tuning_nets
from lutbench.lut.context import fitted_fields
from lutbench.lut.metadata import ContextSection, Metadata, SpaceSection
from lutbench.lut.predict import net_half_width, predict
from lutbench.lut.row import Row, failed_row, identity_row
from lutbench.lut.table import Lut
from lutbench.measure.in_net import Setting
from lutbench.measure.net_fit import NetMeasurement
from lutbench.measure.scale import fit_scale
from lutbench.space.fbnet import fbnet
from lutbench.space.net import Net
from lutbench.space.sampling import random_nets
from lutbench.space.zoo import find_net

SPACE = fbnet(224, 1.0)
OVERHEAD_US = 2.0
ROW_FIGURES = ("ci_low_us", "ci_high_us", "p10_us", "p90_us", "min_us")


def lut_of_ones(scale: float = 1.0, operator_us: float = 0.0) -> Lut:
    """Every operator takes 2 us of overhead and 10 us of work."""
    rows = [
        Row(op.name, *(OVERHEAD_US + (0 if op.kind == "overhead" else 10.0),) * 6, samples=36, rounds=12)
        if op.is_measured
        else identity_row(op.name)
        for op in SPACE.operators
    ]
    context = ContextSection(scale=scale, scale_ci_low=scale, scale_ci_high=scale, operator_us=operator_us)
    metadata = Metadata("host", "onnxruntime 1", "int8", 1, SpaceSection("fbnet", (224,), (1.0,)), context=context)
    return Lut(metadata, tuple(rows), Path("luts/host.csv"))


def without(lut: Lut, operator: str) -> Lut:
    return replace(lut, rows=tuple(row for row in lut.rows if row.operator != operator))


@pytest.mark.parametrize(("scale", "operator_us"), [(1.0, 0.0), (1.07, 0.0), (1.02, 4.0)])
def test_a_net_is_overhead_plus_scaled_work_and_identities_are_free(scale: float, operator_us: float) -> None:
    net = find_net("fbnet_a", (SPACE,))
    skips = sum(1 for candidate in net.choice if candidate.is_skip)
    operators = 1 + 22 - skips + 3
    prediction = predict(lut_of_ones(scale, operator_us), net)
    assert prediction.latency_us == pytest.approx(OVERHEAD_US + (operator_us + scale * 10) * operators)
    assert prediction.ci_low_us == prediction.ci_high_us == pytest.approx(prediction.latency_us)


def test_a_small_net_saves_a_share_of_its_operators_and_nothing_of_the_overhead() -> None:
    cold = lut_of_ones()
    context = replace(cold.metadata.context, warm_share=0.5, warm_size_us=100.0)
    warm = replace(cold, metadata=replace(cold.metadata, context=context))
    for name in ("fbnet_a", "fbnet_c"):
        net = find_net(name, (SPACE,))
        sum_us = predict(cold, net).latency_us - OVERHEAD_US
        saved_us = 0.5 * math.exp(-sum_us / 100) * sum_us
        assert predict(warm, net).latency_us == pytest.approx(OVERHEAD_US + sum_us - saved_us)


def test_intervals_of_rows_and_scale_reach_the_prediction() -> None:
    lut = lut_of_ones()
    wide = tuple(replace(row, ci_low_us=row.ci_low_us * 0.9) if row.latency_us else row for row in lut.rows)
    prediction = predict(replace(lut, rows=wide), find_net("fbnet_c", (SPACE,)))
    assert prediction.ci_low_us < prediction.latency_us < prediction.ci_high_us


def test_95_percent_intervals_of_nets_hold_95_percent_of_unseen_nets() -> None:
    """Over 20 LUTs, each fitted to its own nets, of rows that are each a little wrong; judged by 60 others each.

    These are timed for themselves, with half the noise.
    """
    own = [draw_tuning_nets((SPACE,), seed) for seed in range(20)]
    unseen = random_nets(SPACE, 60, 0, "judged", varied=True)
    assert 0.93 <= _share_inside(own, unseen, noise=0.004) <= 0.97
    assert 0.93 <= _share_inside(own, unseen, noise=0.02) <= 0.97


def test_an_interval_has_a_share_of_the_tuning_nets_noise_in_it_and_not_all() -> None:
    """Nets whose halves differ by 2.6 % on average, and so the whole by 1.6 % (a standard deviation)."""
    lut = lut_of_ones()
    nets = draw_tuning_nets((SPACE,), 0)
    keys, us = tuple(net.key for net in nets), tuple(float(net.macs) for net in nets)

    def half_width(spread: float, noise: float) -> float | None:
        context = replace(lut.metadata.context, net_spread=spread, net_noise=noise, nets=keys, nets_us=us)
        return net_half_width(replace(lut, metadata=replace(lut.metadata, context=context)))

    own = 0.026 / 2 * math.sqrt(math.pi / 2)
    assert half_width(0.02, 0.0) == pytest.approx(2.04 * 0.02, rel=0.01)
    assert half_width(0.02, 0.026) == pytest.approx(2.04 * math.sqrt(0.02**2 - (1 - 0.55**2) * own**2), rel=0.01)
    # closer to their fit than to themselves
    assert half_width(0.011, 0.026) == pytest.approx(2.04 * 0.55 * own, rel=0.01)
    assert half_width(0.0, 0.026) is None  # a LUT of an earlier version


def _share_inside(own: list[tuple[Net, ...]], unseen: Sequence[Net], noise: float) -> float:
    """Of the unseen nets, those that were measured inside their intervals by LUTs that were fitted to own nets."""
    rng = random.Random(5)
    truth = {op.name: 10 + 30 * rng.random() for op in SPACE.operators if op.is_measured} | {"runtime_overhead": 2.0}
    held = []
    for tuning in own:
        rows_us = {name: us * (1 + rng.gauss(0, 0.02)) for name, us in truth.items()}

        def measured_us(net: Net, noise: float) -> float:
            return sum(truth[op.name] for op in net.operators) * (1 + rng.gauss(0, noise))

        nets = {net: measured_us(net, noise) for net in tuning}
        names = [NetMeasurement(net.key, tuple(op.name for op in net.operators), us) for net, us in nets.items()]
        fields = fitted_fields(fit_scale(names, rows_us, rows_us["runtime_overhead"], Setting(), {}))
        lut = lut_of_ones()
        rows = tuple(
            replace(row, **dict.fromkeys(("latency_us", *ROW_FIGURES), rows_us[row.operator]))
            if row.latency_us
            else row
            for row in lut.rows
        )
        halves = 2 * noise * math.sqrt(2 / math.pi)  # mean difference of two, each of half of what the whole is of
        context = ContextSection(
            **fields, net_noise=halves, nets=tuple(net.key for net in nets), nets_us=tuple(nets.values())
        )
        fitted = replace(lut, rows=rows, metadata=replace(lut.metadata, context=context))
        for net in unseen:
            found = predict(fitted, net)
            held.append(found.ci_low_us <= measured_us(net, noise / 2) <= found.ci_high_us)
    return sum(held) / len(held)


def test_a_missing_operator_is_an_error_that_says_how_to_measure_it() -> None:
    with pytest.raises(LutError) as caught:
        predict(without(lut_of_ones(), "fc_1504_1000"), find_net("fbnet_a", (SPACE,)))
    text = str(caught.value)
    assert "fc_1504_1000" in text and "luts/host.csv" in text and "lutbench profile --device host" in text


def test_a_net_of_another_variant_is_refused_with_the_command() -> None:
    with pytest.raises(LutError, match=r"--resolution 192 --width 0\.5"):
        predict(lut_of_ones(), find_net("fbnet_a@192x0.5", (SPACE,)))


def test_a_failed_row_gives_no_latency() -> None:
    lut = lut_of_ones()
    rows = tuple(failed_row(r.operator, "crashed") if r.operator == "fc_1504_1000" else r for r in lut.rows)
    with pytest.raises(LutError, match="failed: crashed"):
        predict(replace(lut, rows=rows), find_net("fbnet_a", (SPACE,)))
