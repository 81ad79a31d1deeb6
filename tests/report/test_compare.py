from __future__ import annotations

import math

import pytest

from lutbench.lut.row import failed_row
from lutbench.report.compare import compare_rows, typical_ratio
from lutbench.space.operator import parse_operator
from tests.report.luts import make_lut, row_of, with_row, without_row, work_us

BLOCK = "ir_k5_e6_g1_64x14x14_64_s1"


def test_a_twice_as_slow_device() -> None:
    pairs = compare_rows(make_lut(), make_lut(rule=lambda op: 2 * work_us(op)))
    assert typical_ratio(pairs) == pytest.approx(2, rel=1e-3)
    verdicts = {pair.verdict for pair in pairs}
    assert verdicts == {"B slower", "identity"}
    assert all(math.isnan(pair.ratio) for pair in pairs if pair.verdict == "identity")


@pytest.mark.parametrize(
    ("factor", "is_significant", "verdict"),
    [
        (1.0, False, "not significant"),
        (1.013, False, "not significant"),
        (1.03, True, "B slower"),
        (0.9, True, "B faster"),
    ],
)
def test_overlapping_intervals_do_not_differ(factor: float, is_significant: bool, verdict: str) -> None:
    operator = parse_operator(BLOCK)
    a = make_lut()
    b = with_row(a, row_of(operator, factor * work_us(operator)))
    (pair,) = (pair for pair in compare_rows(a, b) if pair.operator == BLOCK)
    assert pair.is_significant is is_significant
    assert pair.verdict == verdict
    assert pair.ratio == pytest.approx(factor, rel=1e-3)


def test_rows_that_are_missing_or_failed_have_no_ratio() -> None:
    a = make_lut()
    for b, verdict in ((without_row(a, BLOCK), "only in A"), (with_row(a, failed_row(BLOCK, "x")), "failed in B")):
        (pair,) = (pair for pair in compare_rows(a, b) if pair.operator == BLOCK)
        assert (math.isnan(pair.ratio), pair.is_significant, pair.verdict) == (True, None, verdict)
    assert math.isnan(typical_ratio(()))
