"""What the candidates of a masked layer are, and which of them one block can serve."""

from __future__ import annotations

from dataclasses import dataclass

from lutbench.errors import UsageError
from lutbench.space.blocks.kind import DEFAULT_KIND
from lutbench.space.blocks.parts import activation_of
from lutbench.space.macro import Layer, Space
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


def check_masks(space: Space, shared: bool = True) -> None:
    """UsageError where nets choose channels or a resolution and one block cannot serve all candidates of a layer.

    shared: that they share their weights is what the search was asked for.
    """
    if not space.has_choices:
        return
    if not shared:
        raise UsageError(
            "where channels or resolutions are chosen, one block serves all candidates of a layer",
            remedy="leave --separate-weights out",
        )
    for layer in space.layers:
        _check_kinds(layer)
        _check_forms(layer)


def _check_kinds(layer: Layer) -> None:
    for candidate in layer.candidates:
        if not candidate.is_skip and (candidate.kind != DEFAULT_KIND or candidate.groups != 1):
            raise UsageError(
                f"layer {layer.index + 1} may be {candidate.name}, which masks do not serve",
                remedy="where channels or resolutions are chosen, blocks are inverted residuals of one group (k3_e6)",
            )


def _check_forms(layer: Layer) -> None:
    blocks = [candidate for candidate in layer.candidates if not candidate.is_skip]
    gates = {form.gates for form in (form_of(layer.operator(block)) for block in blocks) if form.gates}
    if len({bool(candidate.expansion) for candidate in blocks}) > 1 or len(gates) > 1:
        raise UsageError(
            f"layer {layer.index + 1} has blocks with and without an expansion (e0), or with gates of different kinds",
            remedy="give them to different stages: one block serves all candidates of a layer",
        )
