"""Spaces whose nets choose channels and resolution: what there is to choose, to measure, to write and to read."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from lutbench.errors import ArchitectureError, SpaceError, SpaceFileError
from lutbench.space.architecture import Architecture, format_architecture, own_versions, parse_architecture
from lutbench.space.decisions import choice_positions, decisions, log10_nets, net_at
from lutbench.space.file import parse_space
from lutbench.space.find import known_space
from lutbench.space.net import net_of_key, parse_net
from lutbench.space.patterns import alternatives
from lutbench.space.sampling import chains, random_nets
from lutbench.space.zoo import find_net
from tests.conftest import CHOOSING_TOML, TINY_TOML

PATH = Path("choosing.toml")
SPACE = parse_space(CHOOSING_TOML, PATH).scaled(32, 1.0)
TEXT = "r24|c16|c12,k3_e1.5_relu,skip|c16,k5_e2.25_hswish_se0.25,skip|k3_e0.75_relu"


def test_what_there_is_to_choose() -> None:
    assert [(d.kind, d.count) for d in decisions(SPACE)] == [
        ("resolution", 3), ("channels", 2), ("candidate", 1), ("channels", 3), ("candidate", 25), ("candidate", 25),
        ("channels", 2), ("candidate", 25), ("candidate", 25), ("candidate", 25),
    ]  # fmt: skip
    assert log10_nets(SPACE) == pytest.approx(math.log10(3 * 2 * 3 * 2 * 25**5))


def test_fbnetv2_has_more_nets_than_10_to_the_35() -> None:
    space = known_space("fbnetv2")
    assert log10_nets(space) == pytest.approx(math.log10(4 * 2 * 3 * 4 * 3**5 * 49**20), abs=1e-9)
    assert log10_nets(space) > 35


def test_the_widths_of_a_net_follow_from_its_words() -> None:
    net = parse_net(TEXT, SPACE, "one")
    assert [operator.name for operator in net.operators] == [
        "stem_k3_hswish_3x24x24_8_s2",
        "ir_k3_e0_g1_hswish_8x12x12_16_s1",
        "ir_k3_e1.5_g1_16x12x12_12_s1",  # and a skip that does nothing
        "ir_k5_e2.25_g1_hswish_se0.25_12x12x12_16_s2",
        "ir_k3_e0.75_g1_16x6x6_24_s1",
        "conv_k1_hswish_24x6x6_32_s1",
        "pool_map_32x6x6",
        "conv_k1_hswish_biased_32x1x1_40_s1",
        "fc_40_10",
    ]
    assert net.candidates_text == TEXT
    assert net.space.label == "24x1.0" and net.space.widest == SPACE


def test_multiply_accumulates_are_those_of_the_chosen_shapes() -> None:
    macs = parse_net(TEXT, SPACE).macs
    stem, first = 27 * 8 * 144, 9 * 8 * 144 + 8 * 16 * 144
    second = (16 * 24 + 9 * 24 + 24 * 12) * 144
    third = 12 * 27 * 144 + 25 * 27 * 36 + 2 * 27 * 8 + 27 * 16 * 36
    fourth = (16 * 12 + 9 * 12 + 12 * 24) * 36
    assert macs == stem + first + second + third + fourth + 24 * 32 * 36 + 32 * 40 + 40 * 10


def test_every_net_is_made_of_operators_that_are_measured() -> None:
    measured = set(SPACE.operators)
    for net in random_nets(SPACE, 200, 0, "covered", varied=True):
        assert measured.issuperset(net.operators)
        assert parse_net(net.candidates_text, SPACE, net.name, net.head_channels) == net
        assert net_of_key(net.key, (SPACE,)).operators == net.operators
        assert net_at(SPACE, choice_positions(net), net.name) == net


def test_chains_hold_every_operator() -> None:
    import random

    walked = {operator for chain in chains(SPACE, random.Random(0)) for operator in chain}
    assert walked == {operator for operator in SPACE.operators if operator.is_measured}


def test_names_and_files_keep_channels_and_resolution() -> None:
    space = known_space("fbnetv2").scaled(224, 1.0)
    (net,) = random_nets(space, 1, 3, "kept")
    again = find_net(net.key, ())
    assert again.operators == net.operators and again.key == net.key
    for one, definition in ((net, ""), (parse_net(TEXT, SPACE, "own@24x1.0"), CHOOSING_TOML)):
        text = format_architecture(Architecture(one, {}, 0, definition, versions=own_versions()))
        assert parse_architecture(text.encode(), PATH).net == one
        edited = text.replace(f'"resolution": {one.space.resolution}', '"resolution": 8')
        with pytest.raises(
            ArchitectureError, match=r"space.resolution says 8, the candidates \d+: the file was edited"
        ):
            parse_architecture(edited.encode(), PATH)


def test_one_resolution_leaves_that_choice_out() -> None:
    fixed = parse_space(CHOOSING_TOML, PATH).scaled(24, 1.0)
    assert fixed.resolutions == () and fixed.has_choices
    net = parse_net(TEXT.removeprefix("r24|"), fixed, "one")
    assert net.candidates_text == TEXT.removeprefix("r24|") and net.macs == parse_net(TEXT, SPACE).macs


def test_widths_scale_the_options() -> None:
    found = parse_space(CHOOSING_TOML, PATH).scaled(32, 0.5)
    assert [stage.widths for stage in found.stages] == [(8,), (8,), (8, 16), (16,)]
    assert [stage.options for stage in found.stages] == [(), (), (8, 16), ()]  # one width is no choice


def test_a_choice_has_channels_for_every_stage() -> None:
    with pytest.raises(SpaceError, match="1 channel counts for 4 stages"):
        SPACE.at(32, [16])


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (TEXT.replace("r24", "r25"), "has no resolution 25"),
        (TEXT.replace("c12", "c13"), "stage 2 of space choosing has no 13 channels"),
        (TEXT.replace("c12,", ""), "1 resolutions and channels of 2 stages"),
        (TEXT + "|r16", "2 resolutions"),
    ],
)
def test_nets_that_cannot_be(text: str, problem: str) -> None:
    with pytest.raises(SpaceError, match=problem):
        parse_net(text, SPACE)


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        ("[16, 24, 32]", "[16]", "are not 2 to 32 different whole numbers"),
        ("[16, 24, 32]", "[32, 24]", "resolutions 32, 24 are not .* ascending"),
        ("[16, 24, 32]", "[]", "resolutions of nothing are not"),
        ("[16, 24]", "[24, true]", "channels 24, True are not"),
        ("[16, 24, 32]", '"16..32"', "are not 2 to 32"),
        ("[16, 24, 32]", '"16..8..4"', "is not a first number"),
        ("[16, 24, 32]", '"16..24..0.5"', "are not 2 to 32"),
        ("[16, 24, 32]", '"1..5000..1"', "or too many"),
        ("resolutions =", "resolution = 32\nresolutions =", "give resolution or resolutions"),
        ("k{3,5}", "k{3,5", "a brace without its other"),
        ("k{3,5}", "k{3,3}", "there twice"),
        ("k{3,5}", "k{1..99..2}", "stands for more than 256"),
        ("channels = 24\n", "channels = true\n", "channels must be a whole number, a list"),
    ],
)
def test_choices_that_cannot_be_are_one_line(old: str, new: str, problem: str) -> None:
    assert old in CHOOSING_TOML
    with pytest.raises(SpaceFileError, match=problem) as caught:
        parse_space(CHOOSING_TOML.replace(old, new), PATH)
    assert caught.value.line


def test_channels_that_do_not_divide_into_groups_are_found_in_any_option() -> None:
    text = TINY_TOML.replace("channels = 16", "channels = [16, 17, 18]")
    with pytest.raises(SpaceFileError, match="17 output channels do not divide into 2 groups"):
        parse_space(text, PATH)


def test_patterns() -> None:
    assert alternatives("k{3,5}_e{0.75..2.25..0.75}{,_hswish}")[:4] == [
        "k3_e0.75", "k3_e0.75_hswish", "k3_e1.50", "k3_e1.50_hswish",
    ]  # fmt: skip
    assert alternatives("skip") == ["skip"]
