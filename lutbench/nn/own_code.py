"""A user's own block -> torch.nn.Module, checked and counted. Its code runs here, in an export worker."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from lutbench.errors import UsageError, told
from lutbench.nn.factory import load_factory
from lutbench.nn.own_allowed import check_allowed
from lutbench.nn.parts import initialised, seed_of
from lutbench.private.torch_calls import asked_of_torch
from lutbench.space.definition import Counted
from lutbench.space.factory import FactoryNet
from lutbench.space.operator import Operator


def own_module(op: Operator) -> nn.Module:
    """The module that the factory makes for the operator's shape, checked to give its output's shape.

    What the factory draws at random is seeded by the operator's name. UsageError for a factory that is not there,
    raises, or makes something else, and for one that no space file here has named.
    """
    check_allowed(op)
    factory = load_factory(FactoryNet(op.label, op.label))
    module = _called(factory, op)
    given = _run(module, op)
    if given != op.output_shape:
        raise UsageError(
            f"{_call(op)} gives {given}, but the layer asks for {op.output_shape}",
            remedy="its factory is called with (c_in, h, w, c_out, stride)",
        )
    return module


def counted(op: Operator) -> Counted:
    """Multiply-accumulates and parameters of what the factory makes, batch norms counting nothing, and a digest.

    UsageError where two calls make modules that differ, or that compute something else, and where a module keeps
    something from one call to the next or writes into its input.
    """
    (first, value), (second, other) = (_figures(op) for _ in range(2))
    if first != second or value != other:
        raise UsageError(
            f"{_call(op)} makes another module when it is called again", remedy="same arguments, same module"
        )
    return first


def check_trains(op: Operator) -> None:
    """UsageError where the module cannot be trained: on several images at once, gradients included."""
    module = own_module(op).train()
    batch = torch.randn((2, *op.input_shape[1:]), generator=torch.Generator().manual_seed(seed_of(op.name)))
    try:
        output = module(batch.requires_grad_())
        output.sum().backward()
    except BaseException as error:
        raise UsageError(f"{_call(op)} cannot be trained: {told(error)}") from error
    if tuple(output.shape) != (2, *op.output_shape[1:]):
        raise UsageError(f"{_call(op)} cannot be trained: of two images it makes {tuple(output.shape)}")


def _figures(op: Operator) -> tuple[Counted, float]:
    """What it counts and, with weights seeded by the operator's name, the sum of what it gives for one input."""
    module = initialised(own_module(op), op.name)
    values = torch.randn(op.input_shape, generator=torch.Generator().manual_seed(seed_of(op.name)))
    given = values.clone()
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        output, asked = asked_of_torch(lambda: module(given))
    if not torch.equal(given, values):
        raise UsageError(
            f"{_call(op)} gives a module that writes into its input", remedy="inplace=False on its first layer"
        )
    with torch.no_grad():
        again: Tensor = module(given)
    if not torch.allclose(output, again, equal_nan=True):
        raise UsageError(f"{_call(op)} gives a module that gives something else when it runs again")
    norms = (nn.BatchNorm1d, nn.BatchNorm2d)
    params = sum(p.numel() for m in module.modules() if not isinstance(m, norms) for p in m.parameters(recurse=False))
    digest = hashlib.sha256("\n".join(asked).encode()).hexdigest()
    made_of = f"torch {torch.__version__}:{digest[:16]}"
    return Counted(counter.get_total_flops() // 2, params, made_of), output.double().sum().item()


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
    if output.dtype != torch.float32:
        raise UsageError(f"{_call(op)} gave a tensor of {output.dtype}, not torch.float32")
    return tuple(output.shape)


def _call(op: Operator) -> str:
    return f"{op.label}({op.c_in}, {op.h_in}, {op.w_in}, {op.c_out}, {op.stride})"
