"""The masked supernet: for one-hot gates it computes what the net alone computes, whatever is chosen."""

from __future__ import annotations

import copy
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from lutbench.errors import UsageError
from lutbench.nn.workload import empty_net
from lutbench.search.gates import Gates, draw, fixed_path
from lutbench.search.masked import MaskedSupernet
from lutbench.search.resolutions import places, sampled, sizes_at, spread
from lutbench.space.decisions import choice_positions, decisions
from lutbench.space.file import parse_space
from lutbench.space.net import Net, parse_net
from lutbench.space.sampling import random_nets
from lutbench.space.zoo import retargeted
from tests.conftest import CHOOSING_TOML

SPACE = parse_space(CHOOSING_TOML, Path("choosing.toml")).scaled(32, 1.0)
IMAGES = torch.randn(4, 3, 16, 16, generator=torch.Generator().manual_seed(0))


def stirred(space: object = SPACE, resolution: int = 16) -> MaskedSupernet:
    """A supernet of which no weight, shift or statistic is what it starts as."""
    found = MaskedSupernet(space, 4, resolution, seed=1)  # type: ignore[arg-type]
    rng = torch.Generator().manual_seed(2)
    with torch.no_grad():
        for part in found.modules():
            if isinstance(part, nn.BatchNorm2d):
                for value in (part.weight, part.running_var):
                    value.copy_(0.5 + torch.rand(value.shape, generator=rng))
                for value in (part.bias, part.running_mean):
                    value.copy_(torch.randn(value.shape, generator=rng) / 2)
            elif isinstance(part, nn.Conv2d) and part.bias is not None:
                part.bias.copy_(torch.randn(part.bias.shape, generator=rng) / 2)
    return found.eval()


SUPERNET = stirred()
BASE = "r32|c16|c16,k3_e2.25_relu,k3_e2.25_relu|c24,k3_e2.25_relu,k3_e2.25_relu|k3_e2.25_relu"
# one choice of each kind, beside the base
KINDS = {
    "widest": BASE,
    "channels": BASE.replace("c16,", "c8,").replace("c24", "c16"),
    "channels of a fixed block": BASE.replace("|c16|", "|c8|"),
    "equal channels": BASE.replace("c24", "c16").replace("|k3_e2.25_relu", "|skip"),
    "expansion": BASE.replace("e2.25", "e0.75"),
    "kernel": BASE.replace("k3", "k5"),
    "squeeze-and-excitation": BASE.replace("relu", "relu_se0.25"),
    "activation": BASE.replace("relu", "hswish"),
    "skip": "r32|c16|c12,skip,skip|c24,skip,skip|skip",
    "resolution": BASE.replace("r32", "r24"),
    "smallest resolution": BASE.replace("r32", "r16"),
}


def outputs(net: Net, supernet: MaskedSupernet = SUPERNET) -> dict[str, Tensor]:
    positions = choice_positions(net)
    path = fixed_path(positions, supernet.mask)
    learning = Gates(path.values, path.values.clone().requires_grad_(), path.path)
    with torch.no_grad():
        return {
            "alone": supernet.subnet(positions)(IMAGES),
            "all options run": supernet(IMAGES, Gates(path.values, path.values)),
            "a path, gates that learn": supernet(IMAGES, learning).detach(),
            "a path": supernet(IMAGES, path),
        }


@pytest.mark.parametrize("kind", KINDS)
def test_one_hot_choices_give_the_sliced_net(kind: str) -> None:
    found = outputs(parse_net(KINDS[kind], SPACE))
    alone = found.pop("alone")
    assert alone.std() > 1e-3
    for way, given in found.items():
        assert (given - alone).abs().max() < 1e-5, way


