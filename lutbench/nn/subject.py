"""Anything that is exported -> torch.nn.Module in eval mode, and the input it is calibrated and checked with."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from lutbench.nn.factory import build_factory_net
from lutbench.nn.graph import build_model
from lutbench.nn.modules import build_net, build_operator, seed_of
from lutbench.space.factory import FactoryNet
from lutbench.space.graph import Model
from lutbench.space.net import Net
from lutbench.space.operator import Operator

_BUILDERS: dict[type, Callable[[Any], nn.Module]] = {
    Operator: build_operator,
    Net: build_net,
    Model: build_model,
    FactoryNet: build_factory_net,
}


def build_subject(subject: Operator | Net | Model | FactoryNet) -> nn.Module:
    """The subject's module, weights seeded by its name; UsageError where a user's own factory does not make one."""
    return _BUILDERS[type(subject)](subject)


def sample_input(subject: Operator | Net | Model | FactoryNet, name: str) -> Tensor:
    """A normally distributed input of the subject's shape, seeded by its name; before a pool it has passed a ReLU.

    Means of values around 0 would be smaller than the steps of the integers they are to be checked in.
    """
    rng = torch.Generator().manual_seed(seed_of(name))
    sample = torch.randn(subject.input_shape, generator=rng)
    return sample.relu() if isinstance(subject, Operator) and subject.kind == "pool" else sample
