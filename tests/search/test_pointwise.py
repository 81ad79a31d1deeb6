from __future__ import annotations

import pytest
import torch
from torch import nn

from lutbench.search.pointwise import pointwise_conv


@pytest.mark.parametrize("size", [1, 4, 80])  # 80: so many rows that torch's own runs
@pytest.mark.parametrize("has_bias", [False, True])
def test_a_part_of_a_larger_weight_gives_what_torch_gives(size: int, has_bias: bool) -> None:
    torch.manual_seed(0)
    x = torch.randn(3, 6, size, size).to(memory_format=torch.channels_last).requires_grad_()
    widest = torch.randn(8, 10, 1, 1, requires_grad=True)
    bias = torch.randn(5) if has_bias else None
    expected = nn.functional.conv2d(x, widest[:5, :6], bias)
    found = pointwise_conv(x, widest[:5, :6], bias)
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)
    gradient = torch.randn_like(expected)
    of = [torch.autograd.grad(outputs, [x, widest], gradient) for outputs in (found, expected)]
    for mine, theirs in zip(*of, strict=True):
        torch.testing.assert_close(mine, theirs, rtol=1e-3, atol=1e-3)
