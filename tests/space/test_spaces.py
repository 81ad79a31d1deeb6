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
    "fbnetv2": (18, 187),
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
    assert net.choice[0].name == "k3_e0_relu6"
    assert net.operators[1].name == "ir_k3_e0_g1_relu6_32x112x112_16_s1"
    assert parse_net(net.candidates_text, space, "slim") == net
    assert parse_net(str([0] * 21), space, "slim") == net
    assert parse_net("ir_k3_e3 " * 21, space, "slim") == net
    with pytest.raises(SpaceError, match="layer 2 has no candidate 6"):
        parse_net("6 " * 21, space, "slim")
