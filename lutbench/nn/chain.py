"""Copies of an operator one behind the other, for runtimes whose call costs more than an operator (measure/chains)."""

from __future__ import annotations

from torch import Tensor, nn

from lutbench.nn.modules import empty_operator
from lutbench.nn.parts import initialised
from lutbench.space.chain import OperatorChain, fits_itself


class Chain(nn.Module):
    """Copies with weights of their own: one that is read twice in a row would be in a cache the second time.

    Each takes what the one before gives. Where an operator gives another shape than it takes, each takes the chain's
    own input, plus the first number that the one before gives, so that it has to wait for it: the link. A chain of
    links alone is timed too, and taken off.
    """

    def __init__(self, copies: list[nn.Module], fits: bool) -> None:
        super().__init__()
        self.copies = nn.ModuleList(copies)
        self.fits = fits

    def forward(self, x: Tensor) -> Tensor:
        """The operator's input -> the last copy's output."""
        first, *others = self.copies
        found: Tensor = first(x)
        for copy in others:
            found = copy(found if self.fits else x + _first(found, x.dim()))
        return found


def _first(found: Tensor, dimensions: int) -> Tensor:
    """The first number, in a shape that adds to any input."""
    for axis in range(found.dim()):
        found = found.narrow(axis, 0, 1)
    return found.reshape([1] * dimensions)


def build_chain(chain: OperatorChain) -> nn.Module:
    """The copies, each with weights seeded by the operator's name and its number; or what joins them, without them."""
    operator = chain.operator
    if chain.links:
        return Chain([nn.Identity() for _ in range(chain.copies)], fits=False).eval()
    made = [initialised(empty_operator(operator), f"{operator.name}*{number}") for number in range(chain.copies)]
    return Chain(made, fits_itself(operator)).eval()
