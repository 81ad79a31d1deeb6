"""Operator: what is timed. A layer's shape with a candidate in it, or a fixed layer.

An operator's name is made of what decides its latency and of nothing else, so equal shapes in different layers share
one row of the LUT: ``ir_k5_e6_g1_64x14x14_64_s1`` is an inverted residual block, kernel 5, expansion 6, groups 1,
input 64 channels x 14 x 14 (C, H, W), output 64 channels, stride 1. `lutbench.space.blocks` has the kinds.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from types import MappingProxyType

from lutbench.errors import SpaceError
from lutbench.space.blocks.kind import Form, Kind, Value
from lutbench.space.blocks.parts import expanded
from lutbench.space.blocks.table import KINDS
from lutbench.space.candidate import SKIP, Candidate
from lutbench.space.graph import Graph, GraphBuilder

_LARGEST = 1 << 20  # of any field: beyond it a name is junk, not an operator
_LONGEST_LABEL = 200
_LABEL = re.compile(rf"[A-Za-z0-9:._/-]{{1,{_LONGEST_LABEL}}}")


@dataclass(frozen=True, order=True)
class Operator:
    """kind and shape of one operator; its figures are of one image, and its name does not say how many there are.

    kind: of `lutbench.space.blocks.table`.
    options: what its kind has beside kernel, expansion and groups, where it is not the default.
    label: of a kind that others name: a row of somebody else's table, whose shape, multiply-accumulates and weights are
        not known, or a block of a user's own code.
    counted: multiply-accumulates and parameters of a user's own block, where they were counted.
    """

    kind: str
    c_in: int
    h_in: int
    w_in: int
    c_out: int
    kernel: int = 0
    stride: int = 1
    expansion: float = 0
    groups: int = 1
    label: str = ""
    options: tuple[tuple[str, Value], ...] = ()
    counted: tuple[int, int] | None = field(default=None, compare=False)

    def __post_init__(self) -> None:
        kind = KINDS.get(self.kind)
        if kind is None:
            raise SpaceError(f"{self.kind!r} is not a kind of operator", remedy=f"kinds: {', '.join(KINDS)}")
        fields = {"c_in": self.c_in, "h_in": self.h_in, "w_in": self.w_in, "c_out": self.c_out, "stride": self.stride}
        for name, value in fields.items():
            if not 1 <= value <= _LARGEST:
                raise SpaceError(f"{self.kind}: {name} {value} is not between 1 and {_LARGEST}")
        if not _LABEL.fullmatch(self.label) if kind.labelled else self.label:
            raise SpaceError(f"{self.kind}: {self.label[:_LONGEST_LABEL]!r} cannot be its label")
        if kind.options:
            kind.check_options(self)
        if kind.check:
            kind.check(self)

    @property
    def of_kind(self) -> Kind:
        return KINDS[self.kind]

    def option(self, name: str) -> Value:
        """The value of an option of its kind; the empty text where the kind has no such option."""
        if name in ("kernel", "expansion", "groups"):
            value: Value = getattr(self, name)
            return value
        for own, value in self.options:
            if own == name:
                return value
        found = self.of_kind.option(name)
        return found.default if found and found.default is not None else ""

    @cached_property
    def name(self) -> str:
        if self.kind == "overhead":
            return _OVERHEAD_NAME
        kind = self.of_kind
        block = [self.kind, self.label] if kind.labelled else [self.kind, *kind.words(_values(self), whole=True)]
        template, fields = _FORMS[kind.form]
        return "_".join([*block, *([template % tuple(getattr(self, f) for f in fields)] if fields else [])])

    @property
    def candidate(self) -> Candidate | None:
        """The candidate that makes it of its layer's shape; None for fixed layers, and for a skip's 1x1 convolution."""
        plain = self.kind == "conv" and self.kernel == 1 and not self.options and self.groups == 1
        if not self.of_kind.candidate or plain:
            return None
        return Candidate(self.kernel, self.expansion, self.groups, self.kind, self.label, self.options)

    @property
    def h_out(self) -> int:
        return -(-self.h_in // self.stride) if self.of_kind.form == "block" or self.kind == "identity" else 1

    @property
    def w_out(self) -> int:
        return -(-self.w_in // self.stride) if self.of_kind.form == "block" or self.kind == "identity" else 1

    @property
    def mid_channels(self) -> int:
        """Channels inside a block: expansion x c_in."""
        return expanded(self)

    @property
    def keeps_shape(self) -> bool:
        return self.stride == 1 and self.c_in == self.c_out

    @property
    def has_residual(self) -> bool:
        """Whether its last layer adds its input."""
        return self.of_kind.draw is not None and self.graph.ends_in_residual

    @property
    def input_shape(self) -> tuple[int, ...]:
        """(N, C, H, W), or (N, C) for the classifier; N = 1. SpaceError for a foreign operator."""
        self._check_known("shape")
        return (1, self.c_in) if self.of_kind.form == "flat" else (1, self.c_in, self.h_in, self.w_in)

    @property
    def output_shape(self) -> tuple[int, ...]:
        """(N, C, H, W), or (N, C) from the pool and the classifier; N = 1. SpaceError for a foreign operator."""
        self._check_known("shape")
        flat = self.of_kind.form in ("flat", "pooled") or (self.kind == "pool" and not self.options)
        return (1, self.c_out) if flat else (1, self.c_out, self.h_out, self.w_out)

    @property
    def is_measured(self) -> bool:
        """False for an identity: it does nothing, so its latency is 0 by definition (FBNet, section 3.1)."""
        return self.kind != "identity"

    @property
    def is_own_code(self) -> bool:
        """Whether a user's code, or file, alone tells what it computes."""
        return self.of_kind.draw is None and self.kind != "foreign"

    @property
    def graph(self) -> Graph:
        """Its elementary layers; SpaceError where only its own code, or nobody, tells them."""
        return _graph(self)

    @cached_property
    def macs(self) -> int:
        """Multiply-accumulates of the convolutions and the classifier. SpaceError where they are not known."""
        if self.counted:
            return self.counted[0]
        self._check_known("number of multiply-accumulates")
        return self.graph.macs

    @cached_property
    def params(self) -> int:
        """Weights, and biases of layers without batch norm; batch norms are folded into the convolutions before them.

        SpaceError where they are not known.
        """
        if self.counted:
            return self.counted[1]
        self._check_known("number of weights")
        return self.graph.params

    @property
    def touched(self) -> int:
        """Elements that one invocation reads or writes: input, output, what lies between, weights."""
        return self.touched_by(1)

    def touched_by(self, batch: int) -> int:
        """The same of an invocation on so many images."""
        between = 0 if self.is_own_code else self.graph.between
        return batch * (math.prod(self.input_shape) + math.prod(self.output_shape) + between) + self.params

    def _check_known(self, what: str) -> None:
        if self.kind == "foreign":
            raise SpaceError(f"the {what} of {self.name} is not known: it is an operator of an imported table")


