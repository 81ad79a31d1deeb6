"""What the candidates of a masked layer are, and which of them one block can serve."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from lutbench.errors import UsageError
from lutbench.space.blocks.kind import DEFAULT_KIND
from lutbench.space.blocks.parts import activation_of
from lutbench.space.macro import Layer
from lutbench.space.operator import Operator


@dataclass(frozen=True)
class Form:
    """What a candidate is with one choice of input channels.

    squeeze: channels of its squeeze-and-excitation, or 0.
    """

    mid: int
    kernel: int
    squeeze: int
    activation: str
    gates: tuple[str, ...]


def form_of(operator: Operator) -> Form:
    """The form of an inverted residual."""
    convs = [node for node in operator.graph.nodes if node.kind == "conv"]
    squeezes = [node for node in convs if node.bias]
    squeeze = squeezes[0].shape[0] if squeezes else 0
    gates = tuple(node.activation for node in squeezes)
    return Form(operator.mid_channels, operator.kernel, squeeze, activation_of(operator), gates)


def check_served(layer: Layer) -> None:
    """UsageError where a candidate is of a kind that masks do not serve."""
    for candidate in layer.candidates:
        if not candidate.is_skip and (candidate.kind != DEFAULT_KIND or candidate.groups != 1):
            raise UsageError(
                f"layer {layer.index + 1} may be {candidate.name}, which masks do not serve",
                remedy="where channels or resolutions are chosen, blocks are inverted residuals of one group (k3_e6)",
            )


def check_forms(layer: Layer, forms: Sequence[Sequence[Form]]) -> None:
    """UsageError where the blocks are too different for one to serve them.

    forms: [input][block].
    """
    blocks = [candidate for candidate in layer.candidates if not candidate.is_skip]
    gates = {form.gates for row in forms for form in row if form.gates}
    if len({bool(candidate.expansion) for candidate in blocks}) > 1 or len(gates) > 1:
        raise UsageError(
            f"layer {layer.index + 1} has blocks with and without an expansion (e0), or with gates of different kinds",
            remedy="give them to different stages: one block serves all candidates of a layer",
        )
