"""Chains of copies: each copy waits for the one before, and has weights of its own."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from lutbench.nn.chain import build_chain
from lutbench.space.chain import OperatorChain, fits_itself
from lutbench.space.operator import parse_operator
from tests.export.small import NAMES


@pytest.mark.parametrize("name", NAMES)
def test_every_copy_runs_on_what_the_one_before_gives(name: str) -> None:
    operator = parse_operator(name)
    chain = build_chain(OperatorChain(operator, 3))
    seen: list[Tensor] = []
    copies = chain.copies
    assert isinstance(copies, nn.ModuleList)
    for copy in copies:
        copy.register_forward_hook(lambda _module, given, found: seen.extend((given[0], found)))
    x = torch.randn(operator.input_shape)
    with torch.no_grad():
        found = chain(x)
    assert tuple(found.shape) == tuple(operator.output_shape) and torch.equal(found, seen[-1])
    for before, after in ((seen[1], seen[2]), (seen[3], seen[4])):
        expected = before if fits_itself(operator) else x + before.flatten()[0]
        torch.testing.assert_close(after, expected)


def test_copies_have_weights_of_their_own_and_the_same_each_time() -> None:
    operator = parse_operator(NAMES[1])
    first, again = (build_chain(OperatorChain(operator, copies)) for copies in (2, 3))
    weights = [next(copy.parameters()) for chain in (first, again) for copy in chain.copies]  # type: ignore[union-attr]
    assert torch.equal(weights[0], weights[2]) and torch.equal(weights[1], weights[3])
    assert not torch.equal(weights[0], weights[1])


def test_links_alone_are_what_joins_copies() -> None:
    x = torch.randn(1, 4, 2, 2)
    first = x[0, 0, 0, 0]
    chain = build_chain(OperatorChain(parse_operator("pool_4x2x2"), 3, links=True))
    torch.testing.assert_close(chain(x), x + (first + first))
