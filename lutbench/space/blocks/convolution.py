"""KxK convolution, batch norm and activation: alone, and as the stem that reads the image.

biased: with a bias and no batch norm.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from lutbench.space.blocks.kind import ACTIVATION, GROUPS, KERNEL, Kind, Option, check_divides
from lutbench.space.blocks.parts import activation_of

if TYPE_CHECKING:
    from lutbench.space.blocks.kind import Shaped
    from lutbench.space.graph import GraphBuilder

_BIASED = Option("norm", words=("biased",), default="normed")
_OPTIONS = (KERNEL, GROUPS, ACTIVATION, _BIASED)


def _draw(net: GraphBuilder, op: Shaped) -> None:
    biased = op.option("norm") == "biased"
    net.conv(net.last, op.c_out, op.kernel, op.stride, op.groups, activation_of(op), norm=not biased, bias=biased)


def _check(op: Shaped) -> None:
    check_divides(op, {"input": op.c_in, "output": op.c_out}, op.groups, "groups")


CONVOLUTION = Kind("conv", "KxK convolution", _OPTIONS, _draw, _check, by_columns=True)
STEM = replace(CONVOLUTION, name="stem", about="KxK convolution that reads the image", candidate=False)
