"""`lutbench space`"""

from __future__ import annotations

import math
from collections.abc import Iterable
from itertools import groupby
from typing import TYPE_CHECKING

import click

from lutbench.cli.help import HelpCommand
from lutbench.cli.options import json_option
from lutbench.cli.out import say

if TYPE_CHECKING:
    from lutbench.space.macro import Layer, Space

# of a host's whole LUT of FBNet's space from an empty cache, by its operators (docs/notes/measured.md)
_OPERATOR_S = 25 / 113
_MOST_LISTED = 32  # candidates in a line of the table


@click.command("space", cls=HelpCommand)
@click.argument("name", metavar="NAME|FILE", default="fbnet")
@click.option("--kinds", is_flag=True, help="List the kinds of blocks, and how a candidate of each is written.")
@json_option
def command(name: str, kinds: bool, as_json: bool) -> None:
    """Show what a search space holds: its layers, their candidates, how many nets, and what there is to measure.

    NAME is a space that comes along (fbnet, fbnet-cifar, fbnetv2, proxyless, ofa-mobilenetv3, mobilenetv4-conv,
    spos-shufflenet), FILE a space of your own (docs/how-to/own-space.md).
    """
    from lutbench.cli.render import print_json
    from lutbench.space.decisions import log10_nets
    from lutbench.space.find import find_spaces

    if kinds:
        _print_kinds()
        return
    spaces, _ = find_spaces(name, (), (1.0,))
    (space,) = spaces
    if as_json:
        print_json(
            {
                "name": space.name,
                "layers": len(space.searched),
                "operators": len([op for op in space.operators if op.is_measured]),
                "log10_nets": log10_nets(space),
                "resolutions": list(space.resolutions or (space.resolution,)),
                "channels": [list(stage.widths) for stage in space.stages],
            }
        )
        return
    _print_space(space)


def _print_space(space: Space) -> None:
    from lutbench.cli.render import print_table
    from lutbench.space.decisions import log10_nets

    stem, tail = space.stem, space.tail(space.head_channels)
    measured = [operator for operator in space.operators if operator.is_measured]
    rows = [["", stem.name, "", ""]]
    for _, group in groupby(space.layers, key=lambda layer: (layer.stage, layer.shape)):
        layers = list(group)
        rows.append([_numbers(space, layers), _shape(space, layers[0]), str(len(layers)), _candidates(layers[0])])
    rows += [["", operator.name, "", ""] for operator in tail]
    print_table("", {"layer": False, "in, out, stride": False, "layers": True, "candidates": False}, rows)
    for names in dict.fromkeys(_names(layer) for layer in space.layers if len(layer.candidates) > _MOST_LISTED):
        say(f"{names.count(' ') + 1} candidates: {names}")
    if space.has_choices:
        sizes = ", ".join(map(str, space.resolutions or (space.resolution,)))
        say(f"a net chooses the channels of each stage and one resolution of {sizes}; shapes are of the largest")
    say(f"{space.name} at {space.label}: {len(space.searched)} layers to search, 10^{log10_nets(space):.1f} nets")
    seconds = math.ceil(len(measured) * _OPERATOR_S)
    took = f"{seconds} s" if seconds < 600 else f"{seconds / 60:.0f} minutes"
    say(f"{len(measured):,} operators to measure: on a computer about {took}, their exports included")


def _numbers(space: Space, layers: list[Layer]) -> str:
    if layers[0].is_fixed:
        return "fixed"
    numbers = [number for number, layer in enumerate(space.searched, start=1) if layer in layers]
    return str(numbers[0]) if len(numbers) == 1 else f"{numbers[0]}-{numbers[-1]}"


def _shape(space: Space, layer: Layer) -> str:
    usual = "".join(f", {name} {value}" for name, value in layer.usual)
    rows = space.grid(space.resolution)[layer.index]
    ins, outs = (_joined(layer.c_in for row in rows for layer in row), _joined(layer.c_out for layer in rows[0]))
    return f"{ins}x{layer.h_in}x{layer.w_in} -> {outs}, s{layer.stride}{usual}"


def _joined(channels: Iterable[int]) -> str:
    return "/".join(str(count) for count in dict.fromkeys(channels))


def _candidates(layer: Layer) -> str:
    count = len(layer.candidates)
    return _names(layer) if count <= _MOST_LISTED else f"{count} candidates"


def _names(layer: Layer) -> str:
    return " ".join(candidate.name for candidate in layer.candidates)


def _print_kinds() -> None:
    from lutbench.cli.render import print_table
    from lutbench.space.blocks.table import BLOCKS

    print_table(
        "",
        {"kind": False, "what it is": False, "written": False},
        [[kind.name, kind.about, kind.form_text] for kind in BLOCKS.values()],
    )
