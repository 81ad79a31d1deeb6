"""Random nets with tastes: the stronger they are, the more of a net is of one candidate."""

from __future__ import annotations

from collections import Counter
from statistics import fmean

from lutbench.space.fbnet import fbnet
from lutbench.space.net import Net
from lutbench.space.sampling import STRONG_TASTES, USUAL_TASTES, random_nets

SPACE = fbnet(224, 1.0)


def share_of_commonest(net: Net) -> float:
    (_, count), *_ = Counter(candidate.name for candidate in net.choice).most_common()
    return count / len(net.choice)


def test_the_stronger_a_taste_the_more_of_a_net_is_of_one_candidate() -> None:
    nets = [net for seed in range(3) for net in random_nets(SPACE, 60, seed, "n", varied=True, tastes=(0.5, 1.0, 2.0))]
    assert len({net.key for net in nets}) == len(nets)
    evenly = fmean(map(share_of_commonest, nets[::2]))
    mild, usual, strong = (fmean(map(share_of_commonest, nets[1::2][number::3])) for number in range(3))
    assert evenly < mild < usual < strong and strong > 0.5


def test_tastes_are_the_usual_ones_where_nothing_is_said() -> None:
    nets = random_nets(SPACE, 20, 0, "n", varied=True)
    assert nets == random_nets(SPACE, 20, 0, "n", varied=True, tastes=USUAL_TASTES)
    assert nets != random_nets(SPACE, 20, 0, "n", varied=True, tastes=STRONG_TASTES)
