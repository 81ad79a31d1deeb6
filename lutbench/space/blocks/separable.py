"""Depthwise separable convolution (MobileNetV1): depthwise KxK and 1x1, an activation behind both, no residual."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lutbench.space.blocks.kind import ACTIVATION, KERNEL, Kind
from lutbench.space.blocks.parts import SQUEEZE, activation_of, squeezed

if TYPE_CHECKING:
    from lutbench.space.blocks.kind import Shaped
    from lutbench.space.graph import GraphBuilder


def _draw(net: GraphBuilder, op: Shaped) -> None:
    activation = activation_of(op)
    last = squeezed(net, net.depthwise(net.last, op.kernel, op.stride, activation), op)
    net.conv(last, op.c_out, activation=activation)


SEPARABLE = Kind(
    "separable",
    "depthwise separable convolution: depthwise KxK, 1x1 (MobileNetV1)",
    (KERNEL, ACTIVATION, SQUEEZE),
    _draw,
)