@lru_cache(maxsize=1 << 14)
def _graph(operator: Operator) -> Graph:
    net = GraphBuilder(operator.c_in, operator.h_in, operator.w_in)
    draw(net, operator)
    return net.graph()


def draw(net: GraphBuilder, operator: Operator) -> None:
    """Adds the operator's layers behind the net's last one; SpaceError where they are not known."""
    drawn = operator.of_kind.draw
    if drawn is None:
        raise SpaceError(f"what {operator.name} is made of is not known")
    drawn(net, operator)


def _values(item: Operator | Candidate) -> dict[str, Value]:
    own: dict[str, Value] = {"kernel": item.kernel, "expansion": item.expansion, "groups": item.groups}
    return own | dict(item.options)


_OVERHEAD_NAME = "runtime_overhead"
_SHAPE = ("c_in", "h_in", "w_in")
# how a name ends -> its text and the fields that fill it
_FORMS: Mapping[Form, tuple[str, tuple[str, ...]]] = MappingProxyType(
    {
        "block": ("%sx%sx%s_%s_s%s", (*_SHAPE, "c_out", "stride")),
        "pooled": ("%sx%sx%s_%s", (*_SHAPE, "c_out")),
        "same": ("%sx%sx%s", _SHAPE),
        "flat": ("%s_%s", ("c_in", "c_out")),
        "none": ("", ()),
    }
)


def name_template(kind: Kind) -> tuple[str, tuple[str, ...]]:
    """The text of a kind's names and the fields that fill it, where no option is given that need not be."""
    given = [option for option in kind.options if option.default is None or option.always]
    block = "_".join([kind.name, *(f"{option.letters}%s" for option in given)])
    shape, fields = _FORMS[kind.form]
    return f"{block}_{shape}", (*(option.name for option in given), *fields)


