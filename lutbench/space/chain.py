"""Copies of an operator one behind the other: what is timed where a call costs more than one (measure/chains)."""

from __future__ import annotations

from dataclasses import dataclass

from lutbench.space.operator import Operator


@dataclass(frozen=True)
class OperatorChain:
    """copies of an operator; or, with links, only what joins them where an output does not fit an input.

    >>> from lutbench.space.operator import parse_operator
    >>> OperatorChain(parse_operator("fc_32_10"), 4).key, OperatorChain(parse_operator("fc_32_10"), 4, links=True).key
    ('fc_32_10*4', 'link_32*4')
    """

    operator: Operator
    copies: int
    links: bool = False

    @property
    def key(self) -> str:
        """What it is measured under; links of one shape are the same, whatever they join."""
        if not self.links:
            return f"{self.operator.name}*{self.copies}"
        return f"link_{'x'.join(str(size) for size in self.input_shape[1:])}*{self.copies}"

    @property
    def input_shape(self) -> tuple[int, ...]:
        """The operator's: (N, C, H, W), or (N, C); N = 1."""
        return self.operator.input_shape

    @property
    def macs(self) -> int:
        return 0 if self.links else self.operator.macs * self.copies


def fits_itself(operator: Operator) -> bool:
    """Whether a copy takes what another gives."""
    return tuple(operator.input_shape) == tuple(operator.output_shape)
