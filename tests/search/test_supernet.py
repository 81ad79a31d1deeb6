from __future__ import annotations

import copy
from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn

from lutbench.errors import UsageError
from lutbench.search.gates import MODES, Gates, Mode, candidate_mask, draw, fixed_path, probabilities
from lutbench.search.supernet import SuperLayer, Supernet
from lutbench.space.macro import Stage
from tests.search.made import SMALL


def images(resolution: int = 16) -> tuple[Tensor, Tensor]:
    rng = torch.Generator().manual_seed(1)
    return torch.randn(6, 3, resolution, resolution, generator=rng), torch.arange(6) % 4


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def gradients(net: Supernet, gates: Gates) -> dict[str, Tensor]:
    """Every parameter's gradient of the loss, by name; those that have none are left out."""
    batch, labels = images()
    nn.functional.cross_entropy(net(batch.to(net.theta.dtype), gates), labels).backward()
    return {name: p.grad for name, p in net.named_parameters() if p.grad is not None}


def unlike(net: Supernet) -> Supernet:
    """The supernet with theta and batch norms at random: candidates start as one function, residual ones as 0."""
    rng = generator()
    with torch.no_grad():
        for part in net.modules():
            if isinstance(part, nn.BatchNorm2d):
                part.weight.uniform_(0.5, 1.5, generator=rng)
                part.bias.normal_(generator=rng)
            elif isinstance(part, nn.Conv2d):
                part.weight.normal_(0, (2 / part.weight[0].numel()) ** 0.5, generator=rng)
        net.theta.normal_(generator=rng)
    return net


def twins(mode: Mode, shared: bool = True) -> tuple[Supernet, Supernet, Gates, Gates]:
    """The fast supernet and the plain one, of equal weights, and equal draws."""
    fast = unlike(Supernet(SMALL, 4, 16, seed=3, shared=shared).double().train())
    plain = copy.deepcopy(fast)
    plain.fast = False
    return fast, plain, *(draw(net.theta, net.mask, 2.0, mode, generator(5)) for net in (fast, plain))


@pytest.mark.parametrize("shared", [True, False])
@pytest.mark.parametrize("mode", MODES)
def test_the_fast_supernet_is_the_plain_loop(mode: Mode, shared: bool) -> None:
    fast, plain, gates, same_gates = twins(mode, shared)
    found, expected = gradients(fast, gates), gradients(plain, same_gates)
    assert found.keys() == expected.keys() and "theta" in found
    for name, value in expected.items():
        torch.testing.assert_close(found[name], value, msg=name)


@pytest.mark.parametrize("mode", MODES)
def test_a_step_of_theta_makes_no_gradient_of_the_weights(mode: Mode) -> None:
    fast, plain, gates, same_gates = twins(mode)
    for weight in fast.weights():
        weight.requires_grad_(False)
    found = gradients(fast, gates)
    assert found.keys() == {"theta"}
    torch.testing.assert_close(found["theta"], gradients(plain, same_gates)["theta"])


def test_soft_gates_weight_what_each_candidate_gives() -> None:
    """The sum of table 2's candidates times their gates, written out for each layer."""
    net = unlike(Supernet(SMALL, 4, 16, seed=3, fast=False).double()).eval()
    gates = draw(net.theta, net.mask, 1.0, "soft", generator())
    for number, layer in enumerate(net.layers):
        assert isinstance(layer, SuperLayer)
        x = torch.randn(2, SMALL.layers[number].c_in, 8, 8, dtype=torch.float64)
        modules = [layer.copy_of(position).eval() for position in range(layer.candidates)]
        expected = sum(gate * module(x) for gate, module in zip(gates.values[number], modules, strict=False))
        torch.testing.assert_close(layer(x, gates.values[number], range(layer.candidates), way=None), expected)


def test_a_hard_pass_is_that_net_alone() -> None:
    net = unlike(Supernet(SMALL, 4, 16, seed=3).double().train())
    path = (2, 3, 1, 0)
    one_hot = fixed_path(path, net.mask)
    soft = Gates(one_hot.values.double(), one_hot.values.double())
    batch, _ = images()
    torch.testing.assert_close(net(batch.double(), one_hot), net(batch.double(), soft))