_PATTERNS: tuple[tuple[Form, re.Pattern[str]], ...] = (
    ("block", re.compile(r"(.+)_([0-9]{1,7})x([0-9]{1,7})x([0-9]{1,7})_([0-9]{1,7})_s([0-9]{1,2})", re.DOTALL)),
    ("pooled", re.compile(r"(.+)_([0-9]{1,7})x([0-9]{1,7})x([0-9]{1,7})_([0-9]{1,7})", re.DOTALL)),
    ("same", re.compile(r"(.+)_([0-9]{1,7})x([0-9]{1,7})x([0-9]{1,7})", re.DOTALL)),
    ("flat", re.compile(r"(.+)_([0-9]{1,7})_([0-9]{1,7})", re.DOTALL)),
)


@lru_cache(maxsize=1 << 16)
def parse_operator(name: str) -> Operator:
    """The operator with this canonical name; SpaceError when no operator has it."""
    if name == _OVERHEAD_NAME:
        return OVERHEAD
    if name.startswith("foreign_"):
        return Operator("foreign", 1, 1, 1, 1, label=name.removeprefix("foreign_"))
    for form, pattern in _PATTERNS:
        if match := pattern.fullmatch(name):
            block, *numbers = match.groups()
            first, _, rest = block.partition("_")
            kind = KINDS.get(first)
            if kind is None or kind.form != form:
                break
            operator = _named(kind, rest, dict(zip(_FORMS[form][1], map(int, numbers), strict=True)))
            if operator is None or operator.name != name:  # leading zeros and the like: one operator has one name
                break
            return operator
    raise SpaceError(f"{name!r} is not an operator's name", remedy=f"kinds: {', '.join(KINDS)}")


def _named(kind: Kind, rest: str, shape: dict[str, int]) -> Operator | None:
    """The operator of a kind, the rest of its name and its shape; None where the rest is none of its options."""
    full = {"h_in": 1, "w_in": 1} | shape
    full.setdefault("c_out", full["c_in"])
    if kind.labelled:
        return Operator(kind.name, label=rest, **full)  # type: ignore[arg-type]
    try:
        values = kind.read(rest.split("_") if rest else [], kind.name)
    except SpaceError:
        return None
    return Operator(kind.name, **full, **fields_of(kind, values))  # type: ignore[arg-type]


def fields_of(kind: Kind, values: Mapping[str, Value]) -> dict[str, object]:
    """What an Operator or a Candidate of these options is made with: its own fields, and the others in their order."""
    own = {name: values[name] for name in ("kernel", "expansion", "groups") if name in values}
    others = tuple((o.name, values[o.name]) for o in kind.options if o.name in values and o.name not in own)
    return {**own, "options": others}


OVERHEAD = Operator("overhead", 1, 1, 1, 1)


def foreign_operator(key: str) -> Operator:
    """The operator that stands for a row of somebody else's table, labelled with the row's key there.

    Characters that a name cannot hold become dots. SpaceError for an empty or very long key.
    """
    return Operator("foreign", 1, 1, 1, 1, label=re.sub(r"[^A-Za-z0-9:._-]", ".", key))


@lru_cache(maxsize=1 << 16)  # spaces and nets ask for the same ones again and again, and making one checks it
def block_operator(
    candidate: Candidate,
    c_in: int,
    h_in: int,
    w_in: int,
    c_out: int,
    stride: int,
    usual: tuple[tuple[str, Value], ...] = (),
) -> Operator:
    """The operator that a candidate becomes in a layer of this shape; a skip that changes it is a 1x1 convolution.

    usual: options that the candidate has where its name does not say another, by name.
    """
    if candidate == SKIP:
        if stride == 1 and c_in == c_out:
            return Operator("identity", c_in, h_in, w_in, c_out)
        return Operator("conv", c_in, h_in, w_in, c_out, 1, stride)
    kind = KINDS[candidate.kind]
    values = {name: value for name, value in usual if kind.option(name)} | dict(candidate.options)
    others = tuple((o.name, values[o.name]) for o in kind.options if o.name in values and values[o.name] != o.default)
    return Operator(
        candidate.kind,
        c_in,
        h_in,
        w_in,
        c_out,
        candidate.kernel,
        stride,
        candidate.expansion,
        candidate.groups,
        candidate.label,
        others,
    )
