"""What a space file can say beside FBNet's blocks, and what it is told where it is wrong."""

from __future__ import annotations

from pathlib import Path

import pytest

from lutbench.errors import SpaceFileError
from lutbench.space.file import parse_space
from lutbench.space.net import parse_net

SPACE = """\
name = "mixed"
resolution = [32, 64]
input_channels = 1
candidates = ["k3_e2", "fused_k3_e2", "uib_a3_k3_e2", "skip"]

[stem]
channels = 8
stride = 1
activation = "hswish"

[[stage]]
channels = 16
block = "separable_k3"

[[stage]]
channels = 16
layers = 2
activation = "hswish"
se = 0.25

[[stage]]
channels = 24
stride = 2
block = "conv_k3"

[[head]]
block = "conv_k1_hswish"
channels = 32

[[head]]
block = "pool"

[[head]]
block = "fc_hswish"
channels = 48

[[head]]
block = "fc"
"""


def test_a_space_of_several_kinds() -> None:
    space = parse_space(SPACE, Path("mixed.toml"))
    net = parse_net("fused_k3_e2 uib_a3_k3_e2", space)
    assert [operator.name for operator in net.operators] == [
        "stem_k3_hswish_1x32x64_8_s1",
        "separable_k3_8x32x64_16_s1",
        "fused_k3_e2_hswish_se0.25_16x32x64_16_s1",
        "uib_a3_k3_e2_hswish_16x32x64_16_s1",
        "conv_k3_16x32x64_24_s2",
        "conv_k1_hswish_24x16x32_32_s1",
        "pool_32x16x32",
        "fc_hswish_32_48",
        "fc_48_1000",
    ]
    assert net.candidates_text == "fused_k3_e2,uib_a3_k3_e2"
    half = space.scaled(16, 0.5)
    assert half.stem.name == "stem_k3_hswish_1x16x32_8_s1"
    assert half.tail(half.head_channels)[-2].name == "fc_hswish_16_24"


def test_a_space_without_a_head() -> None:
    space = parse_space("head = []\n" + SPACE.split("[[head]]")[0], Path("mixed.toml"))
    assert parse_net("0 0", space).operators[-1].name == "conv_k3_16x32x64_24_s2"


@pytest.mark.parametrize(
    ("old", "new", "line", "problem"),
    [
        ("[32, 64]", "[32]", 2, "not a height and a width"),
        ('activation = "hswish"\nse', 'activation = "hswich"\nse', 18, "did you mean hswish"),
        ("se = 0.25", "se = 9", 19, "se 9.0 is not between"),
        ("se = 0.25", 'se = "much"', 19, "se must be a number"),
        ('"fused_k3_e2"', '"fussed_k3_e2"', 4, "did you mean fused"),
        ('block = "conv_k3"', 'block = "conv_k3"\ncandidates = ["k3_e1"]', 24, "leave candidates out"),
        ('block = "pool"', 'block = "poll"', 31, "no kind is called 'poll'"),
        ('block = "fc"\n', 'block = "fc_k3"\n', 38, "no option of fc"),
        ("layers = 2", "layers = 2\nheads = 2", 18, "unknown key 'heads'"),
    ],
)
def test_errors_name_the_line(old: str, new: str, line: int, problem: str) -> None:
    assert old in SPACE
    with pytest.raises(SpaceFileError, match=problem) as caught:
        parse_space(SPACE.replace(old, new), Path("mixed.toml"))
    assert caught.value.line == line
