"""Every kind of block: its names, its shapes, its counts."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lutbench.errors import SpaceError
from lutbench.space.blocks.table import BLOCKS
from lutbench.space.candidate import parse_candidate
from lutbench.space.operator import Operator, block_operator, parse_operator

# candidate -> multiply-accumulates and parameters at 16 x 8 x 8 -> 16, stride 1, by hand
COUNTED = {
    "k3_e6": ((16 * 96 + 9 * 96 + 96 * 16) * 64, 16 * 96 + 9 * 96 + 96 * 16),
    "k5_e0_hswish": ((25 * 16 + 16 * 16) * 64, 25 * 16 + 16 * 16),
    "k3_e2_m8_relu6": ((16 * 32 + 9 * 32 + 32 * 16) * 64, 16 * 32 + 9 * 32 + 32 * 16),
    # squeeze-and-excitation of 64 channels through 16, two biases
    "k3_e4_hswish_se0.25": (
        (16 * 64 + 9 * 64 + 64 * 16) * 64 + 2 * 64 * 16,
        16 * 64 + 9 * 64 + 64 * 16 + 2 * 64 * 16 + 16 + 64,
    ),
    "k3_e4_swish_si0.25": (
        (16 * 64 + 9 * 64 + 64 * 16) * 64 + 2 * 64 * 4,
        16 * 64 + 9 * 64 + 64 * 16 + 2 * 64 * 4 + 4 + 64,
    ),
    "fused_k3_e4": ((9 * 16 * 64 + 64 * 16) * 64, 9 * 16 * 64 + 64 * 16),
    "conv_k5_swish": (25 * 16 * 16 * 64, 25 * 16 * 16),
    "conv_k3_g4_biased": (9 * 16 * 4 * 64, 9 * 16 * 4 + 16),
    "separable_k3": ((9 * 16 + 16 * 16) * 64, 9 * 16 + 16 * 16),
    "bottleneck_k3_e0.25": ((16 * 4 + 9 * 4 * 4 + 4 * 16) * 64, 16 * 4 + 9 * 4 * 4 + 4 * 16),
    "shuffle_k5": ((8 * 8 + 25 * 8 + 8 * 8) * 64, 8 * 8 + 25 * 8 + 8 * 8),
    "shuffle_k3_d3": (3 * (9 * 8 + 8 * 8) * 64, 3 * (9 * 8 + 8 * 8)),
    "uib_a3_k5_e4": ((9 * 16 + 16 * 64 + 25 * 64 + 64 * 16) * 64, 9 * 16 + 16 * 64 + 25 * 64 + 64 * 16),
    "uib_a0_k0_e4": (2 * 16 * 64 * 64, 2 * 16 * 64),
    # queries 4 x 8, keys and values of 8 from a map of 4 x 4, products of 64 x 16 places
    "mqa_h4_d8_r2": (
        16 * 32 * 64 + 2 * (9 * 16 + 16 * 8) * 16 + 64 * 16 * (32 + 32) + 32 * 16 * 64,
        16 * 32 + 2 * (9 * 16 + 16 * 8) + 32 * 16,
    ),
    "vit_h4_e2": (
        (4 * 16 * 16 + 2 * 16 * 32) * 64 + 64 * 64 * 32,
        4 * 16 * 16 + 2 * 16 * 32 + 5 * 16 + 32,
    ),
    "convnext_k7_e4": ((49 * 16 + 2 * 16 * 64) * 64, 49 * 16 + 2 * 16 * 64 + 16 + 64 + 16),
    "mobileone_k3": ((9 * 16 + 16 * 16) * 64, 9 * 16 + 16 * 16 + 32),
    "repvgg_k3": (9 * 16 * 16 * 64, 9 * 16 * 16 + 16),
}


def test_every_kind_is_counted_here() -> None:
    assert {parse_candidate(name).kind for name in COUNTED} == set(BLOCKS) - {"module", "onnx"}


@pytest.mark.parametrize("name", COUNTED)
def test_counts_by_hand(name: str) -> None:
    operator = block_operator(parse_candidate(name), 16, 8, 8, 16, 1)
    assert (operator.macs, operator.params) == COUNTED[name]


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("name", COUNTED)
def test_names_and_shapes(name: str, stride: int) -> None:
    candidate = parse_candidate(name)
    assert parse_candidate(candidate.name) == candidate
    if name.startswith(("mqa", "uib_a0_k0")) and stride == 2:
        with pytest.raises(SpaceError, match="stride 2"):
            block_operator(candidate, 16, 9, 8, 32, stride)
        return
    c_out = 16 if name.startswith("mqa") else 32
    operator = block_operator(candidate, 16, 9, 8, c_out, stride)
    assert parse_operator(operator.name) == operator
    assert operator.candidate is not None
    assert block_operator(operator.candidate, 16, 9, 8, c_out, stride) == operator
    assert operator.graph.nodes[-1].shape == (operator.c_out, operator.h_out, operator.w_out)


@pytest.mark.parametrize(
    ("name", "operator"),
    [
        ("k3_e6_hswish", "ir_k3_e6_g1_hswish_24x7x7_40_s2"),
        ("k3_e6_relu", "ir_k3_e6_g1_24x7x7_40_s2"),
        ("ir_k3_e1", "ir_k3_e1_g1_24x7x7_40_s2"),
        ("k3e6se0.25hswish", "ir_k3_e6_g1_hswish_se0.25_24x7x7_40_s2"),
        ("uib_k5_a3_e4", "uib_a3_k5_e4_24x7x7_40_s2"),
        ("module_my.blocks:make", "module_my.blocks:make_24x7x7_40_s2"),
    ],
)
def test_an_operator_is_named_by_what_is_not_usual(name: str, operator: str) -> None:
    found = block_operator(parse_candidate(name), 24, 7, 7, 40, 2)
    assert found.name == operator
    assert parse_operator(operator) == found


def test_what_a_candidate_leaves_open_is_its_stages() -> None:
    usual = (("activation", "hswish"), ("squeeze", 0.25), ("none of its options", 1))
    plain, relu = parse_candidate("k3_e3"), parse_candidate("k3_e3_relu")
    assert block_operator(plain, 16, 8, 8, 16, 1, usual).name == "ir_k3_e3_g1_hswish_se0.25_16x8x8_16_s1"
    assert block_operator(relu, 16, 8, 8, 16, 1, usual).name == "ir_k3_e3_g1_se0.25_16x8x8_16_s1"
    assert block_operator(parse_candidate("shuffle_k3"), 16, 8, 8, 16, 1, usual).name == "shuffle_k3_16x8x8_16_s1"


@pytest.mark.parametrize(
    ("text", "problem", "remedy"),
    [
        ("fuse_k3_e4", "no kind is called 'fuse'", "did you mean fused"),
        ("fused_k3", "lacks e<expansion>", "write fused_k<kernel>_e<expansion>"),
        ("fused_k3_e4_mish", "'mish' is no option of fused", "relu|relu6"),
        ("k3_e4_d3", "'d3' is no option of ir", "write k<kernel>"),
        ("k3_k3_e4", "'k3' is no option", ""),
        ("k4_e1", "not a positive odd number", ""),
        ("uib_a2_k3_e4", "first 2 is not a positive odd number", ""),
        ("mqa_h0_d8", "heads 0 is not positive", ""),
        ("module_", "no kind is called|is no option|lacks", ""),
    ],
)
def test_candidates_that_cannot_be(text: str, problem: str, remedy: str) -> None:
    with pytest.raises(SpaceError, match=problem) as caught:
        parse_candidate(text)
    assert remedy in str(caught.value)


@pytest.mark.parametrize(
    ("text", "shape", "problem"),
    [
        ("shuffle_k3", (16, 8, 8, 33, 1), "33 output channels do not divide into 2 halves"),
        ("vit_h3_e4", (16, 8, 8, 16, 1), "16 output channels do not divide into 3 heads"),
        ("conv_k3_g3", (16, 8, 8, 16, 1), "16 input channels do not divide into 3 groups"),
        ("bottleneck_k3_e0.01", (16, 8, 8, 16, 1), "leaves no channel"),
        ("uib_a0_k0_e4", (16, 8, 8, 16, 2), "cannot have stride 2"),
        ("mqa_h4_d8", (16, 8, 8, 32, 1), "keeps its shape"),
        ("module_make", (16, 8, 8, 32, 1), "names no factory"),
    ],
)
def test_blocks_that_do_not_fit_a_layer(text: str, shape: tuple[int, int, int, int, int], problem: str) -> None:
    with pytest.raises(SpaceError, match=problem):
        block_operator(parse_candidate(text), *shape)


def test_what_own_code_does_is_known_once_it_was_counted() -> None:
    operator = block_operator(parse_candidate("module_my:make"), 16, 8, 8, 16, 1)
    with pytest.raises(SpaceError, match="is not known"):
        _ = operator.macs
    counted = Operator("module", 16, 8, 8, 16, label="my:make", counted=(100, 10))
    assert counted == operator
    assert (counted.macs, counted.params, counted.touched) == (100, 10, 2 * 16 * 64 + 10)


words = st.lists(
    st.sampled_from(["k3", "k5", "e6", "e0.5", "g2", "hswish", "se0.25", "a3", "h4", "d8", "r2", "biased", "m8"]),
    max_size=5,
)


@given(st.sampled_from(list(BLOCKS)), words)
def test_whatever_reads_has_one_name(kind: str, options: list[str]) -> None:
    try:
        candidate = parse_candidate("_".join([kind, *options]))
    except SpaceError:
        return
    assert parse_candidate(candidate.name) == candidate
    assert candidate.kind == kind
