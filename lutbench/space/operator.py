"""Operator: what is timed. A layer's shape with a candidate in it, or a fixed layer.

An operator's name is made of what decides its latency and of nothing else, so equal shapes in different layers share
one row of the LUT: ``ir_k5_e6_g1_64x14x14_64_s1`` is an inverted residual block, kernel 5, expansion 6, groups 1,
input 64 channels x 14 x 14 (C, H, W), output 64 channels, stride 1.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from types import MappingProxyType
from typing import Literal, get_args

from lutbench.errors import SpaceError
from lutbench.space.candidate import Candidate

Kind = Literal["stem", "ir", "conv", "pool", "fc", "identity", "overhead", "foreign"]

_LARGEST = 1 << 20  # of any field: beyond it a name is junk, not an operator
_LONGEST_LABEL = 200
_LABEL = re.compile(rf"[A-Za-z0-9:._-]{{1,{_LONGEST_LABEL}}}")


@dataclass(frozen=True, order=True)
class Operator:
    """kind and shape of one operator; its figures are of one image, and its name does not say how many there are.

    stem: KxK convolution + BN + ReLU that reads the image. conv: the same inside a net (the head, or the 1x1 that
    stands in for a skip which changes the shape). ir: FBNet's block (Figure 3). pool: global average pool to (N, C).
    fc: classifier, (N, c_in) -> (N, c_out). identity: a skip that changes nothing. overhead: the empty graph.
    foreign: an operator of somebody else's table that is none of these; label is what that table calls it, and its
    shape, multiply-accumulates and weights are not known.
    """

    kind: Kind
    c_in: int
    h_in: int
    w_in: int
    c_out: int
    kernel: int = 0
    stride: int = 1
    expansion: float = 0
    groups: int = 1
    label: str = ""

    def __post_init__(self) -> None:
        if self.kind not in NAMES:
            raise SpaceError(f"{self.kind!r} is not a kind of operator", remedy=f"kinds: {', '.join(NAMES)}")
        fields = {"c_in": self.c_in, "h_in": self.h_in, "w_in": self.w_in, "c_out": self.c_out, "stride": self.stride}
        for field, value in fields.items():
            if not 1 <= value <= _LARGEST:
                raise SpaceError(f"{self.kind}: {field} {value} is not between 1 and {_LARGEST}")
        if self.kind in ("stem", "conv", "ir") and (self.kernel < 1 or self.kernel % 2 == 0):
            raise SpaceError(f"{self.kind}: kernel {self.kernel} is not a positive odd number")
        if self.kind in ("pool", "identity") and self.c_in != self.c_out:
            raise SpaceError(f"{self.kind} cannot change {self.c_in} channels into {self.c_out}")
        if self.kind == "ir":
            self._check_groups()
        if not _LABEL.fullmatch(self.label) if self.kind == "foreign" else self.label:
            raise SpaceError(f"{self.kind}: {self.label[:_LONGEST_LABEL]!r} cannot be its label")

    def _check_groups(self) -> None:
        if self.mid_channels < 1 or self.groups < 1:
            raise SpaceError(f"ir: expansion {self.expansion:g} or groups {self.groups} is not positive")
        for label, channels in (("input", self.c_in), ("expanded", self.mid_channels), ("output", self.c_out)):
            if channels % self.groups:
                raise SpaceError(f"ir: {channels} {label} channels do not divide into {self.groups} groups")

    @property
    def name(self) -> str:
        template, fields = NAMES[self.kind]
        return template % tuple(
            f"{self.expansion:g}" if field == "expansion" else getattr(self, field) for field in fields
        )

    @property
    def h_out(self) -> int:
        return _FEATURES.get(self.kind, _strided)(self, self.h_in)

    @property
    def w_out(self) -> int:
        return _FEATURES.get(self.kind, _strided)(self, self.w_in)

    @property
    def mid_channels(self) -> int:
        """Channels between an ir block's two 1x1 convolutions: expansion x c_in."""
        return round(self.c_in * self.expansion)

    @property
    def has_residual(self) -> bool:
        return self.kind == "ir" and self.stride == 1 and self.c_in == self.c_out

    @property
    def input_shape(self) -> tuple[int, ...]:
        """(N, C, H, W), or (N, C) for the classifier; N = 1. SpaceError for a foreign operator."""
        self._check_known("shape")
        return (1, self.c_in) if self.kind == "fc" else (1, self.c_in, self.h_in, self.w_in)

    @property
    def output_shape(self) -> tuple[int, ...]:
        """(N, C, H, W), or (N, C) from the pool and the classifier; N = 1. SpaceError for a foreign operator."""
        self._check_known("shape")
        return (1, self.c_out) if self.kind in ("fc", "pool") else (1, self.c_out, self.h_out, self.w_out)

    @property
    def is_measured(self) -> bool:
        """False for an identity: it does nothing, so its latency is 0 by definition (FBNet, section 3.1)."""
        return self.kind != "identity"

    @property
    def macs(self) -> int:
        """Multiply-accumulates of the convolutions and the classifier. SpaceError for a foreign operator."""
        self._check_known("number of multiply-accumulates")
        return _MACS[self.kind](self)

    @property
    def touched(self) -> int:
        """Elements that one invocation reads or writes: input, output, what lies between, weights."""
        return self.touched_by(1)

    def touched_by(self, batch: int) -> int:
        """The same of an invocation on so many images."""
        between = self.mid_channels * (self.h_in * self.w_in + self.h_out * self.w_out) if self.kind == "ir" else 0
        return batch * (math.prod(self.input_shape) + math.prod(self.output_shape) + between) + self.params

    @property
    def params(self) -> int:
        """Weights, and the classifier's bias; batch norms are folded into the convolutions before them.

        SpaceError for a foreign operator.
        """
        self._check_known("number of weights")
        return _PARAMS[self.kind](self)

    def _check_known(self, what: str) -> None:
        if self.kind == "foreign":
            raise SpaceError(f"the {what} of {self.name} is not known: it is an operator of an imported table")


