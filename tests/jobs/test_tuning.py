from __future__ import annotations

from lutbench.jobs.tuning import TUNING_NETS, draw_tuning_nets
from lutbench.space.fbnet import fbnet
from lutbench.space.find import known_space
from lutbench.space.sampling import random_nets, smallest_net


def test_the_smallest_net_is_among_those_that_tune() -> None:
    space = fbnet(224, 1.0)
    nets = draw_tuning_nets((space,), 0)
    assert len({net.key for net in nets}) == TUNING_NETS
    smallest = min(nets, key=lambda net: net.macs)
    assert smallest == smallest_net(space, "tune_0_smallest")
    assert all(smallest.macs <= net.macs for net in random_nets(space, 300, 0, "any", varied=True))
    assert sum(candidate.is_skip for candidate in smallest.choice) == 20


def test_each_space_has_its_own_unless_it_has_hardly_any_net() -> None:
    spaces = tuple(fbnet(resolution, 1.0) for resolution in (32, 64, 96))
    nets = draw_tuning_nets(spaces, 0)
    found = [smallest_net(space, "any") for space in spaces]
    assert {net.key for net in found if net} <= {net.key for net in nets} and None not in found
    many = tuple(fbnet(32 * number, 1.0) for number in range(1, 9))  # three nets of each
    assert not {net.name.split("@")[0] for net in draw_tuning_nets(many, 0)} & {"tune_0_smallest"}


def test_the_smallest_net_has_nothing_that_failed_and_the_fewest_channels() -> None:
    space = fbnet(224, 1.0)
    without = smallest_net(space, "n", {"ir_k3_e1_g2_112x14x14_184_s2"})
    assert without is not None and all(op.name != "ir_k3_e1_g2_112x14x14_184_s2" for op in without.operators)
    every = {op.name for op in space.searchable_operators}
    assert smallest_net(space, "n", every) is None
    choosing = known_space("fbnetv2").scaled(224, 1.0)
    found = smallest_net(choosing, "n")
    assert found is not None and found.space.resolution == min(choosing.resolutions)
    assert all(found.macs <= net.macs for net in random_nets(choosing, 100, 0, "any"))
