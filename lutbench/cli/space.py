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
    from lutbench.device_agents.registry import Device
    from lutbench.lut.how_long import HowLong
    from lutbench.space.macro import Layer, Space

# of this machine where none of its LUTs says: a whole LUT of FBNet's space, exports too (docs/notes/measured.md)
_FBNET_S, _FBNET_OPERATORS = 25, 110
_MOST_LISTED = 32  # candidates in a line of the table


@click.command("space", cls=HelpCommand)
@click.argument("name", metavar="NAME|FILE", default="fbnet")
@click.option("--kinds", is_flag=True, help="List the kinds of blocks, and how a candidate of each is written.")
@click.option(
    "--device",
    "device_name",
    default="host",
    show_default=True,
    help="Say how long measuring it takes on this device; `lutbench devices` lists them.",
)
@json_option
def command(name: str, kinds: bool, device_name: str, as_json: bool) -> None:
    """Show what a search space holds: its layers, their candidates, how many nets, and what there is to measure.

    NAME is a space that comes along (fbnet, fbnet-cifar, fbnetv2, proxyless, ofa-mobilenetv3, mobilenetv4-conv,
    spos-shufflenet), FILE a space of your own (docs/how-to/own-space.md). How long measuring takes is told from the
    last LUT of the device.
    """
    from lutbench.cli.render import print_json
    from lutbench.device_agents.registry import find_device
    from lutbench.lut.how_long import how_long
    from lutbench.space.decisions import log10_nets
    from lutbench.space.find import find_spaces

    if kinds:
        _print_kinds()
        return
    spaces, _ = find_spaces(name, (), (1.0,))
    (space,) = spaces
    device = find_device(device_name)
    operators = sum(operator.is_measured for operator in space.operators)
    known = how_long(operators, device.name, device.lut)
    if as_json:
        print_json(
            {
                "name": space.name,
                "layers": len(space.searched),
                "operators": operators,
                "log10_nets": log10_nets(space),
                "resolutions": list(space.resolutions or (space.resolution,)),
                "channels": [list(stage.widths) for stage in space.stages],
                "device": device.name,
                "seconds": known.seconds if known else None,
                "seconds_from": str(known.lut) if known else None,
            }
        )
        return
    _print_space(space)
    say(f"{operators:,} operators to measure: {_time_text(operators, device, known)}")


def _time_text(operators: int, device: Device, known: HowLong | None) -> str:
    """How long it takes, and what that rests on."""
    if known:
        return (
            f"on {device.name} about {_about(known.seconds)}, as {known.lut} took {_about(known.took_s)} for"
            f" {known.operators} ({known.measured_with})"
        )
    if device.kind == "host":
        return (
            f"on a computer about {_about(operators * _FBNET_S / _FBNET_OPERATORS)}, exports included, as"
            f" {_FBNET_OPERATORS} of fbnet take {_FBNET_S} s on one; no LUT of {device.name} says what this one takes"
        )
    return f"how long on {device.name} is not known until it has a LUT ({device.lut}): the first profile counts down"


def _about(seconds: float) -> str:
    return f"{math.ceil(seconds)} s" if seconds < 600 else f"{seconds / 60:.0f} minutes"


def _print_space(space: Space) -> None:
    from lutbench.cli.render import print_table
    from lutbench.space.decisions import log10_nets

    stem, tail = space.stem, space.tail(space.head_channels)
    rows = [["", stem.name, "", ""]]
    for _, group in groupby(space.layers, key=lambda layer: (layer.stage, layer.shape)):
        layers = list(group)
        rows.append([_numbers(layers), _shape(space, layers[0]), str(len(layers)), _candidates(layers[0])])
    rows += [["", operator.name, "", ""] for operator in tail]
    print_table("", {"layer": False, "in, out, stride": False, "layers": True, "candidates": False}, rows)
    for names in dict.fromkeys(_names(layer) for layer in space.layers if len(layer.candidates) > _MOST_LISTED):
        say(f"{names.count(' ') + 1} candidates: {names}")
    if space.has_choices:
        sizes = ", ".join(map(str, space.resolutions or (space.resolution,)))
        say(f"a net chooses the channels of each stage and one resolution of {sizes}; shapes are of the largest")
    say(f"{space.name} at {space.label}: {len(space.searched)} layers to search, 10^{log10_nets(space):.1f} nets")


def _numbers(layers: list[Layer]) -> str:
    first, last = layers[0].index + 1, layers[-1].index + 1
    return (str(first) if first == last else f"{first}-{last}") + " fixed" * layers[0].is_fixed


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