def test_the_sliced_net_is_the_net_that_is_trained() -> None:
    """Layer by layer, weight by weight: what the architecture file names, at the images' size."""
    for net in random_nets(SPACE, 20, 0, "sliced"):
        alone = SUPERNET.subnet(choice_positions(net))
        own = empty_net(retargeted(net, 16, 4))
        assert [tuple(w.shape) for w in alone.parameters()] == [tuple(w.shape) for w in own.parameters()]
        own.load_state_dict(dict(zip(own.state_dict(), alone.state_dict().values(), strict=True)))
        if net.space.resolution == 32:
            assert (own.eval()(IMAGES) - alone(IMAGES)).abs().max() < 1e-5


@pytest.mark.parametrize("number", range(3))
def test_random_nets(number: int) -> None:
    for net in random_nets(SPACE, 12, number, "one-hot"):
        found = outputs(net)
        alone = found.pop("alone")
        assert all((given - alone).abs().max() < 1e-5 for given in found.values()), net.name


def test_paths_learn_what_the_net_alone_would() -> None:
    """In training mode, with its batch's statistics: the same gradients in the part of the weights that it has."""
    net = parse_net(KINDS["squeeze-and-excitation"].replace("c16,", "c8,"), SPACE)
    supernet = stirred().train()
    path = fixed_path(choice_positions(net), supernet.mask)
    gradients = []
    for gates in (path, Gates(path.values, path.values)):
        supernet.zero_grad()
        supernet(IMAGES, gates).square().mean().backward()
        gradients.append({n: p.grad.clone() for n, p in supernet.named_parameters() if p.grad is not None})
    assert gradients[0].keys() <= gradients[1].keys() and len(gradients[0]) > 20
    for name, gradient in gradients[0].items():
        assert torch.allclose(gradient, gradients[1][name], atol=2e-5), name


def test_every_option_has_a_gradient() -> None:
    supernet = stirred().train()
    gates = draw(supernet.theta, supernet.mask, 5.0, "soft", torch.Generator().manual_seed(0))
    supernet(IMAGES, gates).square().mean().backward()
    assert supernet.theta.grad is not None
    several = [decision.count > 1 for decision in decisions(SPACE)]
    assert torch.equal(supernet.theta.grad.ne(0), supernet.mask & torch.tensor(several)[:, None])


@pytest.mark.parametrize("other", ["skip", "k3_e2.25_relu_se0.25"])
@torch.no_grad()
def test_gates_between_two_options_weigh_what_each_gives(other: str) -> None:
    """Exactly, where options differ in what is linear: in being there, in the gate of squeeze-and-excitation."""
    block, x = SUPERNET.layers[2], torch.randn(2, 16, 8, 8, generator=torch.Generator().manual_seed(4))
    names = [candidate.name for candidate in SPACE.layers[2].candidates]
    both = [names.index("k3_e2.25_relu"), names.index(other)]
    widest = len(block.outs) - 1
    candidates, gives = torch.zeros(len(names)), torch.eye(len(block.outs))[widest]
    candidates[both] = torch.tensor([0.25, 0.75])
    found = block.masked(x, block.weighted(None, gives, candidates))
    one, two = (block.sliced(x, widest, widest, position) for position in both)
    assert (found - (0.25 * one + 0.75 * two)).abs().max() < 1e-5 and (one - two).abs().max() > 1e-2


def test_smaller_kernels_are_the_middle_taps_of_the_largest() -> None:
    block, names = SUPERNET.layers[1], [candidate.name for candidate in SPACE.layers[1].candidates]
    largest = block.convs[1].weight
    for name, taps in (("k3_e2.25_relu", slice(1, 4)), ("k5_e2.25_relu", slice(0, 5))):
        alone = block.copy_of(0, len(block.outs) - 1, names.index(name))
        weight = [part for part in alone.modules() if isinstance(part, nn.Conv2d)][1].weight
        assert torch.equal(weight, largest[: len(weight), :, taps, taps])