def test_hard_gradients_are_the_documented_estimate() -> None:
    """theta_k gets <dL/dy, f_i(x)> dm[i]/dtheta_k of the candidate i that ran, from the candidate's output."""
    net = unlike(Supernet(SMALL, 4, 16, seed=3, fast=False).double().train())
    gates = draw(net.theta, net.mask, 2.0, "hard", generator(5))
    assert gates.path is not None
    layer = net.layers[2]
    assert isinstance(layer, SuperLayer)
    outputs: list[tuple[Tensor, Tensor]] = []
    kept: list[Tensor] = []
    layer.register_forward_hook(lambda _m, _i, out: kept.append(out.detach()))
    layer.register_full_backward_hook(lambda _m, _i, given: outputs.append((given[0], kept[0])))
    found = gradients(net, gates)["theta"][2]
    of_gate = (outputs[0][0] * outputs[0][1]).sum()  # the gate is 1, so dL/dy is dL/d(branch)
    relaxed = draw(net.theta, net.mask, 2.0, "hard", generator(5)).relaxed[2]
    (expected,) = torch.autograd.grad(relaxed[gates.path[2]] * of_gate, net.theta)
    torch.testing.assert_close(found, expected[2])


def test_paths_are_drawn_as_often_as_theta_says() -> None:
    mask = candidate_mask(SMALL)
    theta = torch.randn(mask.shape, generator=generator(2))
    rng = generator(0)
    counts = torch.zeros(mask.shape)
    for _ in range(3000):
        path = draw(theta, mask, 5.0, "hard", rng).path
        assert path is not None
        counts[range(len(mask)), path] += 1
    assert (counts[~mask] == 0).all()
    torch.testing.assert_close(counts / 3000, probabilities(theta, mask), atol=0.035, rtol=0)


def test_equal_paths_train_the_weights_of_a_layer_alike() -> None:
    """Blocks share theirs and are together as probable as the skip beside them; of own weights, all are alike."""
    blocks_and_skip, blocks = [1 / 6, 1 / 6, 1 / 6, 1 / 2], [1 / 2, 1 / 2, 0, 0]
    for shared, rows in ((True, [blocks_and_skip, blocks_and_skip]), (False, [[1 / 4] * 4, [1 / 4] * 4])):
        net = Supernet(SMALL, 4, 16, seed=3, shared=shared)
        found = probabilities(net.equal_theta(), net.mask)
        torch.testing.assert_close(found, torch.tensor([*rows, blocks, blocks]))


def test_paths_of_stages_are_equal_in_weights_only_where_a_skip_has_some() -> None:
    skips_everywhere = replace(SMALL, stages=(Stage(8, 2, 1), Stage(16, 2, 2)))
    net = Supernet(skips_everywhere, 4, 16, seed=3)
    found = probabilities(net.equal_theta(everywhere=False), net.mask)
    alike, blocks_and_skip = [1 / 4] * 4, [1 / 6, 1 / 6, 1 / 6, 1 / 2]
    torch.testing.assert_close(found, torch.tensor([alike, alike, blocks_and_skip, alike]))
    skips = [sum(weight.numel() for weight in layer.others.parameters()) for layer in net.layers]  # type: ignore[union-attr, operator]
    assert [bool(weights) for weights in skips] == [False, False, True, False]


def test_a_low_temperature_makes_soft_gates_one_hot_and_rows_sum_to_one() -> None:
    mask = candidate_mask(SMALL)
    for temperature, low, high in ((0.01, 0.99, 1.0), (100.0, 0.0, 0.6)):
        gates = draw(torch.zeros(mask.shape), mask, temperature, "soft", generator())
        torch.testing.assert_close(gates.values.sum(1), torch.ones(len(mask)))
        assert ((low <= gates.values.amax(1)) & (gates.values.amax(1) <= high)).all()


def test_equal_seeds_give_equal_supernets() -> None:
    one, same, other = (Supernet(SMALL, 4, 16, seed).state_dict() for seed in (1, 1, 2))
    assert all(torch.equal(value, same[name]) for name, value in one.items())
    assert any(not torch.equal(value, other[name]) for name, value in one.items())


def test_autocast_and_evaluation_run_the_modules() -> None:
    net = Supernet(SMALL, 4, 16, seed=3)
    batch, _ = images()
    gates = draw(net.theta, net.mask, 2.0, "soft", generator())
    with torch.autocast("cpu", torch.bfloat16):
        assert net(batch, gates).dtype == torch.bfloat16
    net.eval()
    assert torch.equal(net(batch, gates), net(batch, gates))


@pytest.mark.parametrize("path", [(0, 0, 0), (0, 0, 0, 2), (0, 0, 0, -1), (9, 0, 0, 0)])
def test_a_path_that_is_no_net_is_refused(path: tuple[int, ...]) -> None:
    with pytest.raises(UsageError):
        fixed_path(path, candidate_mask(SMALL))
