"""What nets leave in blocks, by rules; that ONNX Runtime keeps to them is tested where its graphs are made."""

from __future__ import annotations

from lutbench.measure.layouts import Ends, Kept, ends_of
from lutbench.measure.neighbours import neighbour_of_name, pairs_of
from lutbench.space.operator import parse_operator

BLOCKED, GROUPED = "ir_k3_e3_g1_16x8x8_16_s1", "ir_k3_e1_g2_16x8x8_16_s1"
MILLION = 16 * 8 * 8 / 1e6  # elements between two of them


def ends_of_name(name: str, block_channels: int) -> Ends:
    return ends_of(parse_operator(name), block_channels)


def left(operators: list[str]) -> Kept:
    found = pairs_of(operators, 16).kept
    return Kept(round(found.elements, 12), found.boundaries)


def test_what_stands_between_two_that_compute_in_blocks_stays_there() -> None:
    more = "ir_k3_e3_g1_16x8x8_24_s1"  # without an addition
    assert left([more]) == Kept()  # what a net is given comes in (N, C, H, W)
    assert left([more.replace("24", "16").replace("16_s1", "16_s1"), "conv_k1_16x8x8_24_s2"]) == Kept()
    assert left(["stem_k3_3x16x16_16_s2", more]) == Kept(MILLION, 1)
    assert left(["stem_k3_3x16x16_16_s2", BLOCKED, more]) == Kept(2 * MILLION, 2)
    assert left(["stem_k3_3x16x16_16_s2", GROUPED, more]) == Kept()  # changed before it and after it
    assert left(["stem_k3_3x16x16_16_s2", "identity_16x8x8", BLOCKED]) == Kept(MILLION, 1)


def test_an_addition_of_what_is_in_no_blocks_is_in_none() -> None:
    after_grouped = [GROUPED, BLOCKED, "conv_k1_16x8x8_24_s2"]
    assert left(["stem_k3_3x16x16_16_s2", *after_grouped]) == Kept()
    assert ends_of_name(BLOCKED, 16).after(False) is False
    assert ends_of_name(BLOCKED, 16).after(True) is True


def test_groups_that_fill_blocks_compute_in_them() -> None:
    assert ends_of_name(GROUPED, 16).reads is False
    assert ends_of_name(GROUPED, 8).reads is True
    wide = ends_of_name(GROUPED.replace("16x", "32x").replace("16_s1", "32_s1"), 16)
    assert (wide.reads, wide.writes, wide.adds) == (True, True, True)
    half = ends_of_name("ir_k3_e1_g2_64x8x8_112_s1", 16)  # 56 channels a group fill no block of 16
    assert (half.reads, half.writes) == (True, False)


def test_what_is_not_known_is_in_no_blocks() -> None:
    assert neighbour_of_name("foreign_x", 16).ends == neighbour_of_name("nothing", 16).ends == Ends()
