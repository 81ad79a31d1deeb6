from __future__ import annotations

import pytest
import torch
from torch import nn

from lutbench.search import depthwise as module
from lutbench.search.depthwise import depthwise, depthwise_conv, input_gradient, weight_gradient


@pytest.mark.parametrize("kernel", [1, 3, 5, 7, 9])
@pytest.mark.parametrize("stride", [1, 2, 3])
@pytest.mark.parametrize("shape", [(1, 1), (2, 2), (3, 3), (4, 4), (7, 7), (5, 2), (1, 6)])
def test_values_and_gradients_are_those_of_autograd(kernel: int, stride: int, shape: tuple[int, int]) -> None:
    torch.manual_seed(0)
    x = torch.randn(3, 4, *shape, dtype=torch.float64).to(memory_format=torch.channels_last).requires_grad_()
    weight = torch.randn(4, 1, kernel, kernel, dtype=torch.float64, requires_grad=True)
    expected = nn.functional.conv2d(x, weight, None, stride, kernel // 2, 1, 4)
    gradient = torch.randn_like(expected)
    of_x, of_weight = torch.autograd.grad(expected, [x, weight], gradient)
    plain = x.detach()
    torch.testing.assert_close(depthwise(plain, weight.detach(), stride), expected)
    torch.testing.assert_close(input_gradient(gradient, plain, weight.detach(), stride), of_x)
    torch.testing.assert_close(weight_gradient(gradient, plain, kernel, stride), of_weight)


@pytest.mark.parametrize("at_once", [1, 250, 500])
def test_a_few_images_at_a_time_give_the_same(at_once: int, monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    x, gradient = (torch.randn(5, 4, 6, 6, dtype=torch.float64) for _ in range(2))
    whole = weight_gradient(gradient, x, 5, 1)
    monkeypatch.setattr(module, "_AT_ONCE", at_once)
    torch.testing.assert_close(weight_gradient(gradient, x, 5, 1), whole)


@pytest.mark.parametrize("width", [0, 3, 4, 6])
@pytest.mark.parametrize("size", [1, 5])
def test_zeros_among_the_channels_change_nothing(width: int, size: int) -> None:
    torch.manual_seed(0)
    x = torch.randn(3, 4, size, size).to(memory_format=torch.channels_last).requires_grad_()
    widest = torch.randn(6, 1, 5, 5, requires_grad=True)
    expected = nn.functional.conv2d(x, widest[:4], None, 2, 2, 1, 4)
    found = depthwise_conv(x, widest[:4], 2, width)
    torch.testing.assert_close(found, expected)
    gradient = torch.randn_like(expected)
    of = [torch.autograd.grad(outputs, [x, widest], gradient) for outputs in (found, expected)]
    for mine, theirs in zip(*of, strict=True):
        torch.testing.assert_close(mine, theirs, rtol=1e-4, atol=1e-5)
