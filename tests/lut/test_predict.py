from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from lutbench.errors import LutError
from lutbench.lut.predict import predict
from lutbench.lut.table import ContextSection, Lut, Metadata, Row, SpaceSection, failed_row, identity_row
from lutbench.space.fbnet import fbnet
from lutbench.space.zoo import find_net

SPACE = fbnet(224, 1.0)
OVERHEAD_US = 2.0


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


def test_intervals_of_rows_and_scale_reach_the_prediction() -> None:
    lut = lut_of_ones()
    wide = tuple(replace(row, ci_low_us=row.ci_low_us * 0.9) if row.latency_us else row for row in lut.rows)
    prediction = predict(replace(lut, rows=wide), find_net("fbnet_c", (SPACE,)))
    assert prediction.ci_low_us < prediction.latency_us < prediction.ci_high_us


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
