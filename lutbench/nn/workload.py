"""Anything that is exported -> torch.nn.Module in eval mode, and the input it is calibrated and checked with."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, cast

import torch
from torch import Tensor, nn

from lutbench.nn import modules
from lutbench.nn.chain import build_chain
from lutbench.nn.factory import build_factory_net
from lutbench.nn.graph import GraphModule, InvertedResidual, build_model
from lutbench.nn.modules import build_net, build_operator
from lutbench.nn.parts import seed_of
from lutbench.space.chain import OperatorChain
from lutbench.space.factory import FactoryNet
from lutbench.space.graph import Model
from lutbench.space.net import Net
from lutbench.space.operator import OVERHEAD, Operator
from lutbench.space.workload import Workload

_BUILDERS: dict[type, Callable[[Any], nn.Module]] = {
    Operator: build_operator,
    Net: build_net,
    Model: build_model,
    FactoryNet: build_factory_net,
    OperatorChain: build_chain,
}


def build_workload(workload: Workload) -> nn.Module:
    """The workload's module, weights seeded by its name; UsageError where a user's factory makes none."""
    return _BUILDERS[type(workload)](workload)


def empty_net(net: Net | Model) -> nn.Module:
    """The net's module as torch initialises it, for training; of any batch size."""
    if isinstance(net, Model):
        return GraphModule(net.graph)
    return modules.empty_net(net)


def branch_norms(module: nn.Module) -> Iterator[nn.BatchNorm2d]:
    """The last batch norm of each residual branch."""
    for part in module.modules():
        if isinstance(part, InvertedResidual) and part.has_residual:
            yield cast(nn.BatchNorm2d, part.body[-1])
        elif isinstance(part, GraphModule):
            yield from part.branch_norms


@dataclass(frozen=True)
class Fitted:
    """A trained module in eval mode, and images (N, 3, R, R) to calibrate its artifact with; the first checks it."""

    module: nn.Module
    images: Tensor


def input_shape(workload: Workload, batch: int) -> tuple[int, ...]:
    """The shape of so many of the workload's inputs at once; the empty graph has one, whatever the batch."""
    return (1 if workload == OVERHEAD else batch, *workload.input_shape[1:])


def sample_input(workload: Workload, name: str, batch: int = 1) -> Tensor:
    """A normally distributed input of the workload's shape, seeded by its name; before a pool it has passed a ReLU.

    Means of values around 0 would be smaller than the steps of the integers they are to be checked in.
    """
    rng = torch.Generator().manual_seed(seed_of(name))
    sample = torch.randn(input_shape(workload, batch), generator=rng)
    operator = workload.operator if isinstance(workload, OperatorChain) else workload
    return sample.relu() if isinstance(operator, Operator) and operator.kind == "pool" else sample
