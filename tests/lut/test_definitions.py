"""LUTs and nets of spaces that have one name and are not the same."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from lutbench.errors import LutError, UsageError
from lutbench.lut.definitions import what_differs, with_counts_of
from lutbench.lut.merge import merge
from lutbench.lut.metadata import SpaceSection
from lutbench.lut.predict import predict
from lutbench.lut.table import Lut
from lutbench.space.definition import Counted, counts_of, joined, others, with_counts
from lutbench.space.file import parse_space
from lutbench.space.macro import Space
from lutbench.space.net import parse_net
from tests.lut.made import made_lut

TEXT = """\
name = "own"
resolution = 16
classes = 4
candidates = ["k3_e1", "module_my.blocks:make"]

[stem]
channels = 8

[[stage]]
channels = 8
layers = 2

[head]
channels = 16
"""
NAME = "module_my.blocks:make_8x8x8_8_s1"
MINE = with_counts(TEXT, {NAME: Counted(100, 10, "torch 2:aa")})


def own(definition: str) -> Space:
    return parse_space(definition, Path("own.toml"))


def lut_of(definition: str, path: str = "a.csv") -> Lut:
    lut = made_lut(space=own(definition), path=path)
    section = replace(lut.metadata.space, definition=definition)
    return replace(lut, metadata=replace(lut.metadata, space=section))


def section(definition: str) -> SpaceSection:
    return lut_of(definition).metadata.space


def test_counts_stay_with_the_text() -> None:
    counts = {NAME: Counted(100, 10, "file:ab"), 'an"other': Counted(0, 0)}
    text = with_counts(TEXT, counts)
    assert counts_of(text) == counts and counts_of(TEXT) == {}
    assert with_counts(with_counts(text, {}), counts) == text
    operator = own(MINE).layers[0].operator(own(MINE).candidates[1])
    assert (operator.macs, operator.params) == (100, 10)


@pytest.mark.parametrize(
    ("counted", "differs"),
    [
        (Counted(100, 10, "torch 2:aa"), False),
        (Counted(100, 10, "torch 2:bb"), True),
        (Counted(100, 10, "torch 3:bb"), False),  # another version may call the same by other names
        (Counted(100, 10), False),
        (Counted(101, 10, "torch 3:bb"), True),
    ],
)
def test_blocks_differ_by_their_counts_and_digests(counted: Counted, differs: bool) -> None:
    assert others({NAME: Counted(100, 10, "torch 2:aa")}, {NAME: counted}) == ([NAME] if differs else [])
    said = what_differs(section(MINE), section(with_counts(TEXT, {NAME: counted})))
    assert said == (f"code or file behind {NAME}" if differs else "")


def test_a_comment_is_no_other_definition() -> None:
    assert what_differs(section(TEXT), section("# mine\n" + TEXT)) == ""
    assert what_differs(section(TEXT), section(TEXT.replace("layers = 2", "layers = 3"))) == (
        "definition of the space own"
    )


def test_merging_two_definitions_is_refused_and_variants_keep_all_counts() -> None:
    other = with_counts(TEXT, {NAME: Counted(100, 10, "torch 2:bb")})
    with pytest.raises(UsageError, match=rf"do not merge, they differ in code or file behind {NAME}"):
        merge([lut_of(MINE), lut_of(other, "b.csv")])
    further = with_counts(TEXT, {"module_my.blocks:make_8x4x4_8_s1": Counted(25, 10, "torch 2:aa")})
    merged = merge([lut_of(MINE), lut_of(further, "b.csv")]).lut.metadata.space.definition
    assert merged == joined([MINE, further]) and len(counts_of(merged)) == 2


def test_predicting_a_net_of_another_definition_is_refused() -> None:
    lut, words = lut_of(MINE), "k3_e1 module_my.blocks:make"
    assert predict(lut, parse_net(words, own(MINE))).latency_us > 0
    other = own(with_counts(TEXT, {NAME: Counted(100, 10, "torch 2:bb")}))
    with pytest.raises(LutError, match=rf"a.csv: was measured with another code or file behind {NAME}"):
        predict(lut, parse_net(words, other))
    longer = own(MINE.replace("layers = 2", "layers = 3"))
    with pytest.raises(LutError, match="was measured with another definition of the space own"):
        predict(lut, parse_net(f"{words} k3_e1", longer))
    # the space's file alone knows no counts: they are the LUT's
    (known,) = with_counts_of(lut, [own(TEXT)])
    assert predict(lut, parse_net(words, known)).net.macs > 100
