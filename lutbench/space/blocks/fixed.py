"""Operators that no layer chooses: pool, classifier, identity, the empty graph, and rows of somebody else's table."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from lutbench.errors import SpaceError
from lutbench.space.blocks.kind import ACTIVATION, Kind, Option
from lutbench.space.blocks.parts import activation_of

if TYPE_CHECKING:
    from lutbench.space.blocks.kind import Shaped
    from lutbench.space.graph import GraphBuilder


def _same_channels(op: Shaped) -> None:
    if op.c_in != op.c_out:
        raise SpaceError(f"{op.kind} cannot change {op.c_in} channels into {op.c_out}")


def _no_path(op: Shaped) -> None:
    if "/" in op.label:
        raise SpaceError(f"foreign: {op.label!r} cannot be its label")


def _fc(net: GraphBuilder, op: Shaped) -> None:
    net.fc(net.last, op.c_out, activation_of(op))


_MAP = Option("map", words=("map",), default="flat")
POOL = Kind(
    "pool",
    "global average pool, to (N, C), or with `map` to (N, C, 1, 1)",
    (_MAP,),
    lambda net, _op: net.global_pool(net.last),
    _same_channels,
    form="same",
    candidate=False,
    by_columns=True,
)
FC = Kind(
    "fc",
    "fully connected layer",
    (replace(ACTIVATION, default="linear"),),
    _fc,
    form="flat",
    candidate=False,
    by_columns=True,
)
POOLED_FC = Kind(
    "poolfc",
    "global average pool and fully connected layer, timed as one",
    (),
    lambda net, op: net.fc(net.global_pool(net.last), op.c_out),
    form="pooled",
    candidate=False,
)
IDENTITY = Kind(
    "identity",
    "a skip that changes nothing",
    (),
    lambda _net, _op: None,
    _same_channels,
    form="same",
    candidate=False,
    by_columns=True,
)
OVERHEAD_KIND = Kind("overhead", "the empty graph", (), lambda _net, _op: None, form="none", candidate=False)
FOREIGN = Kind("foreign", "row of an imported table", check=_no_path, form="none", candidate=False, labelled=True)
