"""What modules are made of, and their random weights. Tensors are (N, C, H, W)."""

from __future__ import annotations

import hashlib

import torch
from torch import Tensor, nn


class ChannelShuffle(nn.Module):
    """Interleaves the groups' channels, so that the next grouped convolution sees all of them (FBNet, figure 3)."""

    def __init__(self, groups: int) -> None:
        super().__init__()
        self.groups = groups

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, C, H, W)"""
        n, c, h, w = x.shape
        return x.reshape(n, self.groups, c // self.groups, h, w).transpose(1, 2).reshape(n, c, h, w)


def conv_bn(c_in: int, c_out: int, kernel: int, stride: int = 1, groups: int = 1, relu: bool = True) -> list[nn.Module]:
    """Convolution (padding kernel // 2, no bias), batch norm and, unless told otherwise, ReLU."""
    layers: list[nn.Module] = [
        nn.Conv2d(c_in, c_out, kernel, stride, kernel // 2, groups=groups, bias=False),
        nn.BatchNorm2d(c_out),
    ]
    return [*layers, nn.ReLU()] if relu else layers


def seed_of(name: str) -> int:
    """A seed made of a name, the same on every machine."""
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:7], "big")


@torch.no_grad()
def initialised(module: nn.Module, name: str) -> nn.Module:
    """Random weights that keep activations near unit variance, and batch norms that are not the identity."""
    rng = torch.Generator().manual_seed(seed_of(name))
    for part in module.modules():
        if isinstance(part, (nn.Conv2d, nn.Linear)):
            fan_in = part.weight[0].numel()
            part.weight.normal_(0, (2 / fan_in) ** 0.5, generator=rng)
            if part.bias is not None:
                part.bias.normal_(0, 0.1, generator=rng)
        elif isinstance(part, nn.BatchNorm2d):
            assert part.running_mean is not None and part.running_var is not None
            part.weight.uniform_(0.8, 1.2, generator=rng)
            part.bias.normal_(0, 0.1, generator=rng)
            part.running_mean.normal_(0, 0.1, generator=rng)
            part.running_var.uniform_(0.8, 1.2, generator=rng)
    return module.eval()