def _strided(op: Operator, size: int) -> int:
    return -(-size // op.stride)  # padding kernel // 2 keeps ceil(size / stride)


_FEATURES: dict[str, Callable[[Operator, int], int]] = {"pool": lambda _op, _size: 1, "fc": lambda _op, _size: 1}


_CONV_FIELDS = ("kernel", "c_in", "h_in", "w_in", "c_out", "stride")
# kind -> the canonical name and the fields that fill it
NAMES: Mapping[Kind, tuple[str, tuple[str, ...]]] = MappingProxyType(
    {
        "stem": ("stem_k%s_%sx%sx%s_%s_s%s", _CONV_FIELDS),
        "ir": (
            "ir_k%s_e%s_g%s_%sx%sx%s_%s_s%s",
            ("kernel", "expansion", "groups", "c_in", "h_in", "w_in", "c_out", "stride"),
        ),
        "conv": ("conv_k%s_%sx%sx%s_%s_s%s", _CONV_FIELDS),
        "pool": ("pool_%sx%sx%s", ("c_in", "h_in", "w_in")),
        "fc": ("fc_%s_%s", ("c_in", "c_out")),
        "identity": ("identity_%sx%sx%s", ("c_in", "h_in", "w_in")),
        "overhead": ("runtime_overhead", ()),
        "foreign": ("foreign_%s", ("label",)),
    }
)

_SHAPE = r"(?P<c_in>\d{1,7})x(?P<h_in>\d{1,7})x(?P<w_in>\d{1,7})"
_CONV = rf"k(?P<kernel>\d{{1,2}})_{_SHAPE}_(?P<c_out>\d{{1,7}})_s(?P<stride>\d{{1,2}})"
_PATTERNS: dict[Kind, re.Pattern[str]] = {
    "stem": re.compile(rf"stem_{_CONV}"),
    "ir": re.compile(
        r"ir_k(?P<kernel>\d{1,2})_e(?P<expansion>\d{1,3}(?:\.\d{1,6})?)_g(?P<groups>\d{1,3})"
        rf"_{_SHAPE}_(?P<c_out>\d{{1,7}})_s(?P<stride>\d{{1,2}})"
    ),
    "conv": re.compile(rf"conv_{_CONV}"),
    "pool": re.compile(rf"pool_{_SHAPE}"),
    "fc": re.compile(r"fc_(?P<c_in>\d{1,7})_(?P<c_out>\d{1,7})"),
    "identity": re.compile(rf"identity_{_SHAPE}"),
    "foreign": re.compile(rf"foreign_(?P<label>{_LABEL.pattern})"),
}
_FLAT = {"h_in": 1, "w_in": 1}
_IMPLIED: dict[str, dict[str, int]] = {"fc": _FLAT, "foreign": {**_FLAT, "c_in": 1, "c_out": 1}}
_FIELD_TYPES: dict[str, Callable[[str], int | float | str]] = {"expansion": float, "label": str}


@lru_cache(maxsize=1 << 16)
def parse_operator(name: str) -> Operator:
    """The operator with this canonical name; SpaceError when no operator has it."""
    if name == OVERHEAD.name:
        return OVERHEAD
    for kind, pattern in _PATTERNS.items():
        if match := pattern.fullmatch(name):
            found = {key: _FIELD_TYPES.get(key, int)(text) for key, text in match.groupdict().items()}
            same_channels = {"c_out": found["c_in"]} if kind in ("pool", "identity") else {}
            implied = _IMPLIED.get(kind, {})
            operator = Operator(kind, **(implied | found | same_channels))  # type: ignore[arg-type]
            if operator.name != name:  # leading zeros and the like: one operator has one name
                break
            return operator
    raise SpaceError(f"{name!r} is not an operator's name", remedy=f"kinds: {', '.join(get_args(Kind))}")


def _ir_weights(op: Operator) -> tuple[int, int, int]:
    """Weights of the 1x1, the depthwise KxK and the second 1x1 convolution."""
    mid = op.mid_channels
    return op.c_in * mid // op.groups, op.kernel**2 * mid, mid * op.c_out // op.groups


def _ir_macs(op: Operator) -> int:
    expand, depthwise, project = _ir_weights(op)
    return expand * op.h_in * op.w_in + (depthwise + project) * op.h_out * op.w_out


def _conv_weights(op: Operator) -> int:
    return op.kernel**2 * op.c_in * op.c_out


_MACS: dict[str, Callable[[Operator], int]] = {
    "stem": lambda op: _conv_weights(op) * op.h_out * op.w_out,
    "ir": _ir_macs,
    "conv": lambda op: _conv_weights(op) * op.h_out * op.w_out,
    "pool": lambda _op: 0,
    "fc": lambda op: op.c_in * op.c_out,
    "identity": lambda _op: 0,
    "overhead": lambda _op: 0,
}

_PARAMS: dict[str, Callable[[Operator], int]] = {
    "stem": _conv_weights,
    "ir": lambda op: sum(_ir_weights(op)),
    "conv": _conv_weights,
    "pool": lambda _op: 0,
    "fc": lambda op: (op.c_in + 1) * op.c_out,
    "identity": lambda _op: 0,
    "overhead": lambda _op: 0,
}


OVERHEAD = Operator("overhead", 1, 1, 1, 1)


def foreign_operator(key: str) -> Operator:
    """The operator that stands for a row of somebody else's table, labelled with the row's key there.

    Characters that a name cannot hold become dots. SpaceError for an empty or very long key.
    """
    return Operator("foreign", 1, 1, 1, 1, label=re.sub(r"[^A-Za-z0-9:._-]", ".", key))


def block_operator(candidate: Candidate, c_in: int, h_in: int, w_in: int, c_out: int, stride: int) -> Operator:
    """The operator that a candidate becomes in a layer of this shape; a skip that changes it is a 1x1 convolution."""
    if not candidate.is_skip:
        return Operator("ir", c_in, h_in, w_in, c_out, candidate.kernel, stride, candidate.expansion, candidate.groups)
    if stride == 1 and c_in == c_out:
        return Operator("identity", c_in, h_in, w_in, c_out)
    return Operator("conv", c_in, h_in, w_in, c_out, 1, stride)
