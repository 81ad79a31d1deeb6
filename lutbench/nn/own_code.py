"""A user's own block -> torch.nn.Module, checked and counted. Its code runs here, in an export worker."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from lutbench.errors import UsageError, told
from lutbench.nn.factory import load_factory
from lutbench.nn.parts import initialised, seed_of
from lutbench.space.factory import FactoryNet
from lutbench.space.operator import Operator


def own_module(op: Operator) -> nn.Module:
    """The module that the factory makes for the operator's shape, checked to give its output's shape.

    What the factory draws at random is seeded by the operator's name. UsageError for a factory that is not there,
    raises, or makes something else.
    """
    factory = load_factory(FactoryNet(op.label, op.label))
    module = _called(factory, op)
    given = _run(module, op)
    if given != op.output_shape:
        raise UsageError(
            f"{_call(op)} gives {given}, but the layer asks for {op.output_shape}",
            remedy="its factory is called with (c_in, h, w, c_out, stride)",
        )
    return module


def counted(op: Operator) -> tuple[int, int]:
    """Multiply-accumulates and parameters of what the factory makes, batch norms counting nothing.

    UsageError where two calls make modules that differ, or that compute something else.
    """
    first, second = (_figures(op) for _ in range(2))
    if first != second:
        raise UsageError(
            f"{_call(op)} makes another module when it is called again", remedy="same arguments, same module"
        )
    return first[0], first[1]


def _figures(op: Operator) -> tuple[int, int, float]:
    """Multiply-accumulates, parameters and, with weights seeded by the name, the sum of what it gives for ones."""
    from torch.utils.flop_counter import FlopCounterMode

    module = initialised(own_module(op), op.name)
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        given: Tensor = module(torch.ones(op.input_shape))
    norms = (nn.BatchNorm1d, nn.BatchNorm2d)
    params = sum(p.numel() for m in module.modules() if not isinstance(m, norms) for p in m.parameters(recurse=False))
    return counter.get_total_flops() // 2, params, given.double().sum().item()


def _called(factory: Callable[..., Any], op: Operator) -> nn.Module:
    if isinstance(factory, nn.Module) or not callable(factory):
        raise UsageError(f"{op.label} is no function", remedy="name one of (c_in, h, w, c_out, stride)")
    try:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed_of(op.name))
            module = factory(op.c_in, op.h_in, op.w_in, op.c_out, op.stride)
    except BaseException as error:
        raise UsageError(f"{_call(op)} failed: {told(error)}") from error
    if not isinstance(module, nn.Module):
        raise UsageError(f"{_call(op)} gave a value of type {type(module).__name__}, not a torch.nn.Module")
    return module.eval()


def _run(module: nn.Module, op: Operator) -> tuple[int, ...]:
    try:
        with torch.no_grad():
            output = module(torch.zeros(op.input_shape))
    except BaseException as error:
        raise UsageError(f"{_call(op)} fails on an input of {op.input_shape}: {told(error)}") from error
    if not isinstance(output, Tensor):
        raise UsageError(f"{_call(op)} gave a value of type {type(output).__name__}, not one tensor")
    return tuple(output.shape)


def _call(op: Operator) -> str:
    return f"{op.label}({op.c_in}, {op.h_in}, {op.w_in}, {op.c_out}, {op.stride})"
