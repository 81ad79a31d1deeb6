"""Nets that are judged quickly compute what they compute, on the same images."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn

from lutbench.search.judged import judged_quickly, larger_batches
from lutbench.search.masked import MaskedSupernet
from lutbench.search.supernet import Supernet
from lutbench.space.decisions import choice_positions
from lutbench.space.file import parse_space
from lutbench.space.macro import Space
from lutbench.space.sampling import random_nets
from tests.conftest import CHOOSING_TOML
from tests.search.made import SMALL

CHOOSING = parse_space(CHOOSING_TOML, Path("choosing.toml")).scaled(32, 1.0)


@pytest.mark.parametrize("space", [SMALL, CHOOSING], ids=["small", "choosing"])
def test_outputs_and_statistics_are_those_of_the_plain_net(space: Space) -> None:
    kind = MaskedSupernet if space.has_choices else Supernet
    supernet = kind(space, 4, 16, seed=0)
    images = torch.randn(5, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    for net in random_nets(space, 3, 0, "judged"):
        plain, quick = (supernet.subnet(choice_positions(net)).train() for _ in range(2))
        assert any(type(part) is not nn.Conv2d for part in judged_quickly(quick).modules() if hasattr(part, "stride"))
        with torch.no_grad():
            torch.testing.assert_close(quick(images), plain(images), rtol=1e-4, atol=1e-5)
            torch.testing.assert_close(quick.eval()(images), plain.eval()(images), rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(quick.state_dict(), plain.state_dict(), rtol=1e-4, atol=1e-5)


def test_other_convolutions_stay_as_they_are() -> None:
    kept = [
        nn.Conv2d(4, 8, 3, padding=1),
        nn.Conv2d(4, 8, 1, stride=2),
        nn.Conv2d(4, 8, 1, groups=2),
        nn.Conv2d(4, 4, 3, groups=4),  # without the padding that keeps a map's size
        nn.Conv2d(4, 4, (3, 5), padding=(1, 2), groups=4, bias=False),
    ]
    assert {type(part) for part in judged_quickly(nn.Sequential(*kept))} == {nn.Conv2d}


def test_larger_batches_hold_the_same_images_in_the_same_order() -> None:
    rng = torch.Generator().manual_seed(0)
    sizes = [40, 40, 40, 7]
    batches = [(torch.randn(n, 3, 64, 64, generator=rng), torch.randint(9, (n,), generator=rng)) for n in sizes]
    found = list(larger_batches(batches))
    assert [len(labels) for _, labels in found] == [80, 47]  # a million numbers are 85 images
    for number in (0, 1):
        assert torch.equal(torch.cat([one[number] for one in found]), torch.cat([one[number] for one in batches]))
