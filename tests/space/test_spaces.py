"""The spaces that come along: what they hold, and golden counts of their nets."""

from __future__ import annotations

import pytest

from lutbench.errors import SpaceError
from lutbench.space.find import SPACES, known_space
from lutbench.space.net import parse_net

# searched layers, operators with the empty graph's
SIZES = {
    "fbnet": (22, 116),
    "fbnet-cifar": (22, 113),
    "fbnetv2": (20, 15319),
    "proxyless": (21, 77),
    "ofa-mobilenetv3": (20, 102),
    "mobilenetv4-conv": (21, 145),
    "spos-shufflenet": (20, 37),
}


def test_the_list_is_whole() -> None:
    assert set(SIZES) == set(SPACES)


@pytest.mark.parametrize("name", SPACES)
def test_what_a_space_holds(name: str) -> None:
    space = known_space(name)
    assert space.name == name
    assert (len(space.searched), len(space.operators)) == SIZES[name]


def test_nets_are_written_without_fixed_blocks_and_as_numbers() -> None:
    space = known_space("proxyless")
    net = parse_net(",".join(["k3_e3"] * 21), space, "slim")
    assert len(net.choice) == 22
    assert net.choice[0].name == "k3_e0"
    assert net.operators[1].name == "ir_k3_e0_g1_32x112x112_16_s1"
    assert parse_net(net.candidates_text, space, "slim") == net
    assert parse_net(str([0] * 21), space, "slim") == net
    assert parse_net("ir_k3_e3 " * 21, space, "slim") == net
    with pytest.raises(SpaceError, match=r"3 numbers, but space proxyless has 21 layers to choose"):
        parse_net("0 0 1", space)
    with pytest.raises(SpaceError, match="layer 2 has no candidate 6"):
        parse_net("6 " * 21, space, "slim")


# net -> multiply-accumulates and parameters that timm 1.0.30's builder has for it, batch norms counting nothing
OFA = ("k7_e6", 4, 566170656, 7624216), ("k3_e3", 2, 121278672, 3400136)
PROXYLESS = ("k7_e6", 4, 606590720, 5054664), ("k3_e3", 2, 154160000, 2484984)
CONV_M = (
    "a3_k5_e4 a3_k3_e2 | a3_k5_e6 a3_k3_e4 a3_k3_e4 a3_k5_e4 a3_k3_e4 a3_k0_e4 a0_k0_e2 a3_k0_e4 | a5_k5_e6 a5_k5_e4"
    " a3_k5_e4 a3_k5_e4 a0_k0_e4 a3_k0_e4 a3_k5_e2 a5_k5_e4 a0_k0_e4 a0_k0_e4 a5_k0_e2"
)


@pytest.mark.parametrize(("block", "depth", "macs", "params"), OFA)
def test_once_for_alls_nets(block: str, depth: int, macs: int, params: int) -> None:
    text = "|".join(",".join([block] * depth + ["skip"] * (4 - depth)) for _ in range(5))
    net = parse_net(text, known_space("ofa-mobilenetv3"))
    assert (net.macs, net.params) == (macs, params)


@pytest.mark.parametrize(
    ("name", "stages", "macs", "params"),
    [
        (
            "ofa-mobilenetv3",
            "k5_e6 k5_e6 k3_e3|k7_e3 k5_e6 k5_e3 k5_e6|k5_e4 k5_e4 k7_e6|k7_e4 k3_e4|k3_e6 k7_e3 k5_e6 k7_e4",
            293339712,
            5289736 + 1280,  # its layer before the classifier has no biases there
        ),
        (
            "proxyless",
            "k5_e3 k5_e6|k7_e6 k5_e6 k5_e3 k5_e6|k5_e6 k5_e6 k7_e3|k7_e6 k3_e6 k5_e3 k3_e3|k3_e3 k7_e6|k7_e6",
            333998624,
            3533712,
        ),
    ],
)
def test_nets_as_once_for_alls_own_modules_count(name: str, stages: str, macs: int, params: int) -> None:
    """Of active subnets of ofa 0.1.0's supernets."""
    blocks = [[*stage.split(), "skip", "skip"][:4] for stage in stages.split("|")]
    if name == "proxyless":
        blocks[-1] = blocks[-1][:1]
    net = parse_net("|".join(",".join(stage) for stage in blocks), known_space(name))
    assert (net.macs, net.params) == (macs, params)


@pytest.mark.parametrize(("block", "depth", "macs", "params"), PROXYLESS)
def test_proxylessnass_nets(block: str, depth: int, macs: int, params: int) -> None:
    text = "|".join(",".join([block] * depth + ["skip"] * (4 - depth)) for _ in range(5)) + f"|{block}"
    net = parse_net(text, known_space("proxyless"))
    assert (net.macs, net.params) == (macs, params)


def test_mobilenetv4s_conv_m() -> None:
    words = [word if word == "|" else f"uib_{word}" for word in CONV_M.split()]
    net = parse_net(" ".join(words), known_space("mobilenetv4-conv"))
    assert (net.macs, net.params) == (827649984, 9647608)


def test_single_path_one_shots_net_by_hand() -> None:
    """The supernet's first candidate everywhere: 3x3 units; channels 16, 64, 160, 320, 640, 1024."""
    net = parse_net("0 " * 20, known_space("spos-shufflenet"))
    macs, params, c_in, size = 27 * 16 * 112**2, 27 * 16, 16, 112
    for channels, layers in ((64, 4), (160, 4), (320, 8), (640, 4)):
        half, out = channels // 2, size // 2
        past = (9 * c_in, c_in * c_in)
        branch = (c_in * half, 9 * half, half * (channels - c_in))
        macs += branch[0] * size**2 + (sum(past) + sum(branch[1:])) * out**2
        unit = 2 * half * half + 9 * half
        macs += (layers - 1) * unit * out**2
        params += sum(past) + sum(branch) + (layers - 1) * unit
        c_in, size = channels, out
    assert (net.macs, net.params) == (macs + 640 * 1024 * 49 + 1024000, params + 640 * 1024 + 1025 * 1000)


def test_single_path_one_shots_published_net() -> None:
    """Counted of NNI 3.0's module of the net that its authors found, whose classifier has no biases."""
    net = parse_net("2 1 0 1 2 0 2 0 2 0 2 3 0 0 0 0 3 2 3 3", known_space("spos-shufflenet"))
    assert (net.macs, net.params - 1000) == (322918720, 3529312)


def test_hw_nas_benchs_space() -> None:
    space = known_space("fbnet-cifar")
    assert [layer.h_in for layer in space.layers] == [32] * 6 + [16] * 4 + [8] * 8 + [4] * 4
    assert parse_net(str([8] * 22), space).operators[-1].name == "fc_1504_100"
