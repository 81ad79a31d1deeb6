"""What a kind of block says of itself: how its name is written, what is valid, and its layers for a shape.

A block's name is its kind and the words of its options, joined by _: `fused_k3_e4_hswish_se0.25`. An operator's name
goes on with its shape: `fused_k3_e4_hswish_se0.25_24x56x56_40_s2`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Protocol

from lutbench.errors import SpaceError

if TYPE_CHECKING:
    from lutbench.space.graph import GraphBuilder

Value = int | float | str
# what follows an operator's block: CxHxW_C_sS, CxHxW_C, CxHxW, C_C, or nothing
Form = Literal["block", "pooled", "same", "flat", "none"]
OWN_FIELDS: Mapping[str, Value] = {"kernel": 0, "expansion": 0, "groups": 1}  # of every operator, and columns of a LUT


class Shaped(Protocol):
    """A block in a layer's shape: what a kind reads of an operator."""

    @property
    def kind(self) -> str: ...
    @property
    def c_in(self) -> int: ...
    @property
    def h_in(self) -> int: ...
    @property
    def w_in(self) -> int: ...
    @property
    def c_out(self) -> int: ...
    @property
    def kernel(self) -> int: ...
    @property
    def stride(self) -> int: ...
    @property
    def expansion(self) -> float: ...
    @property
    def groups(self) -> int: ...
    @property
    def label(self) -> str: ...
    @property
    def keeps_shape(self) -> bool:
        """Whether input and output are of one shape."""

    def option(self, name: str) -> Value:
        """The value of an option of its kind."""


@dataclass(frozen=True)
class Option:
    """One word of a block's name: letters and a number (k3, e4.5), or one of some words (hswish).

    name: what it is called.
    letters: what stands before its number; none where it is one of words.
    default: what it is where a name lacks it; None: every name has it.
    digits: of its number.
    decimals: whether that may be a fraction.
    always: whether an operator's name has it where it is the default, too.
    least: the smallest number that can be.
    odd: whether it cannot be even, unless it is 0.
    """

    name: str
    letters: str = ""
    words: tuple[str, ...] = ()
    default: Value | None = None
    digits: int = 2
    decimals: bool = False
    always: bool = False
    least: int = 1
    odd: bool = False

    def read(self, word: str) -> Value | None:
        """The value that a word gives it; None where the word is none of this option."""
        if self.words:
            return word if word in self.words else None
        fraction = r"(?:\.[0-9]{1,6})?" if self.decimals else ""
        match = re.fullmatch(rf"{self.letters}([0-9]{{1,{self.digits}}}{fraction})", word)
        if match is None:
            return None
        return float(match[1]) if self.decimals else int(match[1])

    def check(self, value: Value, kind: str) -> None:
        """SpaceError for a value that cannot be."""
        if self.words:
            if value not in (*self.words, self.default):
                raise SpaceError(f"{kind}: {self.name} {value!r} is none of {', '.join(self.words)}")
        elif not isinstance(value, (int, float)) or value < self.least or (self.least and not value):
            raise SpaceError(f"{kind}: {self.name} {value} is not {'positive' if self.least else 'a number from 0'}")
        elif self.odd and value and value % 2 == 0:
            raise SpaceError(f"{kind}: {self.name} {value:g} is not a positive odd number")

    def write(self, value: Value) -> str:
        return str(value) if self.words else f"{self.letters}{value:g}"

    def __str__(self) -> str:
        return "|".join(self.words) if self.words else f"{self.letters}<{self.name}>"


@dataclass(frozen=True)
class Kind:
    """A kind of operator.

    name: the first word of its names.
    about: what it is, in a line.
    options: the words that follow, in their order.
    draw: adds its layers for an operator's shape behind the last one; None where only its own code tells them.
    check: SpaceError for options and channels that do not fit, beyond what every block is held to.
    form: how an operator's name says the shape.
    candidate: whether a layer may take it.
    labelled: whether a name of somebody else's making stands in the place of options.
    file: how the file ends that alone tells its layers. It runs where such files run, and is not trained.
    by_columns: whether kernel, expansion, groups and channels, columns of a LUT, alone decide what can be where no
        other option is given.
    """

    name: str
    about: str
    options: tuple[Option, ...] = ()
    draw: Callable[[GraphBuilder, Shaped], object] | None = None
    check: Callable[[Shaped], object] | None = None
    form: Form = "block"
    candidate: bool = True
    labelled: bool = False
    file: str = ""
    by_columns: bool = False

    def option(self, name: str) -> Option | None:
        return next((option for option in self.options if option.name == name), None)

    def read(self, words: Iterable[str], text: str) -> dict[str, Value]:
        """The options that words name, in any order; SpaceError, of the whole text, for what is none of its words."""
        found: dict[str, Value] = {}
        for word in words:
            hits = [(o.name, v) for o in self.options if o.name not in found and (v := o.read(word)) is not None]
            if not hits:
                raise SpaceError(
                    f"{text!r} is not a candidate: {word!r} is no option of {self.name}",
                    remedy=f"write {self.form_text}",
                )
            found[hits[0][0]] = hits[0][1]
        missing = [str(option) for option in self.options if option.default is None and option.name not in found]
        if missing:
            raise SpaceError(
                f"{text!r} is not a candidate: it lacks {', '.join(missing)}", remedy=f"write {self.form_text}"
            )
        return found

    def check_options(self, operator: Shaped) -> None:
        """SpaceError for values of options that cannot be."""
        for option in self.options:
            option.check(operator.option(option.name), self.name)

    def words(self, values: Mapping[str, Value], whole: bool) -> list[str]:
        """The words of the values.

        whole: as an operator's name has them, defaults left out or always there.
        """
        found = []
        for option in self.options:
            value = values.get(option.name, option.default)
            if value is None or (value == option.default and not (whole and option.always)):
                explicit = not whole and option.name in values and option.name not in OWN_FIELDS
                if value is None or not explicit:
                    continue
            found.append(option.write(value))
        return found

    @property
    def form_text(self) -> str:
        """The way in which a candidate of this kind is written."""
        first = "" if self.name == DEFAULT_KIND else f"_{self.name}"
        text = first + "".join(f"_{o}" if o.default is None else f"[_{o}]" for o in self.options)
        return text.removeprefix("_") if not self.labelled else f"{self.name}_<{self.about.split(':')[0]}>"


DEFAULT_KIND = "ir"  # FBNet's block, whose candidates are written without their kind: k3_e6

ACTIVATIONS = ("relu", "relu6", "hswish", "swish", "gelu", "linear")
KERNEL = Option("kernel", "k", odd=True)
EXPANSION = Option("expansion", "e", digits=3, decimals=True, least=0)
GROUPS = Option("groups", "g", default=1, digits=3)
ACTIVATION = Option("activation", words=ACTIVATIONS, default="relu")


def check_divides(operator: Shaped, channels: Mapping[str, int], parts: int, of: str) -> None:
    """SpaceError where any of the channel counts does not divide into so many parts."""
    for label, count in channels.items():
        if parts < 1 or count % parts:
            raise SpaceError(f"{operator.kind}: {count} {label} channels do not divide into {parts} {of}")
