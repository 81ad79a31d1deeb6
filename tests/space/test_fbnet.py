from __future__ import annotations

import itertools
import random
from dataclasses import replace

import pytest

from lutbench.errors import SpaceError, UsageError
from lutbench.space.fbnet import FBNET, fbnet
from lutbench.space.find import find_spaces
from lutbench.space.net import parse_net
from lutbench.space.sampling import chains, random_nets
from lutbench.space.scale import scaled_channels
from lutbench.space.zoo import ZOO, find_net, zoo_nets

# computed with the paper's rules: multiply-accumulates of convolutions and classifier (M), parameters (M)
PUBLISHED = {
    "fbnet_a": (249.92, 4.287),
    "fbnet_b": (296.61, 4.780),
    "fbnet_c": (384.96, 5.528),
    "fbnet_s8": (292.92, 4.432),
    "fbnet_iphonex": (321.80, 4.472),
    "fbnet_96_035_1": (12.94, 1.835),
}


def test_the_space_has_22_layers_of_12_shapes_and_108_operators() -> None:
    space = fbnet(224, 1.0)
    assert len(space.layers) == 22
    assert sum(len(layer.candidates) for layer in space.layers) == 198
    assert len({layer.shape for layer in space.layers}) == 12
    assert len(space.searchable_operators) == 108
    assert [c.name for c in space.candidates] == [
        "k3_e1", "k3_e1_g2", "k3_e3", "k3_e6", "k5_e1", "k5_e1_g2", "k5_e3", "k5_e6", "skip",
    ]  # fmt: skip


def test_fixed_operators_serve_every_published_head() -> None:
    names = {operator.name for operator in fbnet(224, 1.0).fixed_operators}
    assert names == {
        "stem_k3_3x224x224_16_s2",
        "conv_k1_352x7x7_1504_s1", "pool_1504x7x7", "fc_1504_1000",
        "conv_k1_352x7x7_1984_s1", "pool_1984x7x7", "fc_1984_1000",
    }  # fmt: skip


@pytest.mark.parametrize("name", PUBLISHED)
def test_macs_and_parameters_equal_the_reference(name: str) -> None:
    (net,) = (net for net in zoo_nets() if net.name == name)
    mmacs, params_m = PUBLISHED[name]
    assert round(net.macs / 1e6, 2) == mmacs
    assert round(net.params / 1e6, 3) == params_m


def test_width_035_gives_the_released_channels() -> None:
    space = fbnet(96, 0.35)
    assert space.stem_channels == 8
    assert [stage.channels for stage in space.stages] == [8, 16, 16, 24, 40, 72, 128]


@pytest.mark.parametrize(("channels", "width", "expected"), [(16, 1, 16), (20, 1, 20), (1, 0.01, 8), (352, 0.5, 176)])
def test_scaled_channels(channels: int, width: float, expected: int) -> None:
    assert scaled_channels(channels, width) == expected


def test_net_strings_round_trip() -> None:
    for net in zoo_nets():
        again = parse_net(net.candidates_text, net.space, net.name, net.head_channels)
        assert again == net


def test_nets_that_do_not_fit_are_refused() -> None:
    space = fbnet(224, 1.0)
    with pytest.raises(SpaceError, match="2 candidates, but space fbnet has 22 layers"):
        parse_net("k3_e1,k5_e6", space)
    with pytest.raises(SpaceError, match="layer 1 of space fbnet has no candidate k7_e6"):
        parse_net(",".join(["k7_e6"] * 22), space)


def test_find_net_by_name_variant_and_string() -> None:
    spaces = (fbnet(224, 1.0), fbnet(192, 0.5))
    assert find_net("fbnet_a", spaces).macs == 249_921_848
    scaled = find_net("fbnet_a@192x0.5", spaces)
    assert (scaled.space.resolution, scaled.space.width) == (192, 0.5)
    text = ",".join(["skip"] * 22)
    assert find_net(text, spaces).space.resolution == 224
    assert find_net(f"{text}@192x0.5", spaces).space.resolution == 192
    with pytest.raises(SpaceError, match="no such resolution"):
        find_net(f"{text}@96x0.5", spaces)
    with pytest.raises(UsageError, match="did you mean fbnet_iphonex"):
        find_net("fbnet_iphone", spaces)


def test_a_net_is_found_by_its_key() -> None:
    """As `verify` writes it: of the space that comes along in any variant, of another only where that is known."""
    for net in zoo_nets():
        found = find_net(net.key, ())
        assert (found.key, found.name, found.macs) == (net.key, net.key, net.macs)
    own = replace(fbnet(64, 1.0), name="own")
    net = parse_net(",".join(["k3_e1"] * 22), own)
    assert find_net(net.key, (fbnet(224, 1.0), own)).space == own
    with pytest.raises(UsageError, match=r"of the space own@64x1\.0, which is not known here"):
        find_net(net.key, (fbnet(224, 1.0),))
    for bad in (
        "fbnet@224x1.0:0:k3_e1",
        "fbnet@9999x1.0:1504:k3_e1",
        "fbnet@224x1.0:1504:k3_e1",
        "fbnet@224x1.0:1504:a:b",
    ):
        with pytest.raises(UsageError):
            find_net(bad, ())


def test_published_heads_keep_their_own_width_in_other_variants() -> None:
    assert find_net("fbnet_b@192x1.0", (fbnet(192, 1.0),)).head_channels == 1984
    assert find_net("fbnet_b@192x0.5", (fbnet(192, 0.5),)).head_channels == 992
    assert ZOO["fbnet_b"].head_channels == FBNET.other_heads[0]


def test_random_nets_are_seeded_different_and_avoid_what_is_excluded() -> None:
    space = fbnet(224, 1.0)
    nets = random_nets(space, 50, 3, "verify")
    assert nets == random_nets(space, 50, 3, "verify")
    assert len({net.key for net in nets}) == 50
    assert not {net.key for net in nets} & {net.key for net in random_nets(space, 50, 3, "tune")}
    avoided = random_nets(space, 50, 3, "verify", exclude={net.key for net in nets})
    assert not {net.key for net in nets} & {net.key for net in avoided}


def test_chains_hold_every_operator_between_a_nets_neighbours() -> None:
    space = fbnet(224, 1.0)
    found = chains(space, random.Random(1))
    assert {op.name for chain in found for op in chain} == {op.name for op in space.operators if op.is_measured}
    for chain in found:
        shapes = [op for op in chain if op.kind not in ("overhead",)]
        assert all(a.output_shape[1] == b.input_shape[1] for a, b in itertools.pairwise(shapes))


def test_unknown_space_and_impossible_variants() -> None:
    with pytest.raises(UsageError, match="did you mean fbnet"):
        find_spaces("fbnets", (), (1.0,))
    with pytest.raises(SpaceError, match="resolution"):
        find_spaces("fbnet", (4,), (1.0,))
    with pytest.raises(SpaceError, match="width"):
        find_spaces("fbnet", (), (0.0,))
