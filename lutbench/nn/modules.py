"""Operator or net -> torch.nn.Module in eval mode. Tensors are (N, C, H, W)."""

from __future__ import annotations

import hashlib
from collections.abc import Callable

import torch
from torch import Tensor, nn

from lutbench.space.net import Net
from lutbench.space.operator import Operator


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


class InvertedResidual(nn.Module):
    """FBNet's block (figure 3): 1x1 + ReLU, shuffle if grouped, depthwise KxK + ReLU, 1x1, residual."""

    def __init__(self, op: Operator) -> None:
        super().__init__()
        mid = op.mid_channels
        self.body = nn.Sequential(
            *conv_bn(op.c_in, mid, 1, groups=op.groups),
            *([ChannelShuffle(op.groups)] if op.groups > 1 else []),
            *conv_bn(mid, mid, op.kernel, op.stride, groups=mid),
            *conv_bn(mid, op.c_out, 1, groups=op.groups, relu=False),
        )
        self.has_residual = op.has_residual

    def forward(self, x: Tensor) -> Tensor:
        """(N, c_in, H, W) -> (N, c_out, ceil(H / stride), ceil(W / stride))"""
        y: Tensor = self.body(x)
        return x + y if self.has_residual else y


def _conv(op: Operator) -> nn.Module:
    return nn.Sequential(*conv_bn(op.c_in, op.c_out, op.kernel, op.stride))


_BUILDERS: dict[str, Callable[[Operator], nn.Module]] = {
    "stem": _conv,
    "ir": InvertedResidual,
    "conv": _conv,
    "pool": lambda _op: nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten()),
    "fc": lambda op: nn.Linear(op.c_in, op.c_out),
    "identity": lambda _op: nn.Identity(),
    "overhead": lambda _op: nn.Identity(),
}


def empty_operator(op: Operator) -> nn.Module:
    """The operator's module as torch initialises it, for training; of any batch size."""
    return _BUILDERS[op.kind](op)


def build_operator(op: Operator) -> nn.Module:
    """The operator's module, weights seeded by its name; input and output are op.input_shape and op.output_shape."""
    return initialised(_BUILDERS[op.kind](op), op.name)


def build_net(net: Net) -> nn.Module:
    """The net's module, weights seeded by its key; (1, 3, R, R) -> (1, classes)."""
    return initialised(nn.Sequential(*(_BUILDERS[op.kind](op) for op in net.operators)), net.key)


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
