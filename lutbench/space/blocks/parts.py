"""What several kinds of blocks are made of: rounded widths, and squeeze-and-excitation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

from lutbench.space.blocks.kind import Option
from lutbench.space.graph import Activation, GraphBuilder

if TYPE_CHECKING:
    from lutbench.space.blocks.kind import Shaped

SQUEEZE = Option("squeeze", "se", default=0, digits=1, decimals=True, least=0)
SQUEEZE_OF_INPUT = Option("squeeze_of_input", "si", default=0, digits=1, decimals=True, least=0)
MULTIPLE = Option("multiple", "m", default=1)


def divisible(channels: float, divisor: int = 8, at_least: float = 0.9) -> int:
    """channels rounded to the nearest multiple of divisor, the one above where that is below at_least of it."""
    rounded = max(divisor, int(channels + divisor / 2) // divisor * divisor)
    return rounded + divisor if rounded < at_least * channels else rounded


def activation_of(operator: Shaped) -> Activation:
    """The operator's own, relu unless its name says another."""
    word = operator.option("activation")
    return "none" if word == "linear" else cast(Activation, word)


def expanded(operator: Shaped) -> int:
    """Channels inside: expansion x the input's, or the input's where nothing expands them."""
    if not operator.expansion:
        return operator.c_in
    multiple = int(operator.option("multiple") or 1)
    channels = operator.c_in * operator.expansion
    return divisible(channels, multiple) if multiple > 1 else round(channels)


@dataclass(frozen=True)
class Squeeze:
    """Squeeze-and-excitation: pool, 1x1 to channels with activation, 1x1 back with gate, multiply."""

    channels: int
    activation: Activation = "relu"
    gate: Activation = "hsigmoid"


def squeeze_excite(net: GraphBuilder, given: int, squeeze: Squeeze, activation: Activation = "none") -> int:
    """given times its gate; both 1x1 convolutions have biases and no batch norm."""
    channels = net.shape(given)[0]
    last = net.global_pool(given)
    last = net.conv(last, squeeze.channels, activation=squeeze.activation, norm=False, bias=True)
    gate = net.conv(last, channels, activation=squeeze.gate, norm=False, bias=True)
    return net.mul(given, gate, activation)


def squeezed(net: GraphBuilder, given: int, operator: Shaped) -> int:
    """given, times its gate where the operator has squeeze-and-excitation.

    se: a part of the channels it stands behind, to multiples of 8 (MobileNetV3). si: a part of the block's input
    channels (EfficientNet). With swish the gate is EfficientNet's, else MobileNetV3's.
    """
    ratio, of_input = float(operator.option("squeeze") or 0), float(operator.option("squeeze_of_input") or 0)
    if not ratio and not of_input:
        return given
    channels = divisible(net.shape(given)[0] * ratio) if ratio else max(1, int(operator.c_in * of_input))
    gates: tuple[Activation, Activation] = ("relu", "hsigmoid")
    if operator.option("activation") == "swish":
        gates = ("swish", "sigmoid")
    return squeeze_excite(net, given, Squeeze(channels, *gates))
