from __future__ import annotations

import pytest

from lutbench.measure.wide_kernels import has_wide_kernel, packed_weights
from lutbench.space.operator import parse_operator

WIDE, USUAL = "ir_k7_e6_g1_16x28x28_24_s1", "ir_k5_e6_g1_16x28x28_24_s1"


def test_wide_depthwise_kernels_are_packed_one_channel_to_a_tile() -> None:
    """7x7 of 96 channels between pointwise convolutions, and 5x5, which XNNPACK has a kernel for."""
    pointwise = 16 * 96 + 96 * 24
    assert packed_weights(parse_operator(WIDE)) == pointwise + 64 * 49 * 96
    assert packed_weights(parse_operator(USUAL)) == parse_operator(USUAL).params == pointwise + 25 * 96
    assert packed_weights(parse_operator("fc_64_10")) == parse_operator("fc_64_10").params


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        (WIDE, True),
        (USUAL, False),
        ("conv_k7_3x32x32_16_s2", False),  # wide, and not of one channel in each group
        ("pool_16x7x7", False),
        ("identity_16x8x8", False),
    ],
)
def test_which_operators_have_a_wide_kernel(name: str, expected: bool) -> None:
    assert has_wide_kernel(parse_operator(name)) is expected
