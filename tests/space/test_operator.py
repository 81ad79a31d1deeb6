from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lutbench.errors import SpaceError
from lutbench.space.candidate import SKIP, Candidate, parse_candidate
from lutbench.space.operator import OVERHEAD, Operator, block_operator, foreign_operator, parse_operator

channels = st.integers(1, 128).map(lambda n: 4 * n)
sizes = st.integers(1, 256)
strides = st.integers(1, 3)
kernels = st.sampled_from([1, 3, 5, 7])

convs = st.builds(Operator, st.sampled_from(["stem", "conv"]), channels, sizes, sizes, channels, kernels, strides)
pools = st.builds(
    lambda kind, c, h, w: Operator(kind, c, h, w, c), st.sampled_from(["pool", "identity"]), channels, sizes, sizes
)
classifiers = st.builds(lambda c, k: Operator("fc", c, 1, 1, k), channels, channels)
foreigners = st.builds(foreign_operator, st.text(min_size=1, max_size=200))


def valid_blocks() -> st.SearchStrategy[Operator]:
    """Blocks whose groups divide every channel count."""
    return st.builds(
        lambda c, h, w, o, k, s, e, g: Operator("ir", c, h, w, o, k, s, e, g),
        channels, sizes, sizes, channels, kernels, strides,
        st.sampled_from([1.0, 2.0, 3.0, 6.0]), st.sampled_from([1, 2, 4]),
    )  # fmt: skip


@given(st.one_of(valid_blocks(), convs, pools, classifiers, foreigners, st.just(OVERHEAD)))
def test_a_name_says_everything(operator: Operator) -> None:
    assert parse_operator(operator.name) == operator


@given(valid_blocks(), valid_blocks())
def test_different_operators_have_different_names(a: Operator, b: Operator) -> None:
    assert (a == b) == (a.name == b.name)


@given(st.text(max_size=60) | st.from_regex(r"(ir|conv|stem|pool|fc)_[k0-9ex_gs]{1,40}", fullmatch=True))
def test_any_other_text_is_refused(text: str) -> None:
    try:
        operator = parse_operator(text)
    except SpaceError:
        return
    assert operator.name == text


def test_canonical_name() -> None:
    assert Operator("ir", 64, 14, 14, 64, 5, 1, 6, 1).name == "ir_k5_e6_g1_64x14x14_64_s1"
    with pytest.raises(SpaceError):
        parse_operator("ir_k5_e6_g1_064x14x14_64_s1")  # one operator, one name


def test_macs_and_params_by_hand() -> None:
    """16 -> 96 -> 24 channels, 3x3, stride 2, 112 -> 56: 1x1 + depthwise + 1x1."""
    block = Operator("ir", 16, 112, 112, 24, 3, 2, 6, 1)
    assert block.macs == 16 * 96 * 112 * 112 + 9 * 96 * 56 * 56 + 96 * 24 * 56 * 56
    assert block.params == 16 * 96 + 9 * 96 + 96 * 24
    grouped = Operator("ir", 16, 112, 112, 24, 3, 2, 1, 2)
    assert grouped.params == 16 * 16 // 2 + 9 * 16 + 16 * 24 // 2
    classifier = Operator("fc", 1504, 1, 1, 1000)
    assert (classifier.macs, classifier.params) == (1504 * 1000, 1505 * 1000)


def test_what_a_foreign_operator_does_is_not_known() -> None:
    operator = foreign_operator("Conv_2-input:1x1x1152, hs=1")
    assert operator.name == "foreign_Conv_2-input:1x1x1152..hs.1"
    assert operator.is_measured
    for unknown in ("macs", "params", "touched", "input_shape", "output_shape"):
        with pytest.raises(SpaceError, match="is not known"):
            getattr(operator, unknown)


@pytest.mark.parametrize("arguments", [("foreign", ""), ("foreign", "a b"), ("foreign", "x" * 201), ("fc", "a")])
def test_labels_that_cannot_be(arguments: tuple[str, str]) -> None:
    kind, label = arguments
    with pytest.raises(SpaceError, match="label"):
        Operator(kind, 1, 1, 1, 1, label=label)  # type: ignore[arg-type]


def test_shapes() -> None:
    block = Operator("ir", 16, 15, 14, 24, 5, 2, 3, 1)
    assert block.input_shape == (1, 16, 15, 14)
    assert block.output_shape == (1, 24, 8, 7)
    assert Operator("pool", 8, 7, 7, 8).output_shape == (1, 8)


def test_a_skip_is_an_identity_only_where_nothing_changes() -> None:
    assert block_operator(SKIP, 24, 56, 56, 24, 1).kind == "identity"
    assert not block_operator(SKIP, 24, 56, 56, 24, 1).is_measured
    assert block_operator(SKIP, 24, 56, 56, 32, 1).name == "conv_k1_24x56x56_32_s1"
    assert block_operator(SKIP, 24, 56, 56, 24, 2).name == "conv_k1_24x56x56_24_s2"


@pytest.mark.parametrize("text", ["k3_e6", "k5_e1_g2", "k7_e0.75", "skip"])
def test_candidates_round_trip(text: str) -> None:
    assert parse_candidate(text).name == text


def test_short_candidates_mean_the_same() -> None:
    assert parse_candidate("k5e1g2") == Candidate(5, 1, 2)


@given(st.text(max_size=20))
def test_junk_is_no_candidate(text: str) -> None:
    try:
        candidate = parse_candidate(text)
    except SpaceError:
        return
    assert parse_candidate(candidate.name) == candidate


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (("ir", 15, 8, 8, 16, 3, 1, 1, 2), "groups"),
        (("ir", 16, 8, 8, 16, 4, 1, 1, 1), "odd"),
        (("ir", 16, 0, 8, 16, 3, 1, 1, 1), "h_in"),
        (("pool", 16, 8, 8, 17), "cannot change"),
        (("bogus", 16, 8, 8, 16), "kind"),
    ],
)
def test_impossible_operators_are_refused(arguments: tuple[object, ...], problem: str) -> None:
    with pytest.raises(SpaceError, match=problem):
        Operator(*arguments)  # type: ignore[arg-type]
