"""Operator or net -> torch.nn.Module in eval mode. Tensors are (N, C, H, W)."""

from __future__ import annotations

from collections.abc import Sequence

from torch import nn

from lutbench.nn.graph import graph_module, level
from lutbench.nn.own_code import own_module
from lutbench.nn.parts import initialised
from lutbench.space.blocks.kind import DEFAULT_KIND
from lutbench.space.net import Net
from lutbench.space.operator import Operator


def empty_operator(op: Operator) -> nn.Module:
    """The operator's module as torch initialises it, for training; of any batch size."""
    if op.of_kind.file:
        return own_file_block(op)
    if op.is_own_code:
        return own_module(op)
    return graph_module(op.graph, flat=len(op.output_shape) == 2)


def own_file_block(op: Operator) -> nn.Module:
    """The operator's file as a module; UsageError where it does not fit."""
    from lutbench.nn.own_file import FileBlock

    return FileBlock(op)


def build_operator(op: Operator) -> nn.Module:
    """The operator's module, weights seeded by its name; input and output are op.input_shape and op.output_shape."""
    return initialised(empty_operator(op), op.name)


def empty_net(net: Net) -> nn.Sequential:
    """The net's module as torch initialises it, for training; of any batch size."""
    return empty_operators(net.operators)


def empty_operators(operators: Sequence[Operator]) -> nn.Sequential:
    """Operators one behind the other, as torch initialises them; a map of one place is flattened for a classifier."""
    modules: list[nn.Module] = []
    for number, operator in enumerate(operators):
        if number and len(operators[number - 1].output_shape) == 4 and len(operator.input_shape) == 2:
            modules.append(nn.Flatten())
        modules.append(empty_operator(operator))
    return nn.Sequential(*modules)


def build_net(net: Net) -> nn.Module:
    """The net's module, weights seeded by its key; (1, 3, R, R) -> (1, classes)."""
    module = empty_net(net)
    initialised(module, net.key)
    if not all(map(_is_fbnets, net.operators)):  # whose weights stay as they were
        parts = [part for part in module if not isinstance(part, nn.Flatten)]
        for operator, part in zip(net.operators, parts, strict=True):
            if not operator.is_own_code:
                level(part, operator.graph)
    return module


def _is_fbnets(operator: Operator) -> bool:
    """Whether FBNet's nets have such an operator."""
    block = operator.candidate
    return not operator.options and (block is None or (block.kind == DEFAULT_KIND and operator.expansion > 0))