def test_gradients_of_gates_are_those_of_the_outputs() -> None:
    """Along random directions, as differences tell: no gate is left out anywhere."""
    supernet, rng = copy.deepcopy(SUPERNET).double(), torch.Generator().manual_seed(6)
    shares = draw(SUPERNET.theta.detach().double(), SUPERNET.mask, 5.0, "soft", rng).values
    values = shares.clone().requires_grad_()
    supernet(IMAGES.double(), Gates(values, values)).square().sum().backward()
    assert values.grad is not None
    for _ in range(3):
        step = 1e-6 * torch.randn(shares.shape, generator=rng, dtype=torch.float64) * SUPERNET.mask
        with torch.no_grad():
            ends = [
                supernet(IMAGES.double(), Gates(part, part)).square().sum() for part in (shares - step, shares + step)
            ]
        assert (2 * values.grad * step).sum().item() == pytest.approx((ends[1] - ends[0]).item(), rel=0.01)


def test_one_run_serves_all_options(monkeypatch: pytest.MonkeyPatch) -> None:
    """A block runs once for each resolution, whatever its candidates and channels."""
    from lutbench.search import masked_block

    runs = []
    run = masked_block.MaskedBlock._run
    monkeypatch.setattr(masked_block.MaskedBlock, "_run", lambda self, x, mix: runs.append(1) or run(self, x, mix))
    gates = draw(SUPERNET.theta.detach(), SUPERNET.mask, 5.0, "soft", torch.Generator().manual_seed(0))
    SUPERNET(IMAGES, gates)
    assert len(runs) == 3 * len(SPACE.layers)


@pytest.mark.parametrize(("full", "small"), [(8, 7), (8, 5), (7, 3), (16, 12), (5, 5), (3, 1)])
def test_what_is_spread_is_sampled_again(full: int, small: int) -> None:
    x = torch.randn(2, 3, small, small)
    wide = spread(x, (full, full))
    assert torch.equal(sampled(wide, (small, small)), x) and wide.count_nonzero() == x.count_nonzero()
    assert len(set(places(full, small, x.device).tolist())) == small


def test_resolutions_become_shares_of_the_images() -> None:
    assert sizes_at(32, (128, 160, 192, 224)) == (18, 23, 27, 32)


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        ('"skip"]', '"fused_k3_e2"]', "fused_k3_e2, which masks do not serve"),
        ('"skip"]', '"k3_e1_g2"]', "k3_e1_g2, which masks do not serve"),
        ('"skip"]', '"k3_e0"]', "with and without an expansion"),
    ],
)
def test_blocks_that_masks_do_not_serve(old: str, new: str, problem: str) -> None:
    space = parse_space(CHOOSING_TOML.replace(old, new), Path("choosing.toml"))
    with pytest.raises(UsageError, match=problem):
        MaskedSupernet(space, 4, 16, seed=0)


def test_a_layer_that_may_keep_its_shape_starts_as_one_that_adds_nothing() -> None:
    """So a deep net starts shallow; a layer that cannot keep its shape has to give something from the start."""
    supernet = MaskedSupernet(SPACE, 4, 16, seed=1).eval()
    shallow = "r32|c16|c16,k3_e2.25_relu,skip|c24,k3_e2.25_relu,skip|k3_e2.25_relu"
    deep, other = (supernet.subnet(choice_positions(parse_net(text, SPACE)))(IMAGES) for text in (BASE, shallow))
    assert torch.equal(deep, other) and deep.std() > 0


def test_the_seed_decides_the_weights() -> None:
    one, again, other = (MaskedSupernet(SPACE, 4, 16, seed=seed).layers[1].convs[0].weight for seed in (1, 1, 2))
    assert torch.equal(one, again) and not torch.equal(one, other)


def test_other_images_only_scale_the_maps() -> None:
    space = replace(SPACE, classes=10)
    supernet = stirred(space, resolution=24)
    images = torch.randn(2, 3, 24, 24, generator=torch.Generator().manual_seed(3))
    for net in random_nets(space, 6, 5, "larger"):
        path = fixed_path(choice_positions(net), supernet.mask)
        with torch.no_grad():
            alone = supernet.subnet(choice_positions(net))(images)
            assert (supernet(images, Gates(path.values, path.values)) - alone).abs().max() < 1e-5
