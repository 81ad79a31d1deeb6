"""What operators read and write."""

from __future__ import annotations

from lutbench.measure.tensors import moved, widest_layer
from lutbench.space.operator import parse_operator

LARGE = "ir_k3_e6_g1_16x112x112_16_s1"


def test_the_widest_layer_is_what_it_reads_and_writes() -> None:
    assert widest_layer(parse_operator(LARGE)) == 2 * 96 * 112 * 112  # the depthwise convolution
    assert widest_layer(parse_operator("ir_k3_e6_g1_16x112x112_24_s2")) == 96 * (112 * 112 + 56 * 56)
    assert widest_layer(parse_operator("fc_1984_1000")) == 2984
    # of squeeze-and-excitation the product, which reads one number a channel beside the map
    assert widest_layer(parse_operator("ir_k3_e3_g1_se0.25_24x56x56_24_s1")) == 2 * 72 * 56 * 56 + 72


def test_what_is_moved_is_input_and_output() -> None:
    assert moved(parse_operator("ir_k3_e6_g1_16x112x112_24_s2")) == 16 * 112 * 112 + 24 * 56 * 56
    assert moved(parse_operator("fc_1984_1000")) == 2984
